"""Whoever follows the log misses nothing: positions are dense and in the order of commits, over all processes."""

from __future__ import annotations

import asyncio
import sys

import psycopg

from domain.portfolio import Portfolio
from read_side.adapters.postgres_signals import Listener
from read_side.signals import Signals
from tests.write_side.stores import event_store

WRITERS, COMMANDS = 4, 150
EVENTS = 1 + 2 * WRITERS * (1 + 2 * COMMANDS)


async def kill_listener(database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as operator:
        killed = await operator.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'foliolog-listener' and datname = current_database()"
        )
        assert await killed.fetchall() == [(True,)]


async def test_eight_writers_in_two_processes_and_a_reader_that_loses_its_listening_connection(
    database_url: str,
) -> None:
    signals = Signals()
    listener = Listener(database_url, signals)
    await listener.start()
    async with event_store(database_url) as reader:
        await reader.open("SHARED")
        processes = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.write_side.writer", database_url, name, str(WRITERS), str(COMMANDS)
            )
            for name in ("ONE", "TWO")
        ]
        seen: list[int] = []
        versions: dict[str, int] = {}
        killed = False
        async with asyncio.timeout(600):
            while len(seen) < EVENTS:
                page = await reader.log.page(seen[-1] if seen else 0, 500)
                for recorded in page:
                    seen.append(recorded.position)
                    assert recorded.version == versions.get(recorded.stream, 0) + 1
                    versions[recorded.stream] = recorded.version
                if len(seen) > EVENTS // 3 and not killed:
                    await kill_listener(database_url)
                    killed = True
                if not page:
                    await signals.wait_for_head((seen[-1] if seen else 0) + 1, 5)
        assert [await process.wait() for process in processes] == [0, 0]
        assert killed
        assert seen == list(range(1, EVENTS + 1))
        assert await reader.log.head() == EVENTS
        shared = await reader.store.load(Portfolio, "SHARED")
        assert shared is not None
        assert shared.cash == 2 * WRITERS * (COMMANDS // 10) * 2
    await listener.close()
