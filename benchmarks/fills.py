"""The executions that benchmarks report: their bodies, their portfolios, and a log of them without HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from benchmarks.append import context, event_store
from benchmarks.client import connect, post
from benchmarks.harness import Place
from domain.execution import Execution, Report, TradeType

PORTFOLIOS = 20
NOW = datetime(2025, 6, 18, 14, tzinfo=UTC)
APPEND = 1_000
"""Executions that are appended at once where HTTP is left out."""


def portfolio_of(service_id: int) -> str:
    """Return the portfolio of the execution with this id."""
    return f"P{service_id % PORTFOLIOS}"


def security_of(service_id: int) -> str:
    """Return one of a hundred securities."""
    return f"SECURITY{service_id * 7 % 100:016d}"


def body(first: int, count: int, *, owned: bool) -> bytes:
    """Return the body that reports so many executions from this id on; ``owned``: with their portfolios."""
    return json.dumps([_row(service_id, owned=owned) for service_id in range(first, first + count)]).encode()


def _row(service_id: int, *, owned: bool) -> dict[str, object]:
    owner = {"portfolioId": portfolio_of(service_id)} if owned else {}
    return owner | {
        "executionServiceId": service_id,
        "isOpen": False,
        "executionStatus": "FILLED",
        "tradeType": "BUY",
        "destination": "NYSE",
        "securityId": security_of(service_id),
        "ticker": "BENCH",
        "quantity": 100,
        "limitPrice": 57.25,
        "receivedTimestamp": "2025-06-18T13:59:58.5Z",
        "sentTimestamp": "2025-06-18T14:00:00Z",
        "quantityFilled": 100,
        "totalAmount": 5712.345679,
        "averagePrice": 57.123457,
    }


async def stored(place: Place, first: int, count: int, *, filled: int = 0) -> int:
    """Append so many executions from this id on, without HTTP; nothing is booked of those of which nothing is filled.

    Return the position reached.
    """
    price, position = Decimal("57.12345679"), 0
    report = Report(
        execution_status="FILLED", trade_type=TradeType.BUY, destination="NYSE", security_id=security_of(first),
        ticker="BENCH", quantity=Decimal(100), limit_price=Decimal("57.25"), received=NOW - timedelta(seconds=1.5),
        sent=NOW, last_fill=NOW, quantity_filled=Decimal(filled), total_amount=price * filled, average_price=price,
    )  # fmt: skip
    async with event_store(place.database_url) as store:
        for begin in range(first, first + count, APPEND):
            ids = range(begin, min(begin + APPEND, first + count))
            found = [Execution.record(each, report, portfolio_of(each), NOW) for each in ids]
            position = (await store.record(*found, context=context())).position
    return position


async def opened(port: int) -> None:
    """Open the portfolios, with money enough for everything."""
    connection = await connect(port)
    for number in range(PORTFOLIOS):
        opening = f'{{"portfolio_id":"P{number}","portfolio_name":"P{number}","cash_balance":1000000000000}}'
        answer = await connection.ask(post("/api/v1/portfolios", opening.encode()))
        assert answer[9:12] == b"201", answer
    connection.close()
