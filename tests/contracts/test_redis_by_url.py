"""The copies in a Redis that somebody else runs, with a password and a database: slower without it, never wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from read_side.adapters import redis_rendered
from read_side.adapters.redis import RedisHotCopy
from read_side.adapters.redis_rendered import RedisRendered
from read_side.portfolio import PORTFOLIOS, Portfolios
from read_side.rendered import Rendered, Stamp
from tests.projections.logs import Process, append, opened, process
from tests.projections.running import running
from tests.read_side.test_hot_copy import busy, linked, more
from tests.read_side.test_rendered import begun, changing, copy_in, written
from tests.servers.valkey import DATABASE, TcpValkey


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write rendered bytes without resting."""
    monkeypatch.setattr(redis_rendered, "_REST", 0.0)


@pytest.fixture(params=["another password", "no password"])
def refused_url(request: pytest.FixtureRequest, own_redis: TcpValkey) -> str:
    """The URL of a server that is there and refuses us."""
    if request.param == "no password":
        return f"redis://127.0.0.1:{own_redis.port}/{DATABASE}"
    return own_redis.with_password("another")


@asynccontextmanager
async def with_a_row(database_url: str, redis_url: str) -> AsyncIterator[tuple[Process, RedisHotCopy, int]]:
    """A process whose projection has filled its view and, where it could, the hot copy; with the log's head."""
    head = await append(database_url, opened("A", "1"))
    async with process(database_url) as one, linked(redis_url, timeout=60) as link:
        hot = RedisHotCopy(link, one.signals)
        async with running(one, hot=hot):
            await one.store.wait_for(PORTFOLIOS, head, 60)
            yield one, hot, head


async def test_the_hot_copy_is_kept_in_the_database_that_the_url_names(database_url: str, redis_by_url: str) -> None:
    async with with_a_row(database_url, redis_by_url) as (one, hot, head):
        found = await hot.read(PORTFOLIOS, ["A", "B"])
        assert found is not None
        assert (found.rows, found.position) == ((await one.store.get_many(PORTFOLIOS, ["A"])).rows, head)
    async with Redis.from_url(redis_by_url) as redis:
        assert await redis.exists("portfolio:A:facts")
        assert set(await redis.info("keyspace")) == {f"db{DATABASE}"}


async def test_rendered_bytes_are_kept_in_the_database_that_the_url_names(redis_by_url: str) -> None:
    rendered = Rendered(b"{}", Stamp(2, 3))
    async with copy_in(redis_by_url, timeout=60) as copy, copy_in(redis_by_url, timeout=60) as another:
        copy.put("state", "P", rendered)
        await written(copy)
        assert await another.get("state", "P") == rendered
    async with Redis.from_url(redis_by_url) as redis:
        assert await redis.get("portfolio:P:state") == b"{}"
        assert set(await redis.info("keyspace")) == {f"db{DATABASE}"}


async def test_who_is_refused_reads_the_durable_views(database_url: str, refused_url: str) -> None:
    async with with_a_row(database_url, refused_url) as (one, hot, head):
        assert await hot.read(PORTFOLIOS, ["A"]) is None
        row = await Portfolios(one.store, one.signals, hot).by_id("A", at_least=head, wait=60)
        assert (row.version, str(row.cash)) == (1, "1")


async def test_who_is_refused_renders_for_himself(refused_url: str) -> None:
    async with linked(refused_url) as link:
        copy = RedisRendered(link)
        world = begun(copy)
        await world.append(*world.market.events)
        await changing(world, 6)
        await copy.close()
        assert not link.reachable


async def test_a_server_killed_and_started_again_in_traffic_answers_nothing_wrong(
    database_url: str, own_redis: TcpValkey
) -> None:
    async with busy(database_url, own_redis.url) as (link, counted):
        for _ in range(2):
            await more(counted)
            await asyncio.to_thread(own_redis.kill)
            await more(counted)
            assert not link.reachable
            await asyncio.to_thread(own_redis.start)
            await more(counted)
        async with asyncio.timeout(60):
            while not link.reachable:
                await more(counted, 1)


async def test_a_server_killed_while_rendering_answers_the_same(own_redis: TcpValkey) -> None:
    async with copy_in(own_redis.url, timeout=0.2) as copy:
        world = begun(copy)
        await world.append(*world.market.events)
        await changing(world, 3)
        await asyncio.to_thread(own_redis.kill)
        await changing(world, 6)
        assert await copy.get("state", "P") is None
        await asyncio.to_thread(own_redis.start)
        async with asyncio.timeout(60):
            while await copy.get("state", "P") is None:
                await changing(world, 1)
