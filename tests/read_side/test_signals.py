"""Waiting for positions: woken by notifications, by the poll where they are lost, and never for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from uuid import UUID, uuid4

import psycopg
import pytest
from structlog.testing import capture_logs

from domain.errors import NotYet
from read_side.adapters.postgres_signals import Listener
from read_side.portfolio import PORTFOLIOS
from read_side.signals import Signals
from read_side.store import Checkpoint
from tests.projections.logs import append, deposited, opened, process
from tests.projections.running import running


async def test_waiters_are_woken_at_their_position_and_not_before() -> None:
    signals = Signals()
    waiting = [asyncio.create_task(signals.wait_for("views", position, 60)) for position in (5, 3, 4)]
    await asyncio.sleep(0)
    signals.hear_checkpoint("views", Checkpoint(4, 1))
    await asyncio.gather(*waiting[1:])
    assert not waiting[0].done()
    signals.hear_checkpoint("views", Checkpoint(7, 1))
    await waiting[0]


async def test_old_news_is_no_news_and_what_was_read_counts() -> None:
    signals = Signals()
    signals.hear_checkpoint("views", Checkpoint(7, 2))
    signals.hear_checkpoint("views", Checkpoint(6, 2))
    signals.hear_checkpoint("views", Checkpoint(9, 1))
    assert signals.checkpoint("views") == Checkpoint(7, 2)
    signals.assume(uuid4(), 3, {"views": Checkpoint(2, 2)})
    assert (signals.head, signals.checkpoint("views")) == (3, Checkpoint(2, 2))


async def test_who_waits_in_vain_leaves_nothing_behind() -> None:
    signals = Signals()
    for _ in range(3):
        with pytest.raises(NotYet):
            await signals.wait_for("views", 10**9, 0)
    cancelled = asyncio.create_task(signals.wait_for("views", 10**9, 60))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    assert not any(signals._waiters.values())


async def test_a_killed_listening_connection_loses_nothing(database_url: str) -> None:
    async with process(database_url) as one, running(one):
        await one.store.wait_for(PORTFOLIOS, await append(database_url, opened("A", "1")), 60)
        for version in range(2, 6):
            async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as operator:
                killed = await operator.execute(
                    "select pg_terminate_backend(pid, 60_000) from pg_stat_activity"
                    " where application_name = 'foliolog-listener' and datname = current_database()"
                )
                assert await killed.fetchall() == [(True,)]
            head = await append(database_url, deposited("A", version, "1"))
            await one.store.wait_for(PORTFOLIOS, head, 60)
            async with asyncio.timeout(60):
                while not await listening(database_url):
                    await one.store.checkpoint(PORTFOLIOS)


async def listening(database_url: str) -> bool:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as operator:
        found = await operator.execute(
            "select 1 from pg_stat_activity where application_name = 'foliolog-listener'"
            " and datname = current_database()"
        )
        return await found.fetchone() is not None


async def test_events_without_a_notification_are_found_by_the_poll(database_url: str) -> None:
    async with process(database_url) as one:
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
            await connection.execute(
                "insert into es.stored_events (originator_id, originator_version, topic, state)"
                " values ('stock/1', 1, 'topic', '')"
            )
        assert await one.signals.wait_for_head(1, 60)


async def test_a_listener_starts_with_what_is_there(database_url: str) -> None:
    head = await append(database_url, opened("A", "1"))
    async with process(database_url) as one:
        assert one.signals.head == head
        assert one.signals.epoch == await one.history.epoch()


async def test_a_log_that_is_being_restored_is_not_there_yet(database_url: str) -> None:
    async with process(database_url) as one:
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as operator:
            taken = await operator.execute("delete from app.log returning epoch, clock_timestamp()")
            [(epoch, since)] = await taken.fetchall()
            read = (
                "select 1 from pg_stat_activity where application_name = 'foliolog-listener'"
                " and datname = current_database() and state = 'idle' and query_start > %s"
            )
            async with asyncio.timeout(60):
                while await (await operator.execute(read, (since,))).fetchone() is None:
                    pass
            await operator.execute("insert into app.log (epoch) values (%s)", (epoch,))
        assert await one.signals.wait_for_head(await append(database_url, opened("A", "1")), 60)


class Failing(Signals):
    """What is heard goes wrong, as often as it is told to."""

    failures = 0

    def assume(self, epoch: UUID, head: int, checkpoints: Mapping[str, Checkpoint]) -> None:
        if self.failures:
            self.failures -= 1
            raise ArithmeticError("a defect")
        super().assume(epoch, head, checkpoints)


async def test_a_listener_that_fails_tells_it_and_goes_on(database_url: str) -> None:
    signals = Failing()
    listener = Listener(database_url, signals)
    await listener.start()
    try:
        with capture_logs() as logs:
            signals.failures = 2
            async with asyncio.timeout(60):
                while signals.failures:
                    await listening(database_url)
            assert await signals.wait_for_head(await append(database_url, opened("A", "1")), 60)
        assert [(each["event"], each["log_level"]) for each in logs] == [("listener failed", "error")] * 2
    finally:
        await listener.close()


async def test_a_listener_that_fails_at_once_is_not_started(database_url: str) -> None:
    signals = Failing()
    signals.failures = 1
    with pytest.raises(ArithmeticError):
        await Listener(database_url, signals).start()
