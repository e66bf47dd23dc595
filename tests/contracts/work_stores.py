"""What keeps the state of policies and must keep the contract, for writers and readers: an adapter is one line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from domain.base import Event
from read_side.adapters.postgres_work import PostgresWorkSource
from read_side.work import WorkSource
from tests.projections.logs import append, process
from tests.write_side.memory_work import MemoryWork
from write_side.adapters.postgres_work import PostgresWork, PostgresWorkLeadership
from write_side.work import Work


@dataclass(frozen=True)
class Kept:
    """Both sides of it; the log that it is about has the events given."""

    work: Work
    source: WorkSource


@asynccontextmanager
async def in_memory(_: str, *events: Event) -> AsyncIterator[Kept]:
    work = MemoryWork(events)
    yield Kept(work, work)


@asynccontextmanager
async def postgres_through_a_pool(database_url: str, *events: Event) -> AsyncIterator[Kept]:
    await append(database_url, *events)
    async with process(database_url) as one:
        yield Kept(PostgresWork(one.pool.connection), PostgresWorkSource(one.pool.connection))


@asynccontextmanager
async def postgres_as_leader(database_url: str, *events: Event) -> AsyncIterator[Kept]:
    await append(database_url, *events)
    async with process(database_url) as one, PostgresWorkLeadership(database_url).lead("a") as work:
        yield Kept(work, PostgresWorkSource(one.pool.connection))


WORKS: list[Callable[..., AbstractAsyncContextManager[Kept]]] = [
    in_memory,
    postgres_through_a_pool,
    postgres_as_leader,
]
