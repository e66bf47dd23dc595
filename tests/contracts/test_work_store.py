"""What the ports ``write_side.work.Work`` and ``read_side.work.WorkSource`` promise, over every adapter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from domain.errors import Broken, StoreUnavailable
from read_side.work import Progress
from tests.contracts.work_stores import WORKS, Kept
from tests.projections.logs import append, deposited, opened, process
from write_side.adapters.postgres_work import WORK_CLASS, PostgresWorkLeadership
from write_side.work import Overtaken, told

EVENTS = [opened("A", "1"), deposited("A", 2, "2"), opened("B"), deposited("A", 3, "3")]


@pytest.fixture(params=WORKS, ids=lambda make: make.__name__)
async def kept(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Kept]:
    """The state of policies over a log of four events."""
    async with request.param(database_url, *EVENTS) as made:
        yield made


async def test_a_new_policy_begins_at_the_beginning(kept: Kept) -> None:
    assert await kept.work.checkpoint("a") == 0
    assert await kept.work.parked("a") == {}
    assert await kept.source.progress() == []


async def test_a_checkpoint_moves_from_where_it_is_believed_to_be_and_from_nowhere_else(kept: Kept) -> None:
    await kept.work.save_checkpoint("a", 0, 2)
    await kept.work.save_checkpoint("b", 0, 1)
    for expected in (0, 1, 3):
        with pytest.raises(Overtaken):
            await kept.work.save_checkpoint("a", expected, 4)
    with pytest.raises(Overtaken):
        await kept.work.save_checkpoint("c", 3, 4)
    await kept.work.save_checkpoint("a", 2, 3)
    assert [await kept.work.checkpoint(policy) for policy in "abc"] == [3, 1, 0]


async def test_what_is_parked_says_where_it_stands_in_the_log(kept: Kept) -> None:
    parked = await kept.work.park("a", 2, attempts=5, error="no")
    assert (parked.policy, parked.position, parked.stream) == ("a", 2, "portfolio/A")
    assert (parked.topic, parked.attempts, parked.error) == ("portfolio.cash-deposited.v1", 5, "no")
    assert parked.parked_at.utcoffset() is not None
    assert await kept.work.one("a", 2) == parked
    assert await kept.work.one("a", 1) is None
    assert await kept.work.one("b", 2) is None


async def test_what_is_parked_stays_as_it_is(kept: Kept) -> None:
    first = await kept.work.park("a", 2, attempts=5, error="no")
    assert await kept.work.park("a", 2, attempts=1, error="other") == first


async def test_what_is_not_in_the_log_cannot_be_parked(kept: Kept) -> None:
    with pytest.raises(Broken, match="position 5"):
        await kept.work.park("a", 5, attempts=1, error="no")


async def test_further_attempts_count_as_long_as_it_is_parked(kept: Kept) -> None:
    await kept.work.park("a", 2, attempts=5, error="no")
    await kept.work.failed_again("a", 2, "still not")
    parked = await kept.work.one("a", 2)
    assert parked is not None
    assert (parked.attempts, parked.error) == (6, "still not")
    await kept.work.clear("a", 2)
    await kept.work.failed_again("a", 2, "too late")
    assert await kept.work.one("a", 2) is None


async def test_an_error_of_any_text_can_be_kept(kept: Kept) -> None:
    error = told(ValueError("a\0b\ud800" + "ö" * 10_000))
    assert (await kept.work.park("a", 2, attempts=1, error=error)).error == error
    assert error.startswith("ValueError: a?b?ö")
    assert len(error) == 2_000


async def test_what_a_policy_has_parked_is_known_by_stream(kept: Kept) -> None:
    for policy, position in [("a", 4), ("a", 3), ("a", 2), ("b", 1)]:
        await kept.work.park(policy, position, attempts=1, error="no")
    assert await kept.work.parked("a") == {"portfolio/A": [2, 4], "portfolio/B": [3]}
    await kept.work.clear("a", 2)
    assert await kept.work.parked("a") == {"portfolio/A": [4], "portfolio/B": [3]}


async def test_readers_see_how_far_each_policy_is(kept: Kept) -> None:
    await kept.work.save_checkpoint("b", 0, 4)
    await kept.work.save_checkpoint("a", 0, 1)
    await kept.work.park("a", 1, attempts=1, error="no")
    assert await kept.source.progress() == [Progress("a", 1, 3, 1), Progress("b", 4, 0, 0)]


async def test_readers_see_what_is_parked_page_by_page_the_latest_first(kept: Kept) -> None:
    parked = [("a", 2), ("b", 2), ("a", 4), ("b", 1)]
    for policy, position in parked:
        await kept.work.park(policy, position, attempts=1, error="no")
    rows = await kept.source.page(3, None)
    assert [(row.policy, row.position) for row in rows] == [("a", 4), ("b", 2), ("a", 2)]
    one = await kept.work.one("a", 4)
    assert one is not None
    assert {name: getattr(rows[0], name) for name in rows[0].__struct_fields__} == {
        name: getattr(one, name) for name in one.__struct_fields__
    }
    rest = await kept.source.page(3, (2, "a"))
    assert [(row.policy, row.position) for row in rest] == [("b", 1)]


async def test_a_moved_checkpoint_is_told_to_those_who_listen(database_url: str) -> None:
    await append(database_url, *EVENTS)
    async with process(database_url) as one, PostgresWorkLeadership(database_url).lead("a") as work:
        await work.save_checkpoint("a", 0, 3)
        await one.signals.wait_for("work/a", 3, 60)


async def test_one_session_at_a_time_leads_and_the_next_takes_over(database_url: str) -> None:
    leadership, second = PostgresWorkLeadership(database_url), asyncio.Event()

    async def stand() -> None:
        async with leadership.lead("a"):
            second.set()

    async with leadership.lead("a"), leadership.lead("b"):
        waiting = asyncio.create_task(stand())
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
            sessions = (
                "select count(*) from pg_stat_activity"
                " where application_name = 'foliolog-worker' and datname = current_database()"
            )
            while (await (await connection.execute(sessions)).fetchone()) != (3,):
                pass
        assert not second.is_set()
    await waiting
    assert second.is_set()


async def test_a_leader_that_has_lost_its_session_writes_nothing(database_url: str) -> None:
    await append(database_url, *EVENTS)
    async with process(database_url) as one, PostgresWorkLeadership(database_url).lead("a") as work:
        async with one.pool.connection() as operator:
            await operator.execute(
                "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and classid = %s"
                " and database = (select oid from pg_database where datname = current_database())",
                (WORK_CLASS,),
            )
        with pytest.raises(StoreUnavailable):
            await work.park("a", 2, attempts=5, error="no")
        with pytest.raises(StoreUnavailable):
            await work.save_checkpoint("a", 0, 4)
        async with PostgresWorkLeadership(database_url).lead("a") as successor:
            assert await successor.checkpoint("a") == 0
            assert await successor.parked("a") == {}
