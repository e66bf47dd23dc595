"""The commands on target allocations by asset class and their rebalances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from domain.asset_allocation import Basis
from domain.errors import AlreadyExists, NotFound
from domain.portfolio import Portfolio
from domain.values import ZERO
from write_side.event_store import Done, EventStore
from write_side.log import Context


@dataclass(frozen=True, kw_only=True)
class SetAllocation:
    """Give a portfolio its target allocation; one that is not there is opened, named like its id and without cash."""

    user_id: str
    allocation: Mapping[str, Decimal]

    async def handle(self, store: EventStore, context: Context, *, now: datetime) -> Done[Portfolio]:
        """Store the allocation, in one append with the opening; of two that open at once the later one sets it.

        Raises ``Invalid``, ``RuleViolated``, ``StaleVersion`` and what ``EventStore.change`` raises.
        """
        try:
            return await self._set(store, context, now)
        except NotFound:
            portfolio = Portfolio.open(self.user_id, self.user_id, ZERO, now)
            portfolio.set_allocation(self.allocation, now)
        try:
            return await store.add(
                portfolio, context, taken=lambda: AlreadyExists(f"portfolio {self.user_id} already exists")
            )
        except AlreadyExists:
            return await self._set(store, context, now)

    async def _set(self, store: EventStore, context: Context, now: datetime) -> Done[Portfolio]:
        return await store.change(
            Portfolio,
            self.user_id,
            lambda portfolio: portfolio.set_allocation(self.allocation, now),
            context,
            missing=lambda: _unknown(self.user_id),
        )


@dataclass(frozen=True, kw_only=True)
class RequestRebalance:
    """Ask for a rebalance, which is booked later; the user's last one again, while it is pending, changes nothing."""

    user_id: str
    allocation: Mapping[str, Decimal]
    basis: Basis = Basis.TARGET

    async def handle(self, store: EventStore, context: Context, *, now: datetime) -> Done[Portfolio]:
        """Raises ``Invalid``, ``NotFound``, ``RuleViolated`` and what ``EventStore.change`` raises."""
        return await store.change(
            Portfolio,
            self.user_id,
            lambda portfolio: portfolio.request_rebalance(self.basis, self.allocation, now),
            context,
            missing=lambda: _unknown(self.user_id),
        )


@dataclass(frozen=True, kw_only=True)
class BookRebalances:
    """Book the pending rebalances of a user that were asked for up to a version, the oldest first, each once.

    For whoever follows the log: asked for again, and by several at once, it books nothing twice.
    """

    user_id: str
    up_to_version: int

    async def handle(self, store: EventStore, context: Context, *, now: datetime) -> Done[Portfolio]:
        """Return what was booked, maybe nothing; raises ``NotFound`` and what ``EventStore.change`` raises."""
        return await store.change(
            Portfolio,
            self.user_id,
            lambda portfolio: portfolio.book_rebalances(self.up_to_version, now),
            context,
            missing=lambda: _unknown(self.user_id),
        )


def _unknown(user_id: str) -> NotFound:
    return NotFound(f"portfolio {user_id} does not exist")
