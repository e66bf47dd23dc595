"""Redis killed, emptied, set back or robbed of keys in mid-traffic: slower, never wrong."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

import pytest
from msgspec.structs import replace
from redis import Redis as BlockingRedis
from redis.asyncio import Redis
from redis.exceptions import RedisError

from api.embedded import EmbeddedServers
from domain.errors import NotFound
from projections.portfolio import PORTFOLIO_PROJECTOR
from projections.rebuild import rebuild
from read_side.adapters.postgres_builder import PostgresBuilder
from read_side.adapters.redis import RedisHotCopy
from read_side.adapters.redis_link import connect, guarded
from read_side.optional import Breaker, Link
from read_side.portfolio import PORTFOLIOS, Portfolios
from read_side.store import Checkpoint, Page, Rows
from tests.projections.logs import Process, append, deposited, opened, process
from tests.projections.running import running
from tests.read_side.waited import Waited

PORTFOLIO_COUNT = 5


@asynccontextmanager
async def linked(
    redis_url: str, *, timeout: float = 60.0, breaker: Breaker | None = None
) -> AsyncIterator[Link[Redis]]:
    link = guarded(connect(redis_url, timeout=timeout), breaker=breaker or Breaker(0.01, 0.05))
    try:
        yield link
    finally:
        await link.close()


@asynccontextmanager
async def hot_copy(one: Process, redis_url: str) -> AsyncIterator[RedisHotCopy]:
    async with linked(redis_url) as link:
        yield RedisHotCopy(link, one.signals)


class Counted:
    """How many rounds of the traffic are done."""

    def __init__(self) -> None:
        self.rounds = 0
        self._goals: list[tuple[int, asyncio.Event]] = []

    def add(self) -> None:
        self.rounds += 1
        for goal, reached in self._goals:
            if self.rounds >= goal:
                reached.set()

    async def reach(self, goal: int) -> None:
        reached = asyncio.Event()
        self._goals.append((goal, reached))
        await reached.wait()


@asynccontextmanager
async def traffic(one: Process, queries: Portfolios) -> AsyncIterator[Counted]:
    """Write to some portfolios and read each write back; also nobody may ever see a version go back."""
    done, counted = asyncio.Event(), Counted()
    start = await append(one.database_url, *(opened(f"P{n}", "1") for n in range(PORTFOLIO_COUNT)))

    async def work(portfolio_id: str) -> None:
        version, position = 1, start
        while not done.is_set():
            version += 1
            position = await append(one.database_url, deposited(portfolio_id, version, str(version)))
            for _ in range(5):
                row = await queries.by_id(portfolio_id, at_least=position, wait=60)
                assert (row.version, str(row.cash)) == (version, str(version))
                row = await queries.by_id(portfolio_id)
                assert (row.version, str(row.cash)) == (version, str(version))
            with pytest.raises(NotFound):
                await queries.by_id("NOBODY", at_least=position, wait=60)
            counted.add()

    async with asyncio.TaskGroup() as tasks:
        for n in range(PORTFOLIO_COUNT):
            tasks.create_task(work(f"P{n}"))
        yield counted
        done.set()


async def more(counted: Counted, rounds: int = 15) -> None:
    """Let the traffic go on for so many rounds."""
    async with asyncio.timeout(60):
        await counted.reach(counted.rounds + rounds)


@asynccontextmanager
async def busy(database_url: str, redis_url: str) -> AsyncIterator[tuple[Link[Redis], Counted]]:
    """Run a process with a projection, a hot copy and traffic."""
    async with process(database_url) as one, linked(redis_url) as link:
        hot = RedisHotCopy(link, one.signals)
        async with running(one, hot=hot), traffic(one, Portfolios(one.store, one.signals, hot)) as counted:
            yield link, counted


async def test_a_copy_flushed_and_robbed_in_traffic_answers_nothing_wrong(database_url: str, redis_url: str) -> None:
    async with busy(database_url, redis_url) as (_, counted), Redis.from_url(redis_url) as redis:
        for _ in range(6):
            await more(counted)
            await redis.flushall()
            await more(counted)
            await redis.delete("portfolio:P0:facts", "portfolio:P1:facts")
            await more(counted)
            await redis.delete("view:portfolios:checkpoint")
        assert await redis.get("portfolio:P0:facts") is not None


async def test_a_copy_set_back_in_traffic_answers_nothing_wrong(database_url: str, redis_url: str) -> None:
    """What a restart from an older snapshot leaves: every key as it was."""
    async with busy(database_url, redis_url) as (_, counted), Redis.from_url(redis_url) as redis:
        await more(counted)
        for _ in range(6):
            keys = ["view:portfolios:checkpoint", *(f"portfolio:P{n}:facts" for n in range(PORTFOLIO_COUNT))]
            old = dict(zip(keys, await redis.mget(keys), strict=True))
            await more(counted)
            await redis.mset({key: value for key, value in old.items() if value is not None})
            await more(counted)


async def test_a_copy_killed_in_traffic_answers_nothing_wrong(database_url: str, own_valkey: EmbeddedServers) -> None:
    redis_url = own_valkey.addresses.redis_url
    assert redis_url is not None
    async with busy(database_url, redis_url) as (link, counted):
        for _ in range(3):
            await more(counted)
            async with Redis.from_url(redis_url) as redis:
                pid = (await redis.info("server"))["process_id"]
            os.kill(pid, signal.SIGKILL)
            await more(counted)
            assert not link.reachable
            await asyncio.to_thread(until_back, own_valkey, redis_url, pid)
            await more(counted)
        async with asyncio.timeout(60):
            while not link.reachable:
                await more(counted, 1)


def until_back(servers: EmbeddedServers, redis_url: str, killed: int) -> None:
    """Let the owner restart its server."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        servers.watch()
        with suppress(RedisError), BlockingRedis.from_url(redis_url) as client:
            if client.info("server")["process_id"] != killed:
                return
    raise TimeoutError("Valkey was not restarted")


