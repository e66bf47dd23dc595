"""The stores of views that must keep the contract: an adapter is one line in ``STORES``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from read_side.adapters.postgres import PostgresViewStore
from read_side.adapters.postgres_leader import PostgresLeadership
from read_side.store import SearchableViewStore
from tests.projections.logs import process


@asynccontextmanager
async def postgres_through_a_pool(database_url: str) -> AsyncIterator[PostgresViewStore]:
    async with process(database_url) as one:
        yield one.store


@asynccontextmanager
async def postgres_as_leader(database_url: str) -> AsyncIterator[PostgresViewStore]:
    async with process(database_url) as one, PostgresLeadership(database_url, one.signals).lead("portfolios") as store:
        yield store


STORES: list[Callable[[str], AbstractAsyncContextManager[SearchableViewStore]]] = [
    postgres_through_a_pool,
    postgres_as_leader,
]
