"""Two projectors of one view: one leads, the other takes over, and whoever is overtaken writes nothing."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from domain.errors import Unavailable
from projections.portfolio import PORTFOLIO_PROJECTOR
from projections.rebuild import verify
from read_side.adapters.postgres_builder import PostgresBuilder
from read_side.adapters.postgres_following import LEADER_CLASS, PostgresFollowers
from read_side.adapters.postgres_leader import PostgresLeadership
from read_side.portfolio import PORTFOLIOS
from read_side.store import Checkpoint, Fenced, Page
from tests.projections.logs import append, content, deposited, opened, process
from tests.projections.running import running

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def projector_process(database_url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a projector as a process of its own."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.projections.running", database_url, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        assert await child.stdout.readline() == b"ready\n"
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()
        child._transport.close()  # type: ignore[attr-defined]


async def leaders(database_url: str) -> list[int]:
    """Return the backends that hold or want a leadership, those that hold it."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        cursor = await connection.execute(
            "select pid from pg_locks where locktype = 'advisory' and classid = %s and granted"
            " and database = (select oid from pg_database where datname = current_database())",
            (LEADER_CLASS,),
        )
        return [pid for (pid,) in await cursor.fetchall()]


@pytest.mark.parametrize("name", ["copy/transactions", "copy/executions", "copy/rebalances", "relay"])
async def test_anybody_is_told_whether_a_follower_is_led(database_url: str, empty_database_url: str, name: str) -> None:
    async with process(database_url) as one:
        followers = PostgresFollowers(one.pool.connection)
        assert not await followers.led(name)
        async with PostgresLeadership(empty_database_url, one.signals).follow(name):
            assert not await followers.led(name)  # that is another database's
        async with PostgresLeadership(database_url, one.signals).follow(name):
            assert await followers.led(name)
            assert not await followers.led("another")


async def test_one_leads_and_the_other_takes_over_after_kill_9(database_url: str) -> None:
    async with process(database_url) as one:
        async with projector_process(database_url) as first:
            head = await append(database_url, opened("A", "1"))
            await one.store.prepare(PORTFOLIOS)
            await one.store.wait_for(PORTFOLIOS, head, 60)
            [leader] = await leaders(database_url)
            async with projector_process(database_url):
                head = await append(database_url, *(deposited("A", version, str(version)) for version in range(2, 500)))
                await one.store.wait_for(PORTFOLIOS, head, 60)
                assert await leaders(database_url) == [leader]
                head = await append(database_url, *(deposited("A", v, str(v)) for v in range(500, 3_000)))
                first.send_signal(signal.SIGKILL)
                await first.wait()
                head = await append(database_url, *(deposited("A", v, str(v)) for v in range(3_000, 3_500)))
                await one.store.wait_for(PORTFOLIOS, head, 60)
                [successor] = await leaders(database_url)
                assert successor != leader
        compared = await verify(PORTFOLIO_PROJECTOR, one.history, PostgresBuilder(database_url))
        assert compared.differences == []


async def test_a_leader_that_loses_its_session_stands_again(database_url: str) -> None:
    async with process(database_url) as one, running(one):
        await one.store.wait_for(PORTFOLIOS, await append(database_url, opened("A", "1")), 60)
        [leader] = await leaders(database_url)
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as operator:
            await operator.execute("select pg_terminate_backend(%s)", (leader,))
        head = await append(database_url, deposited("A", 2, "2"))
        await one.store.wait_for(PORTFOLIOS, head, 60)
        [successor] = await leaders(database_url)
        assert successor != leader


async def test_a_lost_session_writes_nothing(database_url: str) -> None:
    async with process(database_url) as one:
        start = await one.store.prepare(PORTFOLIOS)
        async with PostgresLeadership(database_url, one.signals).lead(PORTFOLIOS.name) as store:
            [leader] = await leaders(database_url)
            async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as operator:
                await operator.execute("select pg_terminate_backend(%s)", (leader,))
            with pytest.raises(Unavailable):
                await store.save_page(PORTFOLIOS, Page({}, start, 1))
        assert await one.store.checkpoint(PORTFOLIOS) == start


async def test_a_fenced_projector_writes_nothing(database_url: str) -> None:
    await append(database_url, opened("A", "1"), deposited("A", 2, "2"))
    async with process(database_url) as one:
        start = await one.store.prepare(PORTFOLIOS)
        events = await one.history.page(0, 10)
        late = PORTFOLIO_PROJECTOR.fold({}, events[:1])
        async with running(one):
            await one.store.wait_for(PORTFOLIOS, 2, 60)
        before = await content(database_url, PORTFOLIOS)
        with pytest.raises(Fenced):
            await one.store.save_page(PORTFOLIOS, Page(late, start, 1))
        with pytest.raises(Fenced):
            await one.store.save_page(PORTFOLIOS, Page(late, Checkpoint(2, start.generation + 1), 3))
        assert await content(database_url, PORTFOLIOS) == before
