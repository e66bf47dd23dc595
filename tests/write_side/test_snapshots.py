"""Snapshots spare the reading of events and change nothing else."""

from __future__ import annotations

from decimal import Decimal

import psycopg

from domain.portfolio import Portfolio
from tests.write_side.stores import Store, event_store


async def snapshot_version(one: Store, database_url: str) -> int:
    await one.store.close()
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        row = await (await connection.execute("select max(originator_version) from es.snapshots")).fetchone()
        assert row is not None
        return int(row[0] or 0)


async def test_a_snapshot_that_cannot_be_read_is_passed_over(database_url: str) -> None:
    async with event_store(database_url, cache_size=1, snapshot_every=5) as one:
        for name in ("A", "B"):
            await one.open(name)
        for _ in range(6):
            await one.move("A", "1")
            await one.move("B", "1")
        assert await snapshot_version(one, database_url) == 5
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
            unreadable = "replace(convert_from(state, 'UTF8'), 'ACTIVE', 'ASLEEP')"
            await connection.execute(f"update es.snapshots set state = convert_to({unreadable}, 'UTF8')")
        assert await one.cash("A") == Decimal(6)


async def test_snapshots_are_taken_and_change_nothing(database_url: str) -> None:
    async with event_store(database_url, snapshot_every=10) as one:
        await one.open("A")
        for _ in range(8):
            await one.move("A", "1", "1", "-0.25")
        assert await snapshot_version(one, database_url) == 22
        snapshot = await one.log.snapshot(Portfolio, "portfolio/A")
        assert snapshot is not None
        assert snapshot.version == 22
        from_snapshot = await one.store.load(Portfolio, "A")
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
            await connection.execute("delete from es.snapshots")
        assert await one.store.load(Portfolio, "A") == from_snapshot
