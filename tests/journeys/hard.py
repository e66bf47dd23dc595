"""A model whose cash-bound rebalances are too hard for the exact search: a solver is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from math import ceil
from random import Random
from typing import Any, Final

import httpx2

from domain.rebalance import Options
from tests.api.asking import opening, pricing
from tests.domain.models import security
from tests.journeys.desk import LONG, asked, judged, told

PORTFOLIO: Final = "HARD"
"""It holds nothing."""
CASH: Final = Decimal(120_000)
DRIFT: Final = Decimal("0.4")
_COUNT: Final = 60
_SLACK: Final = 300
"""So little of the cash is above what the bands need at least that few combinations fit."""


def _lines() -> Iterator[tuple[str, Decimal, Decimal]]:
    """Yield security, price, and target: half percents, 95 together."""
    choose = Random("1")
    halves = [1] * _COUNT
    for _ in range(190 - _COUNT):
        halves[choose.randrange(_COUNT)] += 1
    for number, half in enumerate(halves):
        price = Decimal(round(150 * choose.uniform(0.5, 1.5) * 100)).scaleb(-2)
        yield security(1000 + number), price, Decimal(half) / 2


LINES: Final = tuple(_lines())
PRICES: Final = {name: price for name, price, _ in LINES}
LEAST: Final = sum(ceil(CASH * (target - DRIFT) / 100 / price) * price for _, price, target in LINES)
"""What the bands need at least."""
KEPT: Final = CASH - LEAST - _SLACK


async def hard_model(http: httpx2.AsyncClient) -> str:
    """Make the model with its portfolio; return the path of its rebalances."""
    await asked(http, "POST", "/api/v1/prices", pricing({name: str(price) for name, price in PRICES.items()}))
    await asked(http, "POST", "/api/v1/portfolios", opening(PORTFOLIO, cash_balance=str(CASH)))
    positions = [
        {"security_id": name, "target": str(target), "low_drift": str(DRIFT), "high_drift": str(DRIFT)}
        for name, _, target in LINES
    ]
    body = {"name": "Hard", "positions": positions, "portfolios": [PORTFOLIO]}
    made = await asked(http, "POST", "/api/v1/models", body)
    return f"/api/v1/rebalance/model/{made.json()['model_id']}"


async def by_a_solver(http: httpx2.AsyncClient, path: str) -> Any:
    """Return the result of the portfolio, asked for until a solver was quick enough to have a part in it."""
    async with asyncio.timeout(LONG):
        while True:
            (found,) = told(await asked(http, "POST", path, {"min_cash": str(KEPT)}))
            judged(found, PRICES, Options(min_cash=KEPT))
            if found["certificate"]["solver"]:
                return found
