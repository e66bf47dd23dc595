"""The sample models at work: a preview, the rebalance of all that follow a model, and one that cannot be.

Nothing is booked yet: a rebalance says what to trade, and is recorded with everything it was made from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeAlias

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.cli.demo.cells import WIDTH, money, number, price, table, whole
from api.cli.demo.client import Client, Refused, Request
from api.cli.demo.files import FOLDER

PREVIEWED: Final = "balanced-60-40"
"""The portfolio whose rebalance is shown in full."""
_CASH: Final = "CASH"

Result: TypeAlias = dict[str, Any]
"""A rebalance, or a portfolio with its error, as it is answered."""


def show_rebalances(client: Client, tickers: Mapping[str, str], position: int, out: Console) -> list[Result]:
    """Make the sample models, if they are not there, rebalance by them, print what came of it and return the results.

    ``position`` is one at which everything is loaded. What the server refuses, because somebody has changed the data
    since, is printed instead. Raises ``Failed`` when the server cannot be asked.
    """
    models = msgspec.json.decode((FOLDER / "models.json").read_bytes(), type=list[dict[str, msgspec.Raw]])
    made = [client.send(_creation(model)) for model in models]
    position = max(position, *(answer.position for answer in made))
    listed = client.get("/api/v1/portfolios?limit=1000", position)["items"]
    names = {portfolio["portfolio_id"]: portfolio["portfolio_name"] for portfolio in listed}
    results: list[Result] = []
    for answer in made:
        try:
            if PREVIEWED in answer.told["portfolios"]:
                _show_preview(client, answer.told, tickers, position, out)
            results += _show_run(client, answer.told, tickers, names, out)
        except Refused as refusal:
            out.print(Text(f"{refusal}\n"), soft_wrap=True)
    return results


def _show_preview(
    client: Client, model: dict[str, Any], tickers: Mapping[str, str], position: int, out: Console
) -> None:
    path = f"/api/v1/rebalance/portfolio/{PREVIEWED}?preview=true&model_id={model['model_id']}"
    weights = client.get(f"/api/v1/portfolio/{PREVIEWED}/weights", position)
    preview = client.send(Request("POST", path, b"", "", 0), at_least=position).told
    out.print(trades(preview, weights, tickers, model["name"]))
    out.print()


def _show_run(
    client: Client, model: dict[str, Any], tickers: Mapping[str, str], names: Mapping[str, str], out: Console
) -> list[Result]:
    path = f"/api/v1/rebalance/model/{model['model_id']}"
    results: list[Result] = client.send(Request("POST", path, b"", f"demo/rebalance/{model['name']}", 0)).told
    out.print(results_of(model["name"], results, names, out))
    out.print()
    for result in results:
        if "error" in result:
            for line in explanation(result, tickers, names):
                out.print(line, soft_wrap=True, markup=False)
            out.print()
    return results


def _creation(model: Mapping[str, msgspec.Raw]) -> Request:
    name: str = msgspec.json.decode(model["name"])
    return Request("POST", "/api/v1/models", msgspec.json.encode(model), f"demo/model/{name}", 1)


def trades(rebalance: dict[str, Any], weights: Mapping[str, Decimal], tickers: Mapping[str, str], model: str) -> Table:
    """Return the table of a rebalance: what is held and its weight, target and band, the trade, the weight after it."""
    shown = table(f"What {model} would trade in {rebalance['portfolio_name']} ({rebalance['portfolio_id']})")
    shown.add_column("Ticker", "Cash", no_wrap=True)
    for title in ("Held", "Weight", "Target", "Band", "Trade", "Value", "New weight"):
        shown.add_column(title, justify="right", no_wrap=True)
    traded = {each["security_id"]: each for each in rebalance["transactions"]}
    for drift in sorted(rebalance["drifts"], key=lambda drift: ticker(drift, tickers)):
        low, high = _band(drift)
        before = weights.get(drift["security_id"], Decimal(0)) * 100
        trade = traded.get(drift["security_id"])
        sign = -1 if trade and trade["transaction_type"] == "SELL" else 1
        shown.add_row(
            ticker(drift, tickers),
            f"{drift['original_quantity']:,}",
            Text(f"{before:.2f}%", style="" if low <= before <= high else "yellow"),
            f"{drift['target']:.2f}%",
            f"{low:.2f} – {high:.2f}%",
            number(sign * trade["quantity"], f"{sign * trade['quantity']:+,}") if trade else Text(""),
            whole(sign * trade["quantity"] * trade["price"]) if trade else Text(""),
            f"{drift['actual']:.2f}%",
        )
    shown.columns[2].footer = f"{weights[_CASH] * 100:.2f}%"
    shown.columns[7].footer = f"{rebalance['cash_after'] * 100 / rebalance['market_value']:.2f}%"
    return shown


def results_of(model: str, results: Sequence[Result], names: Mapping[str, str], out: Console) -> Table:
    """Return the table of a run: what each portfolio sells and buys, its cash, and how near it comes to its targets.

    Where that is too wide it has fewer columns.
    """
    columns, dispensable = list(_COLUMNS), list(_DISPENSABLE)
    shown = _results_of(model, results, names, columns)
    while dispensable and out.measure(shown, options=out.options.update(width=10 * WIDTH)).maximum > out.width:
        columns.remove(dispensable.pop(0))
        shown = _results_of(model, results, names, columns)
    return shown


def _results_of(model: str, results: Sequence[Result], names: Mapping[str, str], columns: Sequence[str]) -> Table:
    shown = table(f"Rebalance by {model} (recorded, nothing is booked)")
    shown.show_footer = False
    shown.add_column("Portfolio", no_wrap=True)
    for title in columns:
        shown.add_column(title, justify="right", no_wrap=True)
    shown.add_column("Proof", no_wrap=True)
    for result in results:
        name = names.get(result["portfolio_id"], result["portfolio_id"])
        if "error" in result:
            shown.add_row(name, *[""] * len(columns), Text("none, see below", style="red"))
            continue
        certificate = result["certificate"]
        cells = [_COLUMNS[title](result) for title in columns]
        shown.add_row(name, *cells, f"{certificate['status']}, {certificate['method']}")
    return shown


def _traded(kind: str) -> Callable[[Result], Text]:
    """Return what makes the cell with the value of all trades of this kind."""

    def cell(result: Result) -> Text:
        of_kind = (trade for trade in result["transactions"] if trade["transaction_type"] == kind)
        return whole(sum((trade["quantity"] * trade["price"] for trade in of_kind), Decimal(0)))

    return cell


_COLUMNS: Final[Mapping[str, Callable[[Result], Text]]] = {
    "Trades": lambda result: Text(str(len(result["transactions"]))),
    "Sells": _traded("SELL"),
    "Buys": _traded("BUY"),
    "Cash before": lambda result: whole(result["cash_before"]),
    "Cash after": lambda result: whole(result["cash_after"]),
    "Off target by": lambda result: money(result["certificate"]["objective"]),
}
_DISPENSABLE: Final = ("Sells", "Buys", "Cash before")
"""The columns that a narrow terminal goes without, the first one first."""


def explanation(result: Result, tickers: Mapping[str, str], names: Mapping[str, str]) -> list[str]:
    """Return the lines that say why a portfolio cannot be rebalanced, and what would repair it."""
    portfolio_id, problem = result["portfolio_id"], result["error"]
    name = names.get(portfolio_id, portfolio_id)
    if problem["code"] != "no-feasible-solution":
        return [f"{name} ({portfolio_id}): {problem['detail']}"]
    lines = [f"{name} ({portfolio_id}): {problem['title']}"]
    for security in problem["securities"]:
        lines.append(f"  {ticker(security, tickers)}: {_why(security)}")
        lines += [f"    {_told(fix)}" for fix in security["fixes"]]
    return lines + [f"  {_told(fix)}" for fix in problem.get("fixes", ())]


def _why(security: dict[str, Any]) -> str:
    low, high = _band(security)
    least, most, each = security["min_shares"], security["max_shares"], price(security["price"])
    reason = f"{security['reason'].replace('-', ' ')}; at {each} each,"
    if most < least:
        return f"{reason} {most:,} are below {low:f} %, {least:,} above {high:f} %"
    return f"{reason} {least:,} to {most:,} are {low:f} to {high:f} %"


def _told(fix: dict[str, Any]) -> str:
    changes = [
        f"{name} {value['percent']:f} %" if isinstance(value, dict) else f"{name} {value:f}"
        for name, value in fix.get("set", {}).items()
    ]
    changes += [f"without {name}" for name in fix.get("drop", ())]
    gives = fix.get("gives_quantity")
    return f"with {' and '.join(changes)}" + ("" if gives is None else f": {gives:,} shares")


def _band(row: Mapping[str, Any]) -> tuple[Decimal, Decimal]:
    """Return the least and the greatest weight of a security, in percent."""
    return max(row["target"] - row["low_drift"], Decimal(0)), row["target"] + row["high_drift"]


def ticker(row: Mapping[str, Any], tickers: Mapping[str, str]) -> str:
    """Return what a security is called: its id where it has no ticker."""
    security_id: str = row["security_id"]
    return tickers.get(security_id, security_id)
