"""Following the log: each event once and in its stream's order, from the checkpoint on, until the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from domain.base import Recorded
from domain.errors import Overloaded, RuleViolated
from tests.write_side.following import POLICY, Gate, Log
from write_side.follower import Follower


@pytest.fixture(autouse=True)
def said() -> Iterator[list[Any]]:
    """What is logged meanwhile."""
    with capture_logs() as lines:
        yield cast("list[Any]", lines)


async def test_what_the_policy_handles_is_done_once_and_in_the_order_of_its_stream() -> None:
    log = Log()
    await log.add("A", "B", "A", "A")
    async with log.followed(page_size=2):
        await log.reached(await log.add("B", "A"))
        await log.reached(await log.add("C"))
    done = {key: [version for each, version in log.acted if each == key] for key in "ABC"}
    assert done == {"A": [2, 3, 4, 5], "B": [2, 3], "C": [2]}
    assert log.work.kept == {}


async def test_one_that_begins_goes_on_from_the_checkpoint() -> None:
    log = Log()
    async with log.followed():
        await log.reached(await log.add("A", "B"))
    async with log.followed():
        await log.reached(await log.add("A"))
    assert log.acted == [("A", 2), ("B", 2), ("A", 3)]


async def test_a_stream_that_takes_long_holds_up_no_other_and_keeps_the_checkpoint_before_it() -> None:
    log, gate = Log(), Gate()
    log.act = _for("A", lambda _: gate.through())
    async with log.followed(page_size=1):
        await log.add("A")
        await gate.came.wait()
        others = Gate()
        log.act = _for("C", lambda _: others.through())
        await log.add("B", "A", "C")
        await others.came.wait()
        assert log.acted == [("A", 2), ("B", 2), ("C", 2)]
        assert log.work.checkpoints == {POLICY: 1}  # the opening of A
        gate.opened.set()
        others.opened.set()
        await log.reached(await log.log.head())
    assert log.acted[3:] == [("A", 3)]


async def test_so_many_streams_are_worked_on_at_once_and_no_more() -> None:
    log, gate = Log(), Gate()
    running: list[int] = []

    async def act(recorded: Recorded) -> None:
        running.append(recorded.position)
        assert len(running) <= 3
        if len(running) == 3:
            gate.came.set()
        await gate.opened.wait()
        running.remove(recorded.position)

    log.act = act
    head = await log.add(*"ABCDEFG")
    async with log.followed(at_once=3):
        await gate.came.wait()
        gate.opened.set()
        await log.reached(head)
    assert log.work.kept == {}
    assert len(log.acted) == 7


async def test_events_of_one_lane_come_in_their_order_whatever_their_streams() -> None:
    log, gate = Log(), Gate()
    log.act = _for("A", lambda _: gate.through())
    async with log.followed(lane=lambda recorded: "AB" if recorded.stream[-1] in "AB" else "C"):
        head = await log.add("A", "B", "A", "C")
        await gate.came.wait()
        gate.opened.set()
        await log.reached(head)
    assert [acted for acted in log.acted if acted[0] != "C"] == [("A", 2), ("B", 2), ("A", 3)]
    assert log.acted.index(("C", 2)) < log.acted.index(("B", 2))


async def test_a_lane_is_worked_on_by_one_at_a_time_and_goes_on_after_it_was_empty() -> None:
    log, running = Log(), 0

    async def act(recorded: Recorded) -> None:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0)
        running -= 1

    log.act = act
    async with log.followed(lane=lambda _: "all"):
        await log.reached(await log.add(*"ABCABC"))
        await log.reached(await log.add(*"CBA"))
    assert [key for key, _ in log.acted] == list("ABCABCCBA")
    assert log.work.kept == {}


async def test_a_patient_policy_waits_as_long_as_it_takes_and_lets_nothing_of_the_lane_go_before() -> None:
    log = Log()

    async def act(recorded: Recorded) -> None:
        if len(log.acted) < 20:
            raise Overloaded("too much")

    log.act = act
    async with log.followed(patient=True, lane=lambda _: "all", first_pause=0.000_001):
        await log.reached(await log.add("A", "B"))
    assert log.acted == [("A", 2)] * 20 + [("B", 2)]
    assert log.work.kept == {}


async def test_patience_is_only_for_what_may_succeed_later() -> None:
    log = Log()

    async def act(recorded: Recorded) -> None:
        if recorded.stream.endswith("A"):
            raise RuleViolated("it never will")

    log.act = act
    async with log.followed(patient=True, lane=lambda _: "all"):
        await log.reached(await log.add("A", "B"))
    assert log.acted == [("A", 2), ("B", 2)]
    assert [parked.error for parked in log.work.kept.values()] == ["RuleViolated: it never will"]


async def test_patience_ends_with_the_follower() -> None:
    log, met = Log(), asyncio.Event()

    async def act(recorded: Recorded) -> None:
        met.set()
        raise Overloaded("too much")

    log.act = act
    async with log.followed(patient=True, first_pause=10**6) as follower:
        await log.add("A")
        await met.wait()
        await follower.close(within=10**6)
    assert (log.acted, log.work.kept) == ([("A", 2)], {})
    assert log.work.checkpoints == {POLICY: 1}


async def test_no_more_is_taken_than_the_window_holds() -> None:
    log, gate = Log(), Gate()
    running, most = 0, 0

    async def act(recorded: Recorded) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.through()
        running -= 1

    log.act = act
    head = await log.add("A", "B", "C", "D")
    async with log.followed(page_size=2, window=2):
        await gate.came.wait()
        gate.opened.set()
        await log.reached(head)
    assert (len(log.acted), most) == (4, 2)


async def test_a_leader_that_was_overtaken_goes_on_from_the_checkpoint_as_it_is() -> None:
    log = Log()

    async def act(recorded: Recorded) -> None:
        log.work.checkpoints[POLICY] = recorded.position  # as another one that did the same

    log.act = act
    async with log.followed():
        await log.reached(await log.add("A") - 1)
        log.act = Log().act
        await log.reached(await log.add("B"))
    assert log.acted == [("A", 2), ("B", 2)]


async def test_an_idle_leader_finds_that_another_one_has_taken_its_place(said: list[Any]) -> None:
    log, again = Log(), asyncio.Event()

    async def act(recorded: Recorded) -> None:
        again.set()

    async with log.followed():
        await log.reached(await log.add("A"))
        log.act = act
        log.work.checkpoints[POLICY] = 0
        await again.wait()
    assert log.acted == [("A", 2)] * 2
    assert any("no longer at 2" in str(line.get("error")) for line in said)


async def test_the_end_waits_for_what_runs_and_begins_nothing_more() -> None:
    log, gate = Log(), Gate()
    log.act = lambda _: gate.through()
    async with log.followed(at_once=1) as follower:
        await log.add("A", "A", "B")
        await gate.came.wait()
        closing = asyncio.create_task(follower.close(within=30))
        await asyncio.wait([closing], timeout=0)
        gate.opened.set()
        await closing
    assert log.acted[0] == ("A", 2)
    assert ("A", 3) not in log.acted
    assert log.work.checkpoints[POLICY] == 2


async def test_the_end_does_not_wait_for_ever() -> None:
    log, gate = Log(), Gate()
    log.act = lambda _: gate.through()
    async with log.followed() as follower:
        await log.add("A")
        await gate.came.wait()
        await follower.close(within=0)
    assert log.work.checkpoints.get(POLICY, 0) < 2
    assert log.work.kept == {}


async def test_an_attempt_that_pauses_does_not_keep_the_end_waiting() -> None:
    log, met = Log(), asyncio.Event()

    async def act(recorded: Recorded) -> None:
        met.set()
        raise Overloaded("too much")

    log.act = act
    async with log.followed(first_pause=10**6) as follower:
        await log.add("A")
        await met.wait()
        await follower.close(within=10**6)
    assert log.acted == [("A", 2)]
    assert log.work.kept == {}


async def test_one_that_was_never_started_is_closed() -> None:
    log = Log()
    async with log.followed() as follower:
        await Follower(
            policy=follower.policy, pages=log.log, leadership=log.work, wait=log.signals.wait_for_head
        ).close()


def _for(key: str, act: Callable[[Recorded], Awaitable[None]]) -> Callable[[Recorded], Awaitable[None]]:
    """Act so on the events of this portfolio alone."""

    async def chosen(recorded: Recorded) -> None:
        if recorded.stream == f"portfolio/{key}":
            await act(recorded)

    return chosen
