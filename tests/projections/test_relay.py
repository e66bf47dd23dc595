"""The relay, whatever happens at whatever point: each event is published once and in its order, before it is saved."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from domain.base import Recorded
from domain.errors import Broken, Unavailable
from domain.published import key_of
from read_side.following import Stand
from tests.projections.relaying import MemoryFollowing, MemoryLog, MemoryTopic, Points, relaying

NAMES = ("A", "B", "C", "D")


async def reached(log: MemoryLog, position: int) -> None:
    await log.signals.wait_for("relay/memory", position, 60)


def each_once(log: MemoryLog, topic: MemoryTopic) -> None:
    """Every event is in the partition of its key, once, in order."""
    expected: list[list[int]] = [[] for _ in topic.records]
    for recorded in log.events:
        expected[sum(key_of(recorded.stream).encode()) % len(expected)].append(recorded.position)
    assert topic.positions(log.id) == expected


async def test_the_log_is_published_and_followed() -> None:
    log, topic, following = MemoryLog(), MemoryTopic(), MemoryFollowing()
    log.add(*NAMES)
    async with relaying(log, topic, following):
        await reached(log, len(log.events))
        await reached(log, log.add(*NAMES, *NAMES))
    each_once(log, topic)
    assert following.at_.position == len(log.events)
    assert list(following.at_.tails) == [positions[-1] for positions in topic.positions(log.id)]
    assert following.at_.epoch == log.id
    assert following.state == "running"


async def test_pages_keep_commands_whole() -> None:
    log, topic, following = MemoryLog(), MemoryTopic(), MemoryFollowing()
    log.add(*NAMES)  # two events each
    async with relaying(log, topic, following, page_size=3):
        await reached(log, len(log.events))
    each_once(log, topic)
    assert [stand.position for stand in following.saves] == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("point", ["before publish", "after publish", "before save", "after save"])
@pytest.mark.parametrize("times", [1, 3])
async def test_ended_at_any_point_it_goes_on_without_a_loss_or_a_double(point: str, times: int) -> None:
    log, topic, following = MemoryLog(), MemoryTopic(), MemoryFollowing()
    log.add(*NAMES, *NAMES, *NAMES)
    here: Points = topic if "publish" in point else following
    for nth in range(times):
        come = asyncio.Event()
        passed = 0

        async def hold(nth: int = nth, come: asyncio.Event = come) -> None:
            nonlocal passed
            passed += 1
            if passed > nth:
                come.set()
                await asyncio.Event().wait()

        here.at[point] = hold
        async with relaying(log, topic, following, page_size=3):
            async with asyncio.timeout(60):
                await come.wait()
    del here.at[point]
    async with relaying(log, topic, following, page_size=3):
        await reached(log, len(log.events))
    each_once(log, topic)


async def test_nothing_is_saved_before_it_is_published() -> None:
    log, topic, following = MemoryLog(), MemoryTopic(), MemoryFollowing()
    log.add("A")

    async def looked() -> None:
        assert following.at_.position == 0

    topic.at["after publish"] = looked
    async with relaying(log, topic, following):
        await reached(log, len(log.events))
    assert following.state == "running"


async def test_an_older_leader_that_does_not_know_it_is_shut_out() -> None:
    log, topic, following = MemoryLog(), MemoryTopic(), MemoryFollowing()
    log.add(*NAMES)
    held, go = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        del topic.at["before publish"]
        held.set()
        await go.wait()

    topic.at["before publish"] = hold
    async with relaying(log, topic, following, page_size=3):
        await held.wait()
        following.lose()
        async with relaying(log, topic, following, page_size=3):
            await reached(log, len(log.events))
            go.set()
            await reached(log, log.add(*NAMES))
    each_once(log, topic)


async def test_what_the_topic_has_lost_is_published_again_to_that_partition_alone() -> None:
    log, topic, following = MemoryLog(), MemoryTopic(), MemoryFollowing()
    log.add(*NAMES, *NAMES)
    async with relaying(log, topic, following):
        await reached(log, len(log.events))
    del topic.records[1][2:]
    async with relaying(log, topic, following):
        await reached(log, len(log.events))
    each_once(log, topic)


async def test_ended_while_it_publishes_again_it_goes_on_with_that() -> None:
    log, topic, following = MemoryLog(), MemoryTopic(), MemoryFollowing()
    log.add(*NAMES, *NAMES, *NAMES)
    async with relaying(log, topic, following, page_size=3):
        await reached(log, len(log.events))
    topic.records[1].clear()
    saved = asyncio.Event()

    async def hold() -> None:
        if following.at_.tails[1] > 0:
            saved.set()
            await asyncio.Event().wait()

    following.at["after save"] = hold
    async with relaying(log, topic, following, page_size=3):
        await saved.wait()
    following.at.clear()
    async with relaying(log, topic, following, page_size=3):
        await reached(log, len(log.events))
    each_once(log, topic)


async def test_what_is_lost_while_it_rests_is_noticed() -> None:
    log, topic, following = MemoryLog(), MemoryTopic(), MemoryFollowing()
    log.add(*NAMES)
    async with relaying(log, topic, following, audit=0.1):
        await reached(log, len(log.events))
        for records in topic.records:
            records.clear()
        published = asyncio.Event()

        async def seen() -> None:
            published.set()

        topic.at["after publish"] = seen
        async with asyncio.timeout(60):
            await published.wait()
    each_once(log, topic)


async def test_another_epoch_is_published_from_the_beginning() -> None:
    log, topic, following = MemoryLog(), MemoryTopic(), MemoryFollowing()
    log.add(*NAMES)
    first = log.id
    async with relaying(log, topic, following):
        await reached(log, len(log.events))
        log.id, before = uuid4(), topic.openings
        again = asyncio.Event()

        async def seen() -> None:
            again.set()

        topic.at["after publish"] = seen
        async with asyncio.timeout(60):
            await again.wait()
        assert topic.openings > before
    each_once(log, topic)
    assert all(topic.positions(first)), "what was there stays"
    assert following.at_.epoch == log.id


async def test_a_log_that_was_set_back_stops_it_until_it_has_a_new_epoch() -> None:
    log, topic, following = MemoryLog(), MemoryTopic(), MemoryFollowing()
    log.add(*NAMES)
    async with relaying(log, topic, following):
        await reached(log, len(log.events))
    del log.events[4:]
    log.add("E", "F", "G")
    async with relaying(log, topic, following):
        async with asyncio.timeout(60):
            await following.said.wait()
        assert "migrate --new-epoch" in (following.error or "")
        assert following.state == "stopped"
        log.id = uuid4()
        await reached_with(following, log)
    each_once(log, topic)


async def reached_with(following: MemoryFollowing, log: MemoryLog) -> None:
    """Return once the log of this epoch is published to its end."""
    done = asyncio.Event()

    async def look() -> None:
        if (following.at_.epoch, following.at_.position) == (log.id, len(log.events)):
            done.set()

    following.at["after save"] = look
    async with asyncio.timeout(60):
        await done.wait()


async def test_a_topic_that_is_away_is_told_and_tried_again() -> None:
    log, topic, following = MemoryLog(), MemoryTopic(), MemoryFollowing()
    topic.failure = Unavailable("no broker answers")
    log.add("A")
    async with relaying(log, topic, following):
        async with asyncio.timeout(60):
            await following.said.wait()
        assert (following.state, following.error) == ("stopped", "no broker answers")
        topic.failure = None
        await reached(log, len(log.events))
        await reached(log, log.add("A"))
        assert (following.state, following.error) == ("running", None)
    each_once(log, topic)


async def test_an_error_of_the_program_is_told_too() -> None:
    log, topic, following = MemoryLog(), MemoryTopic(), MemoryFollowing()
    topic.failure = ZeroDivisionError("division by zero")
    async with relaying(log, topic, following), asyncio.timeout(60):
        await following.said.wait()
    assert following.error == "division by zero"


async def test_events_before_one_that_cannot_be_read_are_published() -> None:
    log, topic, following = MemoryLog(), MemoryTopic(), MemoryFollowing()
    log.add("A", "B")

    class Damaged(MemoryLog):
        async def page(self, after: int, limit: int) -> list[Recorded]:
            page = log.events[after : min(after + limit, 2)]
            if not page and after < len(log.events):
                raise Broken("event 3 cannot be read", position=3)
            return page

    damaged = Damaged(signals=log.signals, events=log.events, id=log.id)
    async with relaying(log, topic, following, history=damaged):
        async with asyncio.timeout(60):
            await following.said.wait()
        assert following.error == "event 3 cannot be read"
        assert following.at_.position == 2
    async with relaying(log, topic, following):
        await reached(log, len(log.events))
    each_once(log, topic)


async def test_a_stand_that_was_moved_is_taken_up() -> None:
    log, topic, following = MemoryLog(), MemoryTopic(), MemoryFollowing()
    log.add(*NAMES)
    async with relaying(log, topic, following):
        await reached(log, len(log.events))
        following.at_ = Stand(2, log.id, 5, following.at_.tails)
        await reached_with(following, log)
        assert following.at_.build == 5
    each_once(log, topic)
