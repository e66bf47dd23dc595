"""The commands on portfolios."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from domain.errors import AlreadyExists, NotFound
from domain.portfolio import Portfolio, PositionUpdate, Status
from domain.values import ZERO
from write_side.event_store import Done, EventStore
from write_side.log import Context


@dataclass(frozen=True, kw_only=True)
class OpenPortfolio:
    """Open a portfolio under an id that is not taken, with its opening cash (0 or more)."""

    portfolio_id: str
    portfolio_name: str
    cash_balance: Decimal = ZERO

    async def handle(self, store: EventStore, context: Context, *, now: datetime) -> Done[Portfolio]:
        """Raises ``Invalid``, ``AlreadyExists`` and what ``EventStore.add`` raises."""
        portfolio = Portfolio.open(self.portfolio_id, self.portfolio_name, self.cash_balance, now)
        return await store.add(
            portfolio, context, taken=lambda: AlreadyExists(f"portfolio {self.portfolio_id} already exists")
        )


@dataclass(frozen=True, kw_only=True)
class UpdatePortfolio:
    """Apply position updates in order, all or none, at their business time."""

    portfolio_id: str
    updates: tuple[PositionUpdate, ...]
    timestamp: datetime

    async def handle(self, store: EventStore, context: Context, *, now: datetime) -> Done[Portfolio]:
        """Raises ``Invalid``, ``NotFound``, ``StaleVersion`` and what ``EventStore.change`` raises."""
        return await store.change(
            Portfolio,
            self.portfolio_id,
            lambda portfolio: portfolio.update(self.updates, self.timestamp, now=now),
            context,
            missing=lambda: NotFound(f"portfolio {self.portfolio_id} does not exist"),
        )


@dataclass(frozen=True, kw_only=True)
class ChangeStatus:
    """Let a portfolio take another status; the one it has is accepted and changes nothing."""

    portfolio_id: str
    status: Status

    async def handle(self, store: EventStore, context: Context, *, now: datetime) -> Done[Portfolio]:
        """Raises ``RuleViolated``, ``NotFound``, ``StaleVersion`` and what ``EventStore.change`` raises."""
        return await store.change(
            Portfolio,
            self.portfolio_id,
            lambda portfolio: portfolio.change_status(self.status, now),
            context,
            missing=lambda: NotFound(f"portfolio {self.portfolio_id} does not exist"),
        )
