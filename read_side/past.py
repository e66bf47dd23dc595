"""Portfolios as they were: at a version of theirs, or at a time by the log's clock, with the prices known then."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

from domain.base import Recorded, fold
from domain.errors import NotFound, NotYet
from domain.portfolio import PORTFOLIO_ID, Portfolio
from domain.valuation import value
from read_side.history import Archive
from read_side.prices import Prices
from read_side.rendered import Rendered, Stamp
from read_side.rendering import state_json
from read_side.signals import Signals
from read_side.wire import moment as shown


class PastStates:
    """States of earlier days, from the log itself.

    Each query takes ``at_least``, the log position that must have been reached, and ``wait``, how many seconds to wait
    for it; raises ``NotFound``, ``NotYet``, ``StoreUnavailable``.
    """

    def __init__(self, archive: Archive, prices: Prices, signals: Signals) -> None:
        self._archive, self._prices, self._signals = archive, prices, signals

    async def at_version(self, portfolio_id: str, version: int, *, at_least: int = 0, wait: float = 2.0) -> Rendered:
        """Return the ``PortfolioState`` right after the event with this version."""
        deadline = await self._reached(at_least, wait)
        events = await self._events(portfolio_id, version=version)
        if not events or events[-1].version < version:
            raise NotFound(f"portfolio {portfolio_id[:100]} has not reached version {version}")
        return await self._state(events, events[-1].position, deadline)

    async def at_time(self, portfolio_id: str, moment: datetime, *, at_least: int = 0, wait: float = 2.0) -> Rendered:
        """Return the ``PortfolioState`` after everything recorded at or before this time."""
        deadline = await self._reached(at_least, wait)
        position = await self._archive.position_at(moment)
        events = await self._events(portfolio_id, position=position)
        if not events:
            raise NotFound(f"of portfolio {portfolio_id[:100]} nothing was recorded by {shown(moment)}")
        return await self._state(events, position, deadline)

    async def _reached(self, at_least: int, wait: float) -> float:
        """Wait for the log to be at this position; return when the time is over, by the monotonic clock."""
        deadline = time.monotonic() + wait
        if not await self._signals.wait_for_head(at_least, wait):
            raise NotYet("log", at_least, self._signals.head)
        return deadline

    async def _events(
        self, portfolio_id: str, *, version: int | None = None, position: int | None = None
    ) -> Sequence[Recorded]:
        if not PORTFOLIO_ID.match(portfolio_id):
            return ()
        return await self._archive.stream(Portfolio.stream(portfolio_id), version=version, position=position)

    async def _state(self, events: Sequence[Recorded], position: int, deadline: float) -> Rendered:
        portfolio: Portfolio | None = fold(recorded.event for recorded in events)
        assert portfolio is not None  # noqa: S101 - there are events
        prices = await self._prices.at(portfolio.positions, position, wait=deadline - time.monotonic())
        return Rendered(state_json(value(portfolio, prices)), Stamp(portfolio.version, position))
