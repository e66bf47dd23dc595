"""What portfolios have, from our own portfolio state: the adapter of the port ``Holdings``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from domain.portfolio import Portfolio
from write_side.event_store import EventStore
from write_side.ports import Held

_AT_ONCE = 10
"""So many portfolios are loaded by one query: what it brings is decoded without a pause."""


class StoredHoldings:
    """``Holdings`` over the event log, as it is now; portfolios that were not loaded yet hold up nobody for long."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._turn = asyncio.Lock()

    async def of(self, portfolio_ids: Sequence[str]) -> dict[str, Held]:
        """Return those of the portfolios that exist, by id; raises ``StoreUnavailable``, ``Broken``."""
        found: dict[str, Held] = {}
        for start in range(0, len(portfolio_ids), _AT_ONCE):
            async with self._turn:
                loaded = await self._store.load_many(Portfolio, portfolio_ids[start : start + _AT_ONCE])
                found |= {portfolio_id: _held(portfolio) for portfolio_id, portfolio in loaded.items()}
                await asyncio.sleep(0)
        return found


def _held(portfolio: Portfolio) -> Held:
    quantities = {instrument_id: holding.quantity for instrument_id, holding in portfolio.positions.items()}
    return Held(portfolio.portfolio_id, portfolio.portfolio_name, portfolio.cash, quantities)
