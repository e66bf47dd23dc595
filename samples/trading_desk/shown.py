"""What the desk did, as a table for people."""

from __future__ import annotations

from rich.table import Table

from domain.values import money, plain
from samples.trading_desk.desk import Done, Reported


def table(done: Done) -> Table:
    """Return a row for every execution, and one for every order that is left."""
    made = Table(title=f"Trades of rebalance {done.rebalance_id} for {done.portfolio_id}", title_justify="left")
    for title in ("Order", "Side", "Ticker"):
        made.add_column(title, no_wrap=True)
    for title in ("Quantity", "Price", "Amount", "Service id"):
        made.add_column(title, justify="right", no_wrap=True)
    made.add_column("Answer")
    for each in done.reported:
        fill = each.fill
        made.add_row(
            fill.order.order_id,
            fill.order.side,
            each.ticker,
            plain(fill.quantity),
            plain(fill.price),
            str(money(fill.amount)),
            str(fill.service_id),
            _answer(each),
        )
    for order in done.left:
        made.add_row(order.order_id, order.side, "", plain(order.quantity), "", "", "", "left open")
    return made


def _answer(reported: Reported) -> str:
    number = "" if reported.execution_id is None else f" {reported.execution_id}"
    return f"{reported.status}{number}" + (f": {reported.error}" if reported.error else "")
