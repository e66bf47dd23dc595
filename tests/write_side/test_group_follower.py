"""Members of a group: each event once in effect and in its stream's order, whoever comes, goes or fails meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from domain.base import Recorded
from domain.errors import Overloaded, RuleViolated, StoreUnavailable
from tests.write_side.following import Gate
from tests.write_side.grouping import MemoryGroup, SharedLog
from write_side.group import Away


@pytest.fixture(autouse=True)
def said() -> Iterator[list[Any]]:
    """What is logged meanwhile."""
    with capture_logs() as lines:
        yield cast("list[Any]", lines)


def events(said: list[Any]) -> list[str]:
    return [str(line["event"]) for line in said]


async def test_members_share_the_work_and_each_stream_keeps_its_order() -> None:
    log = SharedLog()
    await log.add("A", "B", "A", "C", "D", "E")
    async with log.shared(), log.shared():
        await log.group.until_done()
        assert len({id(member) for member in log.group.members if member.places}) == 2
        await log.add("B", "A", "A")
        await log.group.until_done()
    done = {key: [version for each, version in log.acted if each == key] for key in "ABCDE"}
    assert done == {"A": [2, 3, 4, 5], "B": [2, 3], "C": [2], "D": [2], "E": [2]}
    assert log.work.kept == {}


async def test_one_that_joins_later_begins_where_was_committed() -> None:
    log = SharedLog()
    async with log.shared():
        await log.add("A", "B")
        await log.group.until_done()
    async with log.shared():
        await log.add("A")
        await log.group.until_done()
    assert sorted(log.acted) == [("A", 2), ("A", 3), ("B", 2)]


async def test_partitions_taken_away_in_the_middle_are_committed_up_to_what_is_done() -> None:
    log, gate = SharedLog(group=MemoryGroup(partitions=1)), Gate()

    async def act(recorded: Recorded) -> None:
        if recorded.version == 3 and recorded.stream.endswith("A"):
            await gate.through()

    log.act = act
    await log.add("A", "A", "A")
    async with log.shared():
        await gate.came.wait()
        giving = asyncio.create_task(log.group.give_out_again())
        await asyncio.wait([giving], timeout=0)
        await log.add("B")
        gate.opened.set()
        await giving
        assert {0: 3} in log.group.commits  # the opening and two deposits: the third was not begun
        await log.group.until_done()
    assert [acted for acted in log.acted if acted[0] == "A"] == [("A", 2), ("A", 3), ("A", 4)]
    assert log.acted.count(("B", 2)) == 1


async def test_what_does_not_end_in_time_is_given_up_and_done_by_the_next() -> None:
    log, gate = SharedLog(group=MemoryGroup(partitions=1)), Gate()
    log.act = lambda _: gate.through()
    await log.add("A", "B")
    async with log.shared(grace=0.01):
        await gate.came.wait()
        log.act = SharedLog().act
        await log.group.give_out_again()
        await log.group.until_done()
    assert log.acted == [("A", 2), ("B", 2), ("A", 2), ("B", 2)]
    assert all(offset >= 1 for commit in log.group.commits for offset in commit.values())
    assert log.group.commits[0] == {0: 1}


async def test_nothing_is_committed_before_all_up_to_it_is_done() -> None:
    log, gate = SharedLog(group=MemoryGroup(partitions=1)), Gate()

    async def act(recorded: Recorded) -> None:
        if recorded.stream.endswith("A"):
            await gate.through()
        else:
            others.set()

    others = asyncio.Event()
    log.act = act
    async with log.shared() as follower:
        await log.add("B")
        await log.group.until_done()
        await log.add("A", "B", "C", "D")
        others.clear()
        await gate.came.wait()
        await others.wait()
        polls = log.group.members[0].polls
        async with log.group.changed:
            await log.group.changed.wait_for(lambda: log.group.members[0].polls > polls + 3)
        assert follower.leading
        assert log.group.committed == {0: 3}  # the opening of A is passed over, its deposit is not done
        gate.opened.set()
        await log.group.until_done()
    assert sorted(log.acted) == [("A", 2), ("B", 2), ("B", 3), ("C", 2), ("D", 2)]


async def test_of_a_partition_with_enough_under_work_no_more_is_delivered_but_it_is_polled() -> None:
    log, gate = SharedLog(group=MemoryGroup(partitions=2)), Gate()
    log.act = lambda _: gate.through()
    async with log.shared(window=2, at_once=1):
        await log.add(*(f"K{number}" for number in range(20)))
        await gate.came.wait()
        [member] = log.group.members
        async with log.group.changed:
            await log.group.changed.wait_for(lambda: member.held == {0, 1})
            polls, places = member.polls, dict(member.places)
            await log.group.changed.wait_for(lambda: member.polls > polls + 5)
        assert member.places == places
        assert max(places.values()) <= 2 + 2 * 4
        gate.opened.set()
        await log.group.until_done()
        assert member.held == set()
    assert len(log.acted) == 20


async def test_so_many_lanes_are_worked_on_at_once_in_all_partitions_together() -> None:
    log, gate, running = SharedLog(), Gate(), 0

    async def act(recorded: Recorded) -> None:
        nonlocal running
        running += 1
        assert running <= 3
        if running == 3:
            gate.came.set()
        await gate.opened.wait()
        running -= 1

    log.act = act
    await log.add(*(f"K{number}" for number in range(12)))
    async with log.shared(at_once=3):
        await gate.came.wait()
        gate.opened.set()
        await log.group.until_done()
    assert (len(log.acted), log.work.kept) == (12, {})


async def test_while_the_log_is_away_it_is_tried_again_and_nothing_is_parked(said: list[Any]) -> None:
    log = SharedLog(group=MemoryGroup(partitions=1))

    async def act(recorded: Recorded) -> None:
        if log.work.failure is not None:
            raise log.work.failure

    async def interrupted(times: int) -> None:
        async with log.group.changed:
            await log.group.changed.wait_for(lambda: events(said).count("partition interrupted") >= times)

    log.act = act
    log.work.failure = StoreUnavailable("away")
    async with log.shared():
        await log.add("A")
        await interrupted(7)
        log.work.failure = None
        await log.group.until_done()
        assert log.acted[-1] == ("A", 2)
        log.work.failure = StoreUnavailable("away again")
        await log.add("A", "B", "A")
        await interrupted(14)
        log.work.failure = None
        await log.group.until_done()
        assert len(log.group.members) == 1
    assert log.work.kept == {}
    versions = [version for key, version in log.acted if key == "A"]
    assert (versions[0], versions[-1], sorted(versions)) == (2, 4, versions)
    assert "policy interrupted, it begins again at its checkpoint" not in events(said)


async def test_what_is_parked_is_passed_over_when_it_comes_again_and_taken_up_with_the_next() -> None:
    log = SharedLog(group=MemoryGroup(partitions=1))
    away = True

    async def act(recorded: Recorded) -> None:
        if away and recorded.version == 2:
            raise Overloaded("too much")

    log.act = act
    log.group.failure = Away("no commit")
    async with log.shared():
        await log.add("A")
        async with log.group.changed:
            await log.group.changed.wait_for(lambda: log.work.kept)
        assert [(parked.position, parked.attempts) for parked in log.work.kept.values()] == [(2, 5)]
        await log.group.give_out_again()
        log.group.failure = None
        await log.group.until_done()
        assert log.acted == [("A", 2)] * 5
        away = False
        await log.add("A")
        await log.group.until_done()
    assert (log.acted[5:], log.work.kept) == ([("A", 3), ("A", 2)], {})


async def test_a_commit_that_fails_is_told_and_made_later(said: list[Any]) -> None:
    log = SharedLog()
    log.group.failure = Away("another one has it")
    async with log.shared():
        await log.add("A")
        async with log.group.changed:
            await log.group.changed.wait_for(lambda: "not committed, it may come again" in events(said))
        assert log.group.committed == {}
        log.group.failure = None
        await log.group.until_done()
    assert log.acted == [("A", 2)]


async def test_a_defect_of_ours_is_told_and_the_partition_begins_again(said: list[Any]) -> None:
    log = SharedLog(group=MemoryGroup(partitions=1))

    async def act(recorded: Recorded) -> None:
        if log.acted.count(("A", 2)) == 1:
            log.work.failure = TypeError("a defect")
            raise RuleViolated("to be parked")
        log.work.failure = None

    log.act = act
    async with log.shared():
        await log.add("A", "A")
        async with log.group.changed:
            await log.group.changed.wait_for(lambda: "partition failed" in events(said))
        log.work.failure = None
        await log.group.until_done()
    assert log.acted == [("A", 2), ("A", 2), ("A", 3)]
    assert log.work.kept == {}


async def test_a_member_that_is_put_out_joins_again() -> None:
    log = SharedLog()
    async with log.shared():
        await log.add("A")
        await log.group.until_done()
        [member] = log.group.members
        member.share.deliver = _away  # type: ignore[assignment,method-assign]
        await log.add("A")
        await log.group.until_done()
        assert log.group.members != [member]
    assert log.acted == [("A", 2), ("A", 3)]


def _away(_: object) -> None:
    raise Away("the brokers are away")


async def test_the_end_waits_for_what_runs_commits_it_and_begins_nothing_more() -> None:
    log, gate = SharedLog(group=MemoryGroup(partitions=1)), Gate()
    log.act = lambda _: gate.through()
    async with log.shared(at_once=1) as follower:
        await log.add("A", "A", "B")
        await gate.came.wait()
        closing = asyncio.create_task(follower.close(within=30))
        await asyncio.wait([closing], timeout=0)
        gate.opened.set()
        await closing
        assert log.group.members == []
    assert log.acted == [("A", 2)]
    assert log.group.committed == {0: 2}


async def test_the_end_does_not_wait_for_ever() -> None:
    log, gate = SharedLog(), Gate()
    log.act = lambda _: gate.through()
    async with log.shared() as follower:
        await log.add("A")
        await gate.came.wait()
        await follower.close(within=0)
    assert log.group.committed.get(log.partition("A"), 0) <= 1
    assert log.work.kept == {}
