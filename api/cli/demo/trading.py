"""One rebalance to its end: its orders, what the sample desk trades of them, and the portfolio that has booked it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.table import Table

from api.cli.demo.cells import Cells, fitted, money, number, price
from api.cli.demo.client import Client, Refused, Request
from api.cli.demo.rebalancing import Result, ticker
from domain.values import EXACT, summed
from samples.trade_service.exact import dumps
from samples.trade_service.service import Service
from samples.trading_desk.desk import row
from samples.trading_desk.trading import Fill, Order

TRADED: Final = "young-savers-plan"
"""The portfolio whose rebalance is sent on to the desk."""
FIRST_ID: Final = 2_026_103_001
"""The desk's number of its first execution; always the same, so that one which is reported again is known."""
DESTINATION: Final = "CLOSE"
_CASH: Final = "CASH"
_SIGNS: Final = {"BUY": 1, "SELL": -1}

Execution = dict[str, Any]
"""A recorded execution as it is answered."""


class Traded(NamedTuple):
    """What was traded, as recorded, and a log position that includes all that has come of it in the portfolio."""

    executions: Sequence[Execution]
    position: int


class Floor(NamedTuple):
    """Where it is traded: the application, the trade service that knows whose executions are, and where it is shown."""

    client: Client
    trade_service: Service
    tickers: Mapping[str, str]
    close: datetime
    """When it is traded: the moment of the latest prices."""
    out: Console


def show_trading(floor: Floor, rebalance: Result) -> Traded:
    """Send the orders of a rebalance, have the desk trade them at its prices, and print how the portfolio books them.

    All of it can be repeated: orders that were sent and executions that are recorded are found as they are. Raises
    ``Refused`` with what the server does not do, ``Failed``.
    """
    client, out = floor.client, floor.out
    sending = Request("POST", f"/api/v1/rebalances/{rebalance['rebalance_id']}/orders", b"", "", 0)
    orders = client.send(sending).told["orders"]
    out.print(orders_of(rebalance, orders, floor.tickers, out))
    out.print()
    reported = _report(floor, filled(orders))
    client.get("/api/v1/work/parked?limit=1", reported.position)
    # Everything up to there is booked. The orders again change nothing, so what is told is the end of the log.
    position = client.send(sending).position
    executions = [client.get(f"/api/v1/executions/{number}", position) for number in reported.executions]
    out.print(executions_of(executions, rebalance, reported.said, out))
    out.print()
    state = client.get(f"/api/v1/portfolio/{rebalance['portfolio_id']}/state", position)
    sent = client.get(sending.path, position)
    out.print(outcome(rebalance, executions, state, sent, floor.tickers, out))
    out.print()
    for line in verdict(rebalance, state, sent, floor.tickers):
        out.print(line, soft_wrap=True, markup=False)
    out.print()
    return Traded(executions, position)


def filled(orders: Iterable[Mapping[str, Any]]) -> list[Fill]:
    """Return what the desk trades of the orders: all at the order's price, the first one in two parts.

    They are numbered by the orders as they were sent, whatever is filled of them: a fill has its number for ever.
    """
    fills: list[Fill] = []
    for told in orders:
        side, quantity = told["transaction_type"], told["quantity"]
        order = Order(told["order_id"], side, told["security_id"], quantity, told["price"])
        part = EXACT.divide_int(quantity, Decimal(2)) if not fills else Decimal(0)
        for traded in (part, EXACT.subtract(quantity, part)):
            if traded:
                fills.append(Fill(FIRST_ID + len(fills), order, traded, order.price))
    return fills


class _Reported(NamedTuple):
    """The ids of the executions, how many were new and how many not, in words, and the log position it has reached."""

    executions: Sequence[int]
    said: str
    position: int


def _report(floor: Floor, fills: Sequence[Fill]) -> _Reported:
    """Tell the trade service whose the fills are, and report them in one request, which says nothing of that."""
    told = [
        {"executionServiceId": fill.service_id, "portfolioId": TRADED, "orderId": fill.order.order_id} for fill in fills
    ]
    floor.trade_service.put(*told)
    named = [(fill, ticker({"security_id": fill.order.security_id}, floor.tickers)) for fill in fills]
    body = dumps([row(fill, name, floor.close, DESTINATION) for fill, name in named])
    answer = floor.client.send(Request("POST", "/api/v1/executions", body, "", len(fills)))
    if answer.told["errorCount"]:
        wrong = next(each["error"] for each in answer.told["results"] if each["status"] == "error")
        raise Refused(f"{answer.told['errorCount']} of {len(fills)} executions are not recorded yet: {wrong}")
    counts = {"created": answer.told["processedCount"], "there already": answer.told["skippedCount"]}
    said = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return _Reported([int(each["executionId"]) for each in answer.told["results"]], said, answer.position)


def orders_of(
    rebalance: Result, orders: Sequence[Mapping[str, Any]], tickers: Mapping[str, str], out: Console
) -> Table:
    """Return the table of the orders as they were sent."""
    lines: list[Cells] = [
        {
            "Order": each["order_id"],
            "Side": each["transaction_type"],
            "Ticker": ticker(each, tickers),
            "Quantity": f"{each['quantity']:,}",
            "Price": price(each["price"]),
            "Value": money(EXACT.multiply(each["quantity"], each["price"])),
        }
        for each in orders
    ]
    title = f"Orders for {rebalance['portfolio_name']} ({rebalance['portfolio_id']})"
    return fitted(title, lines, out, left={"Order", "Side", "Ticker"}, spare=("Value",), foot={})


