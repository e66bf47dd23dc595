"""Executions are recorded once, whoever reports them again: under a key, at the same time, in another process."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from domain.errors import KeyInFlight, KeyReused, StaleVersion, StoreUnavailable
from domain.execution import ExecutionLookUpFailed, FailedExecution
from tests.write_side.reporting import AskedLog, Desk, in_memory, keyed, several, told, views
from tests.write_side.stores import by, event_store
from write_side.execution.recording import EXISTS


@pytest.fixture
def log() -> AskedLog:
    return AskedLog()


@pytest.fixture
def desk(log: AskedLog) -> Desk:
    return in_memory(log)[0]


async def test_a_key_gives_the_same_ids_again(desk: Desk, log: AskedLog) -> None:
    await desk.report(*several(1))
    first = await desk.report(*several(11, 1, 12), context=keyed("k"))
    await desk.report(*several(2))
    again = await desk.report(*several(11, 1, 12), context=keyed("k"))
    assert (again.done.replayed, again.results, again.done.position) == (True, None, first.done.position)
    assert again.done.answer == first.done.answer
    assert told(first) == [(11, "created", None, 2), (1, "skipped", EXISTS, 1), (12, "created", None, 3)]
    with pytest.raises(KeyReused):
        await desk.report(*several(11), context=keyed("k", b"another"))


async def test_a_key_is_not_kept_where_nothing_was_accepted(desk: Desk, log: AskedLog) -> None:
    desk.owners.known[11] = "away"
    await desk.report(*several(11), context=keyed("k"))
    await desk.report(*several(13, quantity=Decimal(0)), context=keyed("k"))
    assert log.keys == {}
    assert [type(event) for event in log.events] == [ExecutionLookUpFailed]
    desk.owners.known.clear()
    outcome = await desk.report(*several(11), context=keyed("k"))
    assert told(outcome) == [(11, "created", None, 2)]
    assert len(log.keys) == 1


@pytest.mark.parametrize("rows", [several(11), several(12, is_open=True)])
async def test_a_key_is_kept_where_all_are_skipped(desk: Desk, log: AskedLog, rows: list[Any]) -> None:
    await desk.report(*several(11))
    first = await desk.report(*rows, context=keyed("k"))
    assert (first.done.position, len(log.events)) == (1, 1)
    again = await desk.report(*rows, context=keyed("k"))
    assert (again.done.replayed, again.done.answer) == (True, first.done.answer)


async def test_a_retry_is_kept_under_its_key_whatever_comes_of_it(desk: Desk, log: AskedLog) -> None:
    nothing = await desk.retry(keyed("none"))
    assert (await desk.retry(keyed("none"))).done.answer == nothing.done.answer
    desk.owners.known[11] = "away"
    await desk.report(*several(11))
    await desk.retry(keyed("k"))
    asked = len(desk.owners.asked)
    assert (await desk.retry(keyed("k"))).done.replayed
    assert len(desk.owners.asked) == asked


async def test_two_requests_with_one_key_at_once_are_one(desk: Desk, log: AskedLog) -> None:
    desk.owners.slow = {11}
    first = asyncio.ensure_future(desk.report(*several(11), context=keyed("k")))
    await desk.owners.heard.wait()
    with pytest.raises(KeyInFlight):
        await desk.report(*several(11), context=keyed("k"))
    desk.owners.go.set()
    assert told(await first) == [(11, "created", None, 1)]


async def test_nothing_new_can_meet_a_condition(desk: Desk, log: AskedLog) -> None:
    for version in (0, 3):
        with pytest.raises(StaleVersion):
            await desk.report(*several(11), context=by(expected_version=version))
        with pytest.raises(StaleVersion):
            await desk.retry(by(expected_version=version))
    assert log.events == []


async def test_without_the_log_nothing_is_stored_and_nothing_answered(desk: Desk, log: AskedLog) -> None:
    log.failure = StoreUnavailable("away")
    with pytest.raises(StoreUnavailable):
        await desk.report(*several(11), context=keyed("k"))
    assert told(await desk.report(*several(11), context=keyed("k"))) == [(11, "created", None, 1)]


async def test_processes_that_report_the_same_at_once_record_each_once(database_url: str) -> None:
    async with event_store(database_url) as one, event_store(database_url) as other:
        desks = [Desk(each.log, views(AskedLog())) for each in (one, other)]
        for each in desks:
            each.owners.known = dict.fromkeys(range(40, 60), "away")
        await desks[0].report(*several(*range(50, 60)))
        for each in desks:
            each.owners.known = dict.fromkeys(range(40, 50), "away")
        windows = [range(start, start + 30) for start in (1, 11, 21, 26, 31, 16)]
        outcomes = await asyncio.gather(
            *(desks[number % 2].report(*several(*window)) for number, window in enumerate(windows))
        )
        created = [(each[0], each[3]) for outcome in outcomes for each in told(outcome) if each[1] == "created"]
        assert sorted(service_id for service_id, _ in created) == [*range(1, 40), *range(50, 61)]
        events = {each.position: each for each in await one.log.at([id_ or 0 for _, id_ in created])}
        assert {(int(each.stream.partition("/")[2]), position) for position, each in events.items()} == set(created)
        for outcome in outcomes:
            ids = dict(created)
            assert {each[3] for each in told(outcome) if each[1] == "skipped"} <= set(ids.values())
        failed = await one.store.load_many(FailedExecution, map(str, range(40, 60)))
        assert {int(key): each.recorded for key, each in failed.items()} == {
            number: number >= 50 for number in range(40, 60)
        }


async def test_a_key_in_two_processes_is_one_request(database_url: str) -> None:
    async with event_store(database_url) as one, event_store(database_url) as other:
        desks = [Desk(each.log, views(AskedLog())) for each in (one, other)]
        outcomes = await asyncio.gather(*(each.report(*several(11, 12), context=keyed("k")) for each in desks))
        assert {outcome.done.position for outcome in outcomes} == {2}
        assert len({outcome.done.answer for outcome in outcomes}) == 1
        assert sorted(outcome.done.replayed for outcome in outcomes) == [False, True]
        assert await one.log.head() == 2
