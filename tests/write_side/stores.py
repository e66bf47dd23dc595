"""An event store over a real log, and short names for what the tests do with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from psycopg_pool import AsyncConnectionPool

from domain.base import Event
from domain.portfolio import Portfolio, PositionUpdate, TransactionType
from write_side.adapters.appender import Appender
from write_side.adapters.postgres_log import PostgresLog, connect
from write_side.event_store import Done, EventStore
from write_side.log import Answer, Context, Remember
from write_side.portfolio import OpenPortfolio, UpdatePortfolio

NOW = datetime(2025, 6, 21, 10, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Store:
    """One process's event store with its log and appender."""

    store: EventStore
    log: PostgresLog
    appender: Appender

    async def open(self, portfolio_id: str, cash: str = "0", context: Context | None = None) -> Done[Portfolio]:
        command = OpenPortfolio(portfolio_id=portfolio_id, portfolio_name=portfolio_id, cash_balance=Decimal(cash))
        return await command.handle(self.store, context or by(), now=NOW)

    async def move(self, portfolio_id: str, *amounts: str, context: Context | None = None) -> Done[Portfolio]:
        """Deposit the positive amounts and withdraw the negative ones, in one command."""
        command = UpdatePortfolio(portfolio_id=portfolio_id, updates=tuple(map(moved, amounts)), timestamp=NOW)
        return await command.handle(self.store, context or by(), now=NOW)

    async def cash(self, portfolio_id: str) -> Decimal:
        """Return the cash as the log has it, cache and snapshots aside."""
        portfolio = await self.store.load(Portfolio, portfolio_id)
        assert portfolio is not None
        return portfolio.cash


def moved(amount: str) -> PositionUpdate:
    kind = TransactionType.WD if amount.startswith("-") else TransactionType.DEP
    return PositionUpdate(transaction_type=kind, quantity_change=abs(Decimal(amount)))


def by(actor: str = "tester", **conditions: Any) -> Context:
    return Context(actor=actor, correlation_id=str(uuid4()), **conditions)


def once(key: str, request: bytes = b"request", *, caller: str = "tester") -> Context:
    """A context with an Idempotency-Key; the answer shows the cash."""

    async def answer(portfolio: Portfolio, events: Sequence[Event]) -> Answer:
        return Answer(200, str(portfolio.cash).encode())

    return by(remember=Remember(caller=caller, key=key, fingerprint=request, answer=answer))


@asynccontextmanager
async def event_store(database_url: str, *, append_url: str | None = None, **options: Any) -> AsyncIterator[Store]:
    """Run an event store on a migrated database; ``append_url`` is another way to it for the appender."""
    limit = options.pop("limit", 60.0)
    appender = Appender(connect=lambda: connect(append_url or database_url), limit=limit)
    async with AsyncConnectionPool(database_url, min_size=1, max_size=4, kwargs={"autocommit": True}) as pool:
        log = PostgresLog(pool, appender)
        await appender.start()
        store = EventStore(log, **options)
        try:
            yield Store(store, log, appender)
        finally:
            await appender.close()
            await store.close()