def executions_of(executions: Sequence[Execution], rebalance: Result, said: str, out: Console) -> Table:
    """Return the table of the executions with the portfolios that were found for them."""
    lines: list[Cells] = [
        {
            "Execution": str(each["id"]),
            "Desk's id": str(each["executionServiceId"]),
            "Portfolio": each["portfolioId"],
            "Order": f"…{(each['orderId'] or '').removeprefix(rebalance['rebalance_id'])}",
            "Side": each["tradeType"],
            "Ticker": each["ticker"],
            "Quantity": f"{each['quantityFilled']:,}",
            "Price": price(each["averagePrice"]),
            "Amount": money(each["totalAmount"]),
            "Booking": each["booking"],
        }
        for each in executions
    ]
    title = f"Executions of the desk ({said}), their portfolio looked up at the trade service"
    left = {"Portfolio", "Order", "Side", "Ticker", "Booking"}
    return fitted(title, lines, out, left=left, spare=("Desk's id", "Execution", "Portfolio"), foot={})


def outcome(
    rebalance: Result,
    executions: Sequence[Execution],
    state: dict[str, Any],
    sent: dict[str, Any],
    tickers: Mapping[str, str],
    out: Console,
) -> Table:
    """Return the table of what is held now beside what the rebalance wanted, and its cash in the last line."""
    residual = {each["security_id"]: each for each in sent["residual"] or ()}
    traded = _traded(executions)
    lines: list[Cells] = []
    for wanted, now in _beside(rebalance, state, tickers):
        left = residual.get(wanted["security_id"], {"actual": Decimal(0), "drift": Decimal(0)})
        change = traded.get(wanted["security_id"], Decimal(0))
        lines.append(
            {
                "Ticker": ticker(wanted, tickers),
                "Before": f"{wanted['original_quantity']:,}",
                "Filled": number(change, f"{change:+,}"),
                "Held now": number(now, f"{now:,}"),
                "Wanted": f"{wanted['adjusted_quantity']:,}",
                "Weight": f"{left['actual']:.4f}%",
                "Target": f"{wanted['target']:.4f}%",
                "Drift": number(left["drift"], f"{left['drift']:+.4f}%"),
            }
        )
    moved = -summed(_SIGNS[each["tradeType"]] * each["totalAmount"] for each in executions)
    foot: Cells = {
        "Ticker": "Cash",
        "Before": money(rebalance["cash_before"]),
        "Filled": number(moved, f"{moved:+,.2f}"),
        "Held now": money(state["cash_balance"]),
        "Wanted": money(rebalance["cash_after"]),
    }
    title = f"{rebalance['portfolio_name']} after it has booked them"
    return fitted(title, lines, out, left={"Ticker"}, spare=("Before", "Target", "Weight"), foot=foot)


def verdict(rebalance: Result, state: dict[str, Any], sent: dict[str, Any], tickers: Mapping[str, str]) -> list[str]:
    """Return the lines that say whether the portfolio holds what the rebalance wanted, to the cent."""
    done = sum(order["status"] == "FILLED" for order in sent["orders"])
    lines = [f"Orders {sent['status']}: {done} of {len(sent['orders'])} are filled."]
    off = [
        f"{ticker(wanted, tickers)} ({wanted['adjusted_quantity']:,} wanted, {now:,} held)"
        for wanted, now in _beside(rebalance, state, tickers)
        if wanted["adjusted_quantity"] != now
    ]
    cash, wanted_cash = state["cash_balance"], rebalance["cash_after"]
    if cash != wanted_cash:
        off.append(f"cash ({wanted_cash:,.2f} wanted, {cash:,.2f} there)")
    if off:
        return [*lines, f"Not as the rebalance wanted: {', '.join(off)}."]
    return [*lines, "Every position is what the rebalance wanted, and so is the cash, to the cent."]


def _beside(
    rebalance: Result, state: dict[str, Any], tickers: Mapping[str, str]
) -> list[tuple[dict[str, Any], Decimal]]:
    """Return for each security, by ticker, what the rebalance wanted and the quantity that is held."""
    held = {each["instrument_id"]: each["quantity"] for each in state["positions"] if each["instrument_id"] != _CASH}
    nothing = {"original_quantity": Decimal(0), "adjusted_quantity": Decimal(0), "target": Decimal(0)}
    wanted = {each["security_id"]: each for each in rebalance["drifts"]}
    wanted |= {name: {"security_id": name, **nothing} for name in held.keys() - wanted.keys()}
    ordered = sorted(wanted.values(), key=lambda each: ticker(each, tickers))
    return [(each, held.get(each["security_id"], Decimal(0))) for each in ordered]


def _traded(executions: Iterable[Execution]) -> dict[str, Decimal]:
    """Return what was filled of each security, less than 0 where it was sold."""
    traded: dict[str, Decimal] = {}
    for each in executions:
        change = _SIGNS[each["tradeType"]] * each["quantityFilled"]
        traded[each["securityId"]] = traded.get(each["securityId"], Decimal(0)) + change
    return traded
