"""A rebuild beside the live view: readers never miss it, the projector carries on, a killed one leaves no harm."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import psycopg
import pytest

from domain.errors import Broken, StoreUnavailable
from projections.portfolio import PORTFOLIO_PROJECTOR
from projections.rebuild import rebuild, verify
from read_side.adapters.postgres_builder import BUILDER_CLASS, PostgresBuild, PostgresBuilder
from read_side.building import Difference
from read_side.portfolio import PORTFOLIOS, PortfolioRow, Portfolios
from read_side.store import View
from tests.projections.logs import append, content, deposited, opened, process, random_events
from tests.projections.running import running

ROOT = Path(__file__).parents[2]

KILLED_WHILE_BUILDING = """
import asyncio, os, signal, sys
from projections.portfolio import PORTFOLIO_PROJECTOR
from read_side.adapters.postgres_builder import PostgresBuilder

async def main():
    async with PostgresBuilder(sys.argv[1]).build(PORTFOLIO_PROJECTOR.view) as build:
        async with build.hold_live():
            os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def schemas(database_url: str) -> set[str]:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        cursor = await connection.execute("select nspname from pg_namespace where nspname ~ '^rm_'")
        return {name for (name,) in await cursor.fetchall()}


async def nobody_builds(database_url: str) -> None:
    """Return once the lock of whoever was killed is gone: its server gives that up last, after what pages wait for."""
    held = (
        "select 1 from pg_locks where locktype = 'advisory' and classid = %s"
        " and database = (select oid from pg_database where datname = current_database())"
    )
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        async with asyncio.timeout(60):
            while await (await connection.execute(held, (BUILDER_CLASS,))).fetchone() is not None:
                pass


async def test_readers_and_projector_go_on_through_rebuilds(database_url: str) -> None:
    head = await append(database_url, *random_events(seed=7, count=500, portfolios=20), opened("A", "1"))
    async with process(database_url) as one, running(one):
        await one.store.wait_for(PORTFOLIOS, head, 60)
        queries = Portfolios(one.store, one.signals)
        done, answers, written = asyncio.Event(), [0], [head]

        async def read() -> None:
            """Ask by key and by search, through prepared statements on pooled connections."""
            while not done.is_set():
                position = written[0]
                row = await queries.by_id("A", at_least=position, wait=60)
                assert row.version >= position - head + 1
                found = await queries.search("acc-", limit=1_000)
                assert len(found.rows) == 20
                answers[0] += 1

        async def write() -> None:
            version = 1
            while not done.is_set():
                version += 1
                written[0] = await append(database_url, deposited("A", version, str(version)))

        async with asyncio.timeout(300), asyncio.TaskGroup() as tasks:
            for work in [read] * 6 + [write]:
                tasks.create_task(work())
            for _ in range(8):
                before = answers[0]
                rebuilt = await rebuild(PORTFOLIO_PROJECTOR, one.history, PostgresBuilder(database_url), compare=True)
                assert rebuilt.differences == []
                assert await schemas(database_url) == {"rm_portfolios"}
                while answers[0] < before + 20:
                    await queries.by_id("A", at_least=written[0], wait=60)
            done.set()
        [lag] = await one.store.lags()
        assert lag.generation == 9
        assert not lag.stopped


async def test_verify_names_the_rows_that_differ(database_url: str) -> None:
    head = await append(database_url, opened("A", "1"), opened("B", "2"), opened("C", "3"))
    async with process(database_url) as one:
        async with running(one):
            await one.store.wait_for(PORTFOLIOS, head, 60)
        good = await content(database_url, PORTFOLIOS)
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
            await connection.execute("update rm_portfolios.portfolios set body = '{}' where key = 'A'")
            await connection.execute("update rm_portfolios.portfolios set status = 'CLOSED' where key = 'B'")
            await connection.execute("delete from rm_portfolios.portfolios where key = 'C'")
        compared = await verify(PORTFOLIO_PROJECTOR, one.history, PostgresBuilder(database_url))
        assert compared.differences is not None
        assert [found.key for found in compared.differences] == ["A", "B", "C"]
        assert compared.differences[0].live == b"{}"
        assert compared.differences[2].live is None
        rebuilt = await rebuild(PORTFOLIO_PROJECTOR, one.history, PostgresBuilder(database_url), compare=True)
        assert rebuilt.differences == compared.differences
    assert await content(database_url, PORTFOLIOS) == good


async def test_the_live_view_goes_on_while_it_is_compared(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    head = await append(database_url, *random_events(seed=8, count=50, portfolios=5), opened("A", "1"))
    compare, compared = PostgresBuild.differences, 0
    async with process(database_url) as one, running(one):
        await one.store.wait_for(PORTFOLIOS, head, 60)

        async def differences(build: PostgresBuild[PortfolioRow], limit: int) -> list[Difference]:
            nonlocal compared
            compared += 1
            await one.store.wait_for(PORTFOLIOS, await append(database_url, deposited("A", 2, "3")), 60)
            return await compare(build, limit)

        monkeypatch.setattr(PostgresBuild, "differences", differences)
        verified = await verify(PORTFOLIO_PROJECTOR, one.history, PostgresBuilder(database_url))
    assert (verified.differences, verified.position, compared) == ([], head, 1)


async def test_a_rebuild_killed_leaves_what_the_next_one_removes(database_url: str) -> None:
    head = await append(database_url, opened("A", "1"))
    async with process(database_url) as one, running(one):
        await one.store.wait_for(PORTFOLIOS, head, 60)
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", KILLED_WHILE_BUILDING, database_url, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}
        )
        assert await child.wait() == -9
        assert await schemas(database_url) == {"rm_portfolios", "rm_portfolios_v2"}
        head = await append(database_url, deposited("A", 2, "2"))
        await one.store.wait_for(PORTFOLIOS, head, 60)
        await nobody_builds(database_url)
        await rebuild(PORTFOLIO_PROJECTOR, one.history, PostgresBuilder(database_url))
        assert await schemas(database_url) == {"rm_portfolios"}


async def test_one_rebuild_at_a_time(database_url: str) -> None:
    async with process(database_url) as one:
        await one.store.prepare(PORTFOLIOS)
        async with PostgresBuilder(database_url).build(PORTFOLIOS):
            with pytest.raises(StoreUnavailable, match="already"):
                await rebuild(PORTFOLIO_PROJECTOR, one.history, PostgresBuilder(database_url))


async def test_a_view_of_another_shape_is_not_continued_but_rebuilt(database_url: str) -> None:
    head = await append(database_url, opened("A", "1"))
    other = View(name="portfolios", row=PortfolioRow, key="portfolio_id", fields={}, version=2)
    async with process(database_url) as one:
        await one.store.prepare(other)
        with pytest.raises(Broken, match="rebuild"):
            await one.store.prepare(PORTFOLIOS)
        await rebuild(PORTFOLIO_PROJECTOR, one.history, PostgresBuilder(database_url))
        async with running(one):
            await one.store.wait_for(PORTFOLIOS, head, 60)
