"""The sample models at work: a preview, the rebalance of all that follow a model, and one that cannot be.

Nothing is booked: a rebalance says what to trade, and is recorded with everything it was made from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.cli.demo.cells import money, number, price, table, whole
from api.cli.demo.client import Client, Request
from api.cli.demo.files import FOLDER

PREVIEWED: Final = "balanced-60-40"
"""The portfolio whose rebalance is shown in full."""

Problem = dict[str, Any]


def show_rebalances(client: Client, tickers: Mapping[str, str], out: Console) -> None:
    """Make the sample models, if they are not there, rebalance by them and print what came of it; raises ``Failed``."""
    models = msgspec.json.decode((FOLDER / "models.json").read_bytes(), type=list[dict[str, msgspec.Raw]])
    made = [client.send(_creation(model)) for model in models]
    position = max(answer.position for answer in made)
    path = f"/api/v1/rebalance/portfolio/{PREVIEWED}?preview=true"
    weights = client.get(f"/api/v1/portfolio/{PREVIEWED}/weights", position)
    preview = client.send(Request("POST", path, b"", "", 0), at_least=position).told
    out.print(trades(preview, weights, tickers, made[0].told["name"]))
    out.print()
    for answer in made:
        model = answer.told
        key = f"demo/rebalance/{model['name']}"
        run = client.send(Request("POST", f"/api/v1/rebalance/model/{model['model_id']}", b"", key, 0))
        results = run.told
        out.print(results_of(model["name"], results))
        out.print()
        for result in results:
            if "error" in result:
                for line in explanation(result, tickers):
                    out.print(line, soft_wrap=True)
                out.print()


def _creation(model: Mapping[str, msgspec.Raw]) -> Request:
    name: str = msgspec.json.decode(model["name"])
    return Request("POST", "/api/v1/models", msgspec.json.encode(model), f"demo/model/{name}", 1)


def trades(rebalance: dict[str, Any], weights: Mapping[str, Decimal], tickers: Mapping[str, str], model: str) -> Table:
    """Return the table of a rebalance: what is held and its weight, the band, the trade, and the weight afterwards."""
    shown = table(f"What {model} would trade in {rebalance['portfolio_name']} ({rebalance['portfolio_id']})")
    shown.add_column("Ticker", "Cash", no_wrap=True)
    for title in ("Held", "Weight", "Band", "Trade", "Value", "New weight"):
        shown.add_column(title, justify="right", no_wrap=True)
    traded = {each["security_id"]: each for each in rebalance["transactions"]}
    for drift in sorted(rebalance["drifts"], key=lambda drift: tickers[drift["security_id"]]):
        security_id = drift["security_id"]
        low, high = max(drift["target"] - drift["low_drift"], Decimal(0)), drift["target"] + drift["high_drift"]
        before = weights.get(security_id, Decimal(0)) * 100
        outside = not low <= before <= high
        trade = traded.get(security_id)
        sign = -1 if trade and trade["transaction_type"] == "SELL" else 1
        shown.add_row(
            tickers[security_id],
            f"{drift['original_quantity']:,}",
            Text(f"{before:.2f}%", style="yellow" if outside else ""),
            f"{low:.2f} – {high:.2f}%",
            number(sign * trade["quantity"], f"{sign * trade['quantity']:+,}") if trade else Text(""),
            whole(sign * trade["quantity"] * trade["price"]) if trade else Text(""),
            f"{drift['actual']:.2f}%",
        )
    kept = Decimal(100) - sum((drift["actual"] for drift in rebalance["drifts"]), Decimal(0))
    shown.columns[2].footer = f"{weights['CASH'] * 100:.2f}%"
    shown.columns[6].footer = f"{kept:.2f}%"
    return shown


def results_of(model: str, results: Sequence[dict[str, Any]]) -> Table:
    """Return the table of a run: what each portfolio sells and buys, its cash, and how near it comes to its targets."""
    shown = table(f"Rebalance by {model}")
    shown.show_footer = False
    shown.add_column("Portfolio", no_wrap=True)
    for title in ("Trades", "Sells", "Buys", "Cash before", "Cash after", "Off target by"):
        shown.add_column(title, justify="right", no_wrap=True)
    shown.add_column("Proof", no_wrap=True)
    for result in results:
        if "error" in result:
            shown.add_row(result["portfolio_id"], *[""] * 6, Text("none fits", style="red"))
            continue
        values = {"SELL": Decimal(0), "BUY": Decimal(0)}
        for trade in result["transactions"]:
            values[trade["transaction_type"]] += trade["quantity"] * trade["price"]
        certificate = result["certificate"]
        shown.add_row(
            result["portfolio_name"],
            str(len(result["transactions"])),
            whole(values["SELL"]),
            whole(values["BUY"]),
            whole(result["cash_before"]),
            whole(result["cash_after"]),
            money(certificate["objective"]),
            f"{certificate['status']}, {certificate['method']}",
        )
    return shown


def explanation(result: dict[str, Any], tickers: Mapping[str, str]) -> list[str]:
    """Return the lines that say why a portfolio cannot be rebalanced, and what would repair it."""
    problem: Problem = result["error"]
    lines = [f"[bold]{result['portfolio_id']}: {problem['title']}.[/bold]"]
    for security in problem.get("securities", ()):
        low, high = security["target"] - security["low_drift"], security["target"] + security["high_drift"]
        lines.append(
            f"  {tickers[security['security_id']]}: {security['reason'].replace('-', ' ')}. The band is {low:f} to "
            f"{high:f} %, a share costs {price(security['price'])}."
        )
        for fix in security["fixes"]:
            changes = [f"{name} {value:f}" for name, value in fix.get("set", {}).items()]
            changes += [f"without {name}" for name in fix.get("drop", ())]
            gives = fix.get("gives_quantity")
            lines.append(f"    with {' and '.join(changes)}" + ("" if gives is None else f": {gives:,} shares"))
    return lines
