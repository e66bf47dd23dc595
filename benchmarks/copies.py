"""How fast a search copy is filled, against the client's own bulk helper, and how soon a commit is seen outside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from elasticsearch import AsyncElasticsearch
from elasticsearch.helpers import async_streaming_bulk
from psycopg_pool import AsyncConnectionPool

from benchmarks.harness import Place, Result, percentile
from domain.base import Event
from projections.copying import Copier
from projections.portfolio import PORTFOLIO_PROJECTOR
from projections.projector import Projector
from projections.runner import Runner
from projections.transactions import TRANSACTION_PROJECTOR
from read_side.adapters.elasticsearch_documents import computed
from read_side.adapters.elasticsearch_index import ElasticsearchIndexes
from read_side.adapters.elasticsearch_link import connect
from read_side.adapters.elasticsearch_search import ElasticsearchSearch, guarded
from read_side.adapters.postgres import PostgresViewStore
from read_side.adapters.postgres_changes import PostgresChanges
from read_side.adapters.postgres_leader import PostgresLeadership
from read_side.adapters.postgres_signals import Listener
from read_side.adapters.redis import RedisHotCopy
from read_side.adapters.redis_link import connect as connect_redis
from read_side.adapters.redis_link import guarded as guarded_redis
from read_side.changes import BEGINNING
from read_side.portfolio import PORTFOLIOS
from read_side.signals import Signals
from read_side.store import HotCopy, Search
from read_side.tasks import end
from read_side.transactions import TRANSACTIONS
from tests.projections.logs import append_rows, deposited, opened, stored
from tests.servers.elasticsearch import Elasticsearch
from write_side.adapters.postgres_log import PostgresLog

EVENTS = 100_000
NAMES = 1_000
SAMPLES = 200
PAUSE = 0.02
"""Seconds between two commits while it is measured how soon they are seen."""
LOOK = 0.002
PREFIX = "bench"


async def run(place: Place) -> list[Result]:
    """Return documents a second of filling a copy, and the times from a commit until it is seen in each copy."""
    assert place.redis_url is not None
    with Elasticsearch(place.folder / "elasticsearch") as server:
        async with _world(place.database_url, server.url) as world:
            await _fill(place.database_url)
            await world.followed(TRANSACTION_PROJECTOR)
            documents = await world.documents()
            await world.bare(documents[: len(documents) // 5])  # a server is slow at first
            bare = await world.bare(documents)
            filled = await world.filled(len(documents))
            redis, search = await world.seen(place.redis_url)
    return [
        Result(
            name="search copy: rows of a view into Elasticsearch, from nothing until it is searched",
            value=filled,
            unit="documents/s",
            baseline=bare,
            ratio=filled / bare,
            note="baseline: the client's bulk helper with the same documents, read and made before",
        ),
        _latency("commit to Redis (hot copy)", redis),
        _latency("commit to Elasticsearch (search copy, which rests 0.1 s twice)", search),
    ]


def _latency(name: str, seconds: list[float]) -> Result:
    p50, p99 = percentile(seconds, 0.5), percentile(seconds, 0.99)
    return Result(name=name, value=p50, unit="ms", p50_ms=p50, p99_ms=p99, note=f"{1 / PAUSE:.0f} commits a second")


@dataclass
class _World:
    """A log, its views, and Elasticsearch."""

    database_url: str
    pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]]
    signals: Signals
    client: AsyncElasticsearch

    @property
    def log(self) -> PostgresLog:
        return PostgresLog(self.pool)

    def runner(self, projector: Projector[Any], hot: HotCopy | None = None) -> Runner[Any]:
        leadership = PostgresLeadership(self.database_url, self.signals)
        return Runner(projector=projector, history=self.log, leadership=leadership, signals=self.signals, hot=hot)

    def copier(self) -> Copier[Any]:
        return Copier(
            view=TRANSACTIONS,
            changes=PostgresChanges(self.pool.connection),
            indexes=ElasticsearchIndexes(self.client, PREFIX),
            history=self.log,
            leadership=PostgresLeadership(self.database_url, self.signals),
            signals=self.signals,
        )

    async def followed(self, projector: Projector[Any]) -> None:
        """Bring a view to the end of the log."""
        await PostgresViewStore(self.pool.connection, self.signals).prepare(projector.view)
        async with _running(self.runner(projector).run()):
            await self.signals.wait_for(projector.view.name, await self.log.head(), 600)

    async def documents(self) -> list[dict[str, Any]]:
        """Return all rows as the client's helper takes them."""
        changes, found = PostgresChanges(self.pool.connection), list[dict[str, Any]]()
        changed = await changes.changes(TRANSACTIONS, BEGINNING, 2_000)
        while changed.rows:
            for at, row in changed.rows:
                source = {"key": at.key, "position": at.position, "row": row, "search": {"portfolio_id": at.key[:5]}}
                found.append({"_id": at.key, "version": at.position, "version_type": "external", "_source": source})
            changed = await changes.changes(TRANSACTIONS, changed.rows[-1][0], 2_000)
        return found

    async def bare(self, documents: list[dict[str, Any]]) -> float:
        """Send these by the client's helper into a new index; return how many a second."""
        await self.client.indices.create(index="bare", body=computed(TRANSACTIONS))
        began = time.perf_counter()
        async for well, item in async_streaming_bulk(self.client, documents, index="bare", chunk_size=1_000):
            assert well, item
        await self.client.indices.refresh(index="bare")
        took = time.perf_counter() - began
        await self.client.indices.delete(index="bare")
        return len(documents) / took

    async def filled(self, count: int) -> float:
        """Fill the copy with so many rows; return documents a second."""
        copier = self.copier()
        began = time.perf_counter()
        async with _running(copier.run()):
            await _until(lambda: self._live(EVENTS))
        return count / (time.perf_counter() - began)

    async def _live(self, position: int) -> bool:
        index = await ElasticsearchIndexes(self.client, PREFIX).live(TRANSACTIONS)
        return index is not None and index.checkpoint.position >= position

    async def seen(self, redis_url: str) -> tuple[list[float], list[float]]:
        """Return the seconds from commits until they are seen in Redis and in Elasticsearch."""
        hot_link = guarded_redis(connect_redis(redis_url, timeout=2))
        hot = RedisHotCopy(hot_link, self.signals)
        search = ElasticsearchSearch(guarded(self.client, PREFIX), PREFIX, self.signals)
        await self.followed(PORTFOLIO_PROJECTOR)

        async def in_redis(position: int) -> bool:
            found = await hot.read(PORTFOLIOS, ["R0"])
            return found is not None and found.position >= position

        async def in_elasticsearch(position: int) -> bool:
            asked = Search(equals={"portfolio_id": "R0"}, sort="-portfolio_id", limit=1, at_least=position)
            return await search.search(TRANSACTIONS, asked) is not None

        async with AsyncExitStack() as stack:
            stack.push_async_callback(hot_link.close)
            for work in (self.runner(PORTFOLIO_PROJECTOR, hot).run(), self.runner(TRANSACTION_PROJECTOR).run()):
                await stack.enter_async_context(_running(work))
            await stack.enter_async_context(_running(self.copier().run()))
            return await self._until_seen(in_redis), await self._until_seen(in_elasticsearch)

    async def _until_seen(self, seen: Callable[[int], Awaitable[bool]]) -> list[float]:
        waits: list[asyncio.Task[float]] = []

        async def wait(position: int, since: float) -> float:
            await _until(lambda: seen(position))
            return time.perf_counter() - since

        async with await psycopg.AsyncConnection.connect(self.database_url, autocommit=True) as connection:
            query = "select coalesce(max(originator_version), 0) from es.stored_events where originator_id = %s"
            row = await (await connection.execute(query, ("portfolio/R0",))).fetchone()
            assert row is not None
            for number in range(SAMPLES):
                position = await append_rows(connection, [stored(_event("R0", row[0] + number + 1))])
                waits.append(asyncio.create_task(wait(position, time.perf_counter())))
                await asyncio.sleep(PAUSE)
        return await asyncio.gather(*waits)


@asynccontextmanager
async def _world(database_url: str, elasticsearch_url: str) -> AsyncIterator[_World]:
    signals = Signals()
    listener = Listener(database_url, signals)
    async with (
        AsyncConnectionPool(database_url, min_size=2, max_size=6, kwargs={"autocommit": True}) as pool,
        connect(elasticsearch_url, 60) as client,
    ):
        await listener.start()
        try:
            yield _World(database_url, pool, signals, client)
        finally:
            await listener.close()


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        await end(task)


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(600):
        while not await condition():  # noqa: ASYNC110  (what is looked at is in another server, and sets no event)
            await asyncio.sleep(LOOK)


async def _fill(database_url: str) -> None:
    """Append a log of portfolios that are opened once and then moved in turn."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        for first in range(0, EVENTS, 5_000):
            numbers = range(first, first + 5_000)
            await append_rows(connection, [stored(_event(f"R{each % NAMES}", each // NAMES + 1)) for each in numbers])


def _event(name: str, version: int) -> Event:
    return opened(name) if version == 1 else deposited(name, version, "1000.25")
