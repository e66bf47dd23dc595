"""The sample portfolios as a person likes to read them: all of them, the positions of one, and what to try next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.cli.demo.cells import WIDTH, money, number, percent, price, table, whole
from api.cli.demo.client import Client
from api.cli.demo.files import Plan

SHOWN: Final = "equity-long-short"
"""The portfolio whose positions are shown."""
_CASH: Final = "CASH"


class Figures(NamedTuple):
    """What is asked of one portfolio."""

    state: dict[str, Any]
    analytics: dict[str, Any]


def show(client: Client, plan: Plan, position: int, securities: Mapping[str, Mapping[str, str]], out: Console) -> None:
    """Print the tables, as of this log position at least; raises ``Failed`` when something cannot be had."""
    figures = [_figures(client, portfolio_id, position) for portfolio_id in plan.portfolios]
    shown = next(one for one in figures if one.state["portfolio_id"] == SHOWN)
    prices = {
        item["instrument_id"]: item["price"] for item in client.get("/api/v1/prices?limit=1000", position)["items"]
    }
    out.print(overview(figures, f"{plan.until:%A}, {plan.until.day} {plan.until:%B %Y}", out))
    out.print()
    out.print(positions(shown.state, prices, securities))
    out.print()


def _figures(client: Client, portfolio_id: str, position: int) -> Figures:
    path = f"/api/v1/portfolio/{portfolio_id}"
    return Figures(client.get(f"{path}/state", position), client.get(f"{path}/analytics", position))


def overview(figures: Sequence[Figures], date: str, out: Console) -> Table:
    """Return the table of all portfolios with their sums, in whole units; where it is too wide it has fewer columns."""
    title = f"{len(figures)} portfolios on {date}"
    columns, dispensable = list(_COLUMNS), list(_DISPENSABLE)
    shown = _overview(title, columns, figures)
    while dispensable and out.measure(shown, options=out.options.update(width=10 * WIDTH)).maximum > out.width:
        left_out = dispensable.pop(0)
        columns = [column for column in columns if column.title != left_out]
        shown = _overview(title, columns, figures)
    return shown


def _overview(title: str, columns: Sequence[_Column], figures: Sequence[Figures]) -> Table:
    shown = table(title)
    for column in columns:
        footer = whole(sum((column.figure(one) for one in figures), Decimal(0))) if column.money else column.footer
        left = column.title in {"Portfolio", "Status"}
        shown.add_column(column.title, footer, justify="left" if left else "right", no_wrap=True)
    for one in figures:
        shown.add_row(*(whole(column.figure(one)) if column.money else column.figure(one) for column in columns))
    return shown


class _Column(NamedTuple):
    """A column of the overview: ``figure`` is the cell of a portfolio, or its amount where it is ``money``."""

    title: str
    figure: Callable[[Figures], Any]
    money: bool = False
    footer: str = ""


_COLUMNS: Final = (
    _Column("Portfolio", lambda one: one.state["portfolio_name"], footer="All"),
    _Column("Status", lambda one: one.state["status"]),
    _Column("Pos.", lambda one: str(len(one.state["positions"]) - 1)),
    _Column("Cash", lambda one: one.state["cash_balance"], money=True),
    _Column("Total value", lambda one: one.state["total_value"], money=True),
    _Column("Unrealised", lambda one: one.analytics["unrealized_pnl"], money=True),
    _Column("Realised", lambda one: one.analytics["realized_pnl"], money=True),
    _Column("Today", lambda one: percent(one.analytics["daily_return"])),
    _Column("Month", lambda one: percent(one.analytics["mtd_return"])),
    _Column("Since start", lambda one: percent(one.analytics["total_return"])),
)
"""Cash is always among the positions and is not counted."""
_DISPENSABLE: Final = ("Pos.", "Realised", "Unrealised", "Cash")
"""The columns that a narrow terminal goes without, the first one first."""


def positions(
    state: dict[str, Any], prices: Mapping[str, Decimal], securities: Mapping[str, Mapping[str, str]]
) -> Table:
    """Return the table of the positions of one portfolio, the largest first and cash last."""
    shown = table(f"Positions of {state['portfolio_name']} ({state['portfolio_id']})")
    shown.add_column("Ticker", no_wrap=True, footer="Total")
    shown.add_column("Name")
    for title in ("Quantity", "Price", "Market value", "Weight", "Unrealised"):
        shown.add_column(title, justify="right", no_wrap=True)
    for line in sorted(state["positions"], key=lambda line: (line["instrument_id"] == _CASH, -line["market_value"])):
        instrument_id = line["instrument_id"]
        cash = instrument_id == _CASH
        name = securities.get(instrument_id, {"ticker": instrument_id, "name": ""})
        shown.add_row(
            name["ticker"],
            Text(name["name"], no_wrap=True, overflow="ellipsis"),
            Text("") if cash else number(line["quantity"], f"{line['quantity']:,}"),
            Text("") if cash else price(prices[instrument_id]),
            money(line["market_value"]),
            percent(line["weight"], signed=False),
            Text("") if cash else money(line["unrealized_pnl"]),
        )
    shown.columns[4].footer = money(state["total_value"])
    shown.columns[6].footer = money(sum((line["unrealized_pnl"] for line in state["positions"]), Decimal(0)))
    return shown


def suggestions(url: str, trade_service: str) -> list[str]:
    """Return the lines that say what to try next, with the demo and with its trade service."""
    path = f"{url}/api/v1/portfolio/{SHOWN}"
    return [
        "Try next:",
        f"  curl '{path}/state'",
        f"  curl '{path}/performance?from=2026-10-01'",
        f"  curl '{url}/api/v1/rebalances?limit=1'",
        f"  curl '{url}/api/v1/executions?limit=1'",
        f"  curl '{url}/api/v1/batches'",
        f"  curl '{trade_service}/api/v2/executions'",
        f"  and every route with examples in a browser: {url}/docs",
    ]