async def test_a_copy_that_hangs_costs_one_timeout(database_url: str, own_valkey: EmbeddedServers) -> None:
    redis_url = own_valkey.addresses.redis_url
    assert redis_url is not None
    head = await append(database_url, opened("A", "1"))
    breaker = Waited(3_600, 3_600)
    async with process(database_url) as one, linked(redis_url, timeout=0.3, breaker=breaker) as link:
        async with running(one):
            await one.store.wait_for(PORTFOLIOS, head, 60)
        async with Redis.from_url(redis_url) as redis:
            pid = (await redis.info("server"))["process_id"]
        queries = Portfolios(one.store, one.signals, RedisHotCopy(link, one.signals))
        os.kill(pid, signal.SIGSTOP)
        try:
            for _ in range(50):
                assert (await queries.by_id("A")).version == 1
            assert breaker.times == 1
        finally:
            os.kill(pid, signal.SIGCONT)


async def test_the_copy_answers_and_only_what_it_may(database_url: str, redis_url: str) -> None:
    head = await append(database_url, opened("A", "1"), opened("B", "2"))
    async with process(database_url) as one, hot_copy(one, redis_url) as hot:
        async with running(one, hot=hot):
            await one.store.wait_for(PORTFOLIOS, head, 60)
        found = await hot.read(PORTFOLIOS, ["A", "B", "C"])
        assert found is not None
        assert (set(found.rows), found.position) == ({"A", "B"}, head)
        stored = await one.store.get_many(PORTFOLIOS, ["A", "B"])
        assert found.rows == stored.rows
        one.signals.epoch = uuid4()
        assert await hot.read(PORTFOLIOS, ["A"]) is None


async def test_a_rebuilt_view_is_another_copy(database_url: str, redis_url: str) -> None:
    head = await append(database_url, opened("A", "1"))
    async with process(database_url) as one, hot_copy(one, redis_url) as hot:
        async with running(one, hot=hot):
            await one.store.wait_for(PORTFOLIOS, head, 60)
        old = (await one.store.get_many(PORTFOLIOS, ["A"])).rows["A"]
        await rebuild(PORTFOLIO_PROJECTOR, one.history, PostgresBuilder(database_url))
        one.signals.correct(PORTFOLIOS.name, await one.store.checkpoint(PORTFOLIOS))
        assert await hot.read(PORTFOLIOS, ["A"]) is None
        async with running(one, hot=hot):
            await one.store.wait_for(PORTFOLIOS, await append(database_url, deposited("A", 2, "2")), 60)
        late = Page({"A": old}, Checkpoint(head, 1), head + 100)
        await hot.save_page(PORTFOLIOS, late)
        found = await hot.read(PORTFOLIOS, ["A"])
        assert found is not None
        assert found.rows["A"].version == 2


async def test_a_refill_never_replaces_something_newer(database_url: str, redis_url: str) -> None:
    await append(database_url, opened("A", "1"), deposited("A", 2, "2"))
    async with process(database_url) as one, hot_copy(one, redis_url) as hot, Redis.from_url(redis_url) as redis:
        events = await one.history.page(0, 10)
        [old] = PORTFOLIO_PROJECTOR.fold({}, events[:1]).values()
        [new] = PORTFOLIO_PROJECTOR.fold({}, events).values()
        assert old is not None
        assert new is not None
        await hot.save_page(PORTFOLIOS, Page({"A": new}, Checkpoint(0, 1), 2))
        await hot.refill(PORTFOLIOS, Rows({"A": old}, Checkpoint(1, 1)))
        await hot.refill(PORTFOLIOS, Rows({"A": replace(new, portfolio_name="another")}, Checkpoint(2, 1)))
        found = await hot.read(PORTFOLIOS, ["A"])
        assert found is not None
        assert found.rows == {"A": new}
        await redis.delete("portfolio:A:facts")
        await hot.refill(PORTFOLIOS, Rows({"A": old}, Checkpoint(1, 1)))
        assert await redis.get("portfolio:A:facts") is None
        await hot.refill(PORTFOLIOS, Rows({"A": new}, Checkpoint(2, 1)))
        assert await redis.get("portfolio:A:facts") is not None
