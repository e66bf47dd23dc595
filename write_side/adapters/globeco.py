"""Holdings, prices and tickers from the GlobeCo services (seed 002): portfolio accounting, security, pricing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeVar
from urllib.parse import quote

import structlog

from domain.errors import FoliologError
from domain.values import ZERO
from write_side.adapters.service import OddAnswer, Service, ServiceUnavailable, decimal_of
from write_side.ports import Held, Priced

T = TypeVar("T")
log = structlog.get_logger(__name__)
_TICKERS_LAST: Final = 3600.0
"""Seconds after which a ticker is asked for again."""
_NAMED: Final = 20
"""So many of those with an odd answer a line of the log names."""


class GlobecoHoldings:
    """The port ``Holdings`` on the Portfolio Accounting Service."""

    def __init__(self, accounting: Service) -> None:
        self._accounting = accounting

    async def of(self, portfolio_ids: Sequence[str]) -> Mapping[str, Held | FoliologError]:
        return await _each(portfolio_ids, self._told)

    async def _told(self, portfolio_id: str) -> Held | FoliologError | None:
        try:
            return await self._held(portfolio_id)
        except OddAnswer as error:
            return error

    async def _held(self, portfolio_id: str) -> Held | None:
        path = f"/api/v1/portfolios/{quote(portfolio_id, safe='')}/summary"
        summary = await self._accounting.get(path)
        if summary is None:
            return None
        where = f"{self._accounting.name} at GET {path}"
        if not isinstance(summary, dict):
            raise OddAnswer(f"{where}: the answer is not an object")
        quantities: dict[str, Decimal] = {}
        for index, security in enumerate(_list(summary, "securities", where)):
            member = security if isinstance(security, dict) else {}
            security_id, quantity = member.get("securityId"), decimal_of(member.get("netQuantity"))
            if not isinstance(security_id, str) or not security_id or quantity is None:
                raise OddAnswer(f"{where}: securities[{index}] has no securityId and netQuantity")
            if security_id in quantities:
                raise OddAnswer(f"{where}: securities[{index}] is {security_id} for the second time")
            quantities[security_id] = quantity
        cash = summary.get("cashBalance")
        balance = ZERO if cash is None else decimal_of(cash)
        if balance is None:
            raise OddAnswer(f"{where}: cashBalance is {str(cash)[:40]!a}, not a number")
        name = summary.get("portfolioName") or summary.get("name")
        return Held(portfolio_id, name if isinstance(name, str) else portfolio_id, balance, quantities)


class GlobecoTickers:
    """The port ``Tickers`` on the Security Service; tickers are remembered for an hour.

    A security of which it says what cannot be read has none.
    """

    def __init__(self, securities: Service) -> None:
        self._securities = securities
        self._known: dict[str, tuple[str, float]] = {}

    async def of(self, security_ids: Collection[str]) -> dict[str, str]:
        return await _readable(security_ids, self._ticker)

    async def _ticker(self, security_id: str) -> str | None:
        known = self._known.get(security_id)
        if known is not None and known[1] > time.monotonic():
            return known[0]
        path = f"/api/v1/security/{quote(security_id, safe='')}"
        security = await self._securities.get(path)
        if security is None:
            return None
        ticker = security.get("ticker") if isinstance(security, dict) else None
        if not isinstance(ticker, str) or not ticker or not ticker.isprintable():
            raise OddAnswer(f"{self._securities.name} at GET {path}: the answer has no ticker")
        self._known[security_id] = ticker, time.monotonic() + _TICKERS_LAST
        return ticker


class GlobecoPrices:
    """The port ``MarketPrices`` on the Pricing Service, which knows tickers.

    A close that is not positive or cannot be read is none.
    """

    source = "GlobeCo Pricing Service"

    def __init__(self, pricing: Service, tickers: GlobecoTickers) -> None:
        self._pricing, self._tickers = pricing, tickers

    async def of(self, security_ids: Collection[str]) -> Priced:
        tickers = await self._tickers.of(security_ids)
        closes = await _readable(sorted(set(tickers.values())), self._close)
        prices = {security_id: closes[ticker] for security_id, ticker in tickers.items() if ticker in closes}
        return Priced(prices, 0)

    async def _close(self, ticker: str) -> Decimal | None:
        path = f"/api/v1/price/{quote(ticker, safe='')}"
        price = await self._pricing.get(path)
        if price is None:
            return None
        close = decimal_of(price.get("close")) if isinstance(price, dict) else None
        if close is None:
            raise OddAnswer(f"{self._pricing.name} at GET {path}: the answer has no close")
        return close if close > 0 else None


async def _readable(keys: Iterable[str], ask: Callable[[str], Awaitable[T | None]]) -> dict[str, T]:
    """Do ``_each``; what cannot be read about one key is logged and counts as nothing known, for this key alone."""
    odd: dict[str, OddAnswer] = {}

    async def one(key: str) -> T | None:
        try:
            return await ask(key)
        except OddAnswer as error:
            odd[key] = error
            return None

    found = await _each(keys, one)
    if odd:
        log.warning("odd answers count as none", count=len(odd), names=sorted(odd)[:_NAMED], error=str(odd[min(odd)]))
    return found


async def _each(keys: Iterable[str], ask: Callable[[str], Awaitable[T | None]]) -> dict[str, T]:
    """Ask for all at once; return what there is. The first error ends all of it and is raised."""
    found: dict[str, T] = {}

    async def one(key: str) -> None:
        answer = await ask(key)
        if answer is not None:
            found[key] = answer

    try:
        async with asyncio.TaskGroup() as group:
            for key in keys:
                group.create_task(one(key))
    except* ServiceUnavailable as errors:
        raise errors.exceptions[0] from None
    return found


def _list(body: dict[str, Any], name: str, where: str) -> list[Any]:
    members = body.get(name) or []
    if not isinstance(members, list):
        raise OddAnswer(f"{where}: {name} is not a list")
    return members
