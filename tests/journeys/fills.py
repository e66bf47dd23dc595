"""Executions as clients report them, what they come to in the file of accounting and in their portfolios."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any, Final

import httpx2

from tests.api.asking import opening, trade, updating
from tests.journeys.desk import asked, told

SECURITIES: Final = [f"FILL{number:020}" for number in range(1, 4)]
CASH: Final = Decimal(10**12)
HELD: Final = 10**7
"""Of each security, so that every sale is possible in whatever order."""
_EIGHTH: Final = Decimal("0.00000001")


@dataclass(frozen=True)
class Fill:
    """One execution; figures have as many places as are sent."""

    service_id: int
    portfolio_id: str
    security_id: str = SECURITIES[0]
    trade_type: str = "BUY"
    quantity: Decimal = Decimal(100)
    filled: Decimal = Decimal(100)
    price: Decimal = Decimal("57.123456789")
    named: bool = True
    """The row says its portfolio; else the Trade Service is asked."""

    @property
    def row(self) -> dict[str, Any]:
        """It as a row of a request."""
        named = {"portfolioId": self.portfolio_id} if self.named else {}
        return named | {
            "executionServiceId": self.service_id,
            "isOpen": False,
            "executionStatus": "FILLED",
            "tradeType": self.trade_type,
            "destination": "NYSE",
            "securityId": self.security_id,
            "ticker": "FILL",
            "quantity": str(self.quantity),
            "limitPrice": None,
            "receivedTimestamp": "2025-06-18T00:59:00Z",
            "sentTimestamp": "2025-06-18T01:00:00Z",
            "lastFillTimestamp": "2025-06-18T01:00:07Z",
            "quantityFilled": str(self.filled),
            "totalAmount": "0",
            "averagePrice": str(self.price),
        }

    @property
    def stored_price(self) -> Decimal:
        """The price with 8 places, as contract "001" rounds it."""
        return self.price.quantize(_EIGHTH, ROUND_HALF_EVEN)

    def line(self, execution_id: int) -> str:
        """Return its line in the file; on 18 June 1:00 UTC it is still the 17th in New York."""
        return (
            f"{self.portfolio_id},{self.security_id},AC{execution_id},{self.trade_type},"
            f"{self.quantity:.8f},{self.stored_price:.8f},20250617\n"
        )


def fills(first: int, count: int, portfolios: Sequence[str]) -> Iterator[Fill]:
    """Return executions of these portfolios in turn, the same for the same numbers; every third names no portfolio."""
    for service_id in range(first, first + count):
        drawn = random.Random(service_id)
        filled = Decimal(drawn.randrange(1, 10**10)).scaleb(-8)
        yield Fill(
            service_id=service_id,
            portfolio_id=portfolios[service_id % len(portfolios)],
            security_id=SECURITIES[drawn.randrange(len(SECURITIES))],
            trade_type=drawn.choice(["BUY", "BUY", "SELL"]),
            quantity=filled + drawn.choice([0, 0, 1]),
            filled=filled,
            price=Decimal(drawn.randrange(10**9, 10**12)).scaleb(-9),
            named=service_id % 3 > 0,
        )


async def opened(http: httpx2.AsyncClient, portfolios: Sequence[str]) -> None:
    """Open the portfolios, each with the same cash and holdings."""

    async def one(portfolio_id: str) -> None:
        held = [trade("IN", HELD, security, "1") for security in SECURITIES]
        await asked(http, "POST", "/api/v1/portfolios", opening(portfolio_id, cash_balance=str(CASH)))
        await asked(http, "POST", f"/api/v1/portfolio/{portfolio_id}/update", updating(*held))

    await asyncio.gather(*map(one, portfolios))


async def reported(http: httpx2.AsyncClient, sent: Sequence[Fill]) -> tuple[dict[int, Fill], str]:
    """Report executions, all new; return them by execution id, and the position of the last."""
    answer = await asked(http, "POST", "/api/v1/executions", [fill.row for fill in sent], status=201)
    body = told(answer)
    assert (body["processedCount"], body["skippedCount"], body["errorCount"]) == (len(sent), 0, 0)
    assert [result["executionServiceId"] for result in body["results"]] == [fill.service_id for fill in sent]
    ids = [result["executionId"] for result in body["results"]]
    return dict(zip(ids, sent, strict=True)), answer.headers["X-Position"]


def expected(sent: Sequence[Fill]) -> tuple[Decimal, dict[str, Decimal]]:
    """Return cash, as it is shown, and holdings of a portfolio that was opened and has all these."""
    cash, held = CASH, dict.fromkeys(SECURITIES, Decimal(HELD))
    with localcontext(prec=60):
        for fill in sent:
            sign = 1 if fill.trade_type == "BUY" else -1
            held[fill.security_id] += sign * fill.filled
            cash -= sign * fill.filled * fill.stored_price
        return cash.quantize(Decimal("0.01"), ROUND_HALF_EVEN), held


def sums(figures: Mapping[int, tuple[Decimal, Decimal]]) -> tuple[Decimal, Decimal]:
    """Return the sum of quantities and of quantities times prices."""
    with localcontext(prec=60):
        return sum((each for each, _ in figures.values()), Decimal(0)), sum(
            (quantity * price for quantity, price in figures.values()), Decimal(0)
        )
