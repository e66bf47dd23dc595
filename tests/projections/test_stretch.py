"""The next events to project: whole commands, the parked ones left out, each once whoever reads along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from random import Random
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from domain.base import Event, Recorded
from domain.errors import Broken
from domain.investment_model import InvestmentModel, ModelPortfoliosAdded
from domain.rebalance import Failure, RebalanceRun, RebalanceRunFinished
from projections.stretch import Stretch, next_stretch
from read_side.history import History
from read_side.tail import Tail
from tests.projections.logs import NOW, deposited, opened
from tests.projections.quoting import recorded, uploaded


@dataclass
class Log:
    """A ``History`` of commands with so many events each, which counts what is read of it."""

    events: list[Recorded]
    unreadable: frozenset[int] = frozenset()
    shown: int | None = None
    """So many of its events have been appended by now; None: all."""
    reads: list[tuple[int, int]] = field(default_factory=list)

    async def head(self) -> int:
        return len(self.events) if self.shown is None else self.shown

    async def epoch(self) -> UUID:
        return UUID(int=0)

    async def page(self, after: int, limit: int) -> list[Recorded]:
        self.reads.append((after, limit))
        page = self.events[after : min(after + limit, await self.head())]
        bad = [number for number, each in enumerate(page) if each.position in self.unreadable]
        if bad == [] or bad[0] > 0:
            return page[: bad[0]] if bad else page
        raise Broken("it cannot be read", position=page[0].position)


def log_of(*sizes: int) -> Log:
    """Return a log of commands with so many events each; 0 stands for an event without a command."""
    commands = [each for size in sizes for each in ([uuid4()] * size if size else [None])]
    events = recorded([opened("P"), *(deposited("P", version, "1") for version in range(2, len(commands) + 1))])
    return Log([changed(each, command_id=command) for each, command in zip(events, commands, strict=True)])


def positions(stretch: Stretch) -> list[int]:
    return [each.position for each in stretch.events]


async def stretches(history: History, limit: int, parked: frozenset[int] = frozenset()) -> list[Stretch]:
    """Return the stretches from the beginning to the head."""
    found: list[Stretch] = []
    position = 0
    while True:
        stretch = await next_stretch(history, position, limit, parked)
        if stretch.position == position:
            return found
        position = stretch.position
        found.append(stretch)


def cut(found: Sequence[Stretch]) -> list[int]:
    """Return the positions at which a command was cut in two."""
    pairs = [(one.events[-1], other.events[0]) for one, other in pairwise(found) if one.events and other.events]
    return [one.position for one, other in pairs if one.command_id == other.command_id is not None]


async def test_at_the_head_there_is_nothing_and_the_position_stays() -> None:
    assert await next_stretch(log_of(1, 1), 2, 10, frozenset()) == Stretch((), 2)


async def test_a_full_page_is_taken_without_its_last_command_which_may_go_on() -> None:
    stretch = await next_stretch(log_of(2, 3, 2), 0, 4, frozenset())
    assert (positions(stretch), stretch.position, stretch.full) == ([1, 2], 2, True)
    stretch = await next_stretch(log_of(2, 3, 2), 2, 4, frozenset())
    assert (positions(stretch), stretch.full) == ([3, 4, 5], True)


async def test_a_command_as_long_as_the_page_or_longer_is_taken_as_it_comes() -> None:
    assert [positions(each) for each in await stretches(log_of(4, 5), 4)] == [[1, 2, 3, 4], [5, 6, 7, 8], [9]]


async def test_events_without_a_command_are_each_their_own() -> None:
    assert [positions(each) for each in await stretches(log_of(0, 0, 0), 2)] == [[1, 2], [3]]


async def test_parked_events_are_passed_over_also_one_that_cannot_be_read() -> None:
    log = replace(log_of(1, 1, 1, 1), unreadable=frozenset({3}))
    found = await stretches(log, 10, frozenset({1, 3}))
    assert [(positions(each), each.position) for each in found] == [([2], 2), ([], 3), ([4], 4)]
    with pytest.raises(Broken):
        await next_stretch(log, 2, 10, frozenset({1}))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=30), st.integers(7, 20))
async def test_no_command_shorter_than_the_limit_is_cut(sizes: list[int], limit: int) -> None:
    found = await stretches(log_of(*sizes), limit)
    assert cut(found) == []
    everything = range(1, sum(max(1, size) for size in sizes) + 1)
    assert [each for stretch in found for each in positions(stretch)] == list(everything)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.integers(7, 20), st.integers(0, 10**6))
async def test_followers_that_share_a_tail_get_every_event_once_and_no_command_in_two(
    sizes: list[int], limit: int, seed: int
) -> None:
    """Followers take turns by chance while the log grows by whole commands."""
    random, log = Random(seed), log_of(*sizes)
    ends = [0]
    for size in sizes:
        ends.append(ends[-1] + max(size, 1))
    tail, taken, log.shown = Tail(log), {name: list[Stretch]() for name in "abc"}, 0
    while min(sum(len(each.events) for each in found) for found in taken.values()) < ends[-1]:
        if random.randrange(2) and log.shown < ends[-1]:
            log.shown = random.choice([end for end in ends if end > log.shown][:3])
        found = taken[random.choice("abc")]
        stretch = await next_stretch(tail, found[-1].position if found else 0, limit, frozenset())
        if stretch.events:
            found.append(stretch)
    for found in taken.values():
        assert [each for stretch in found for each in positions(stretch)] == list(range(1, ends[-1] + 1))
        assert cut(found) == []


async def test_what_one_follower_has_read_the_others_need_not_read() -> None:
    log = log_of(*[1] * 10)
    tail = Tail(log)
    first = await tail.page(0, 2_000)
    assert await tail.page(0, 2_000) == await tail.page(0, 100) == first == log.events
    assert await tail.page(7, 2) == log.events[7:9]
    assert log.reads == [(0, 2_000)]
    assert await tail.page(10, 5) == []
    assert log.reads[1:] == [(10, 5)]


async def test_a_follower_far_behind_reads_the_log_and_does_not_displace_the_end() -> None:
    log = log_of(*[1] * 6_000)
    tail = Tail(log)
    for after in (3_000, 5_000):
        assert await tail.page(after, 1_000 if after == 5_000 else 2_000)
    assert await tail.page(0, 100) == log.events[:100]
    log.reads.clear()
    assert (await tail.page(5_000, 500))[-1].position == 5_500
    assert log.reads == []


async def test_large_uploads_weigh_more() -> None:
    many = {f"I{number}": "1" for number in range(10_000)}
    events: list[Event] = [uploaded(number, many) for number in range(1, 13)]
    log = Log(recorded(events))
    tail = Tail(log)
    for after in range(0, 12, 3):
        assert len(await tail.page(after, 3)) == 3
    log.reads.clear()
    assert len(await tail.page(6, 3)) == 3
    assert log.reads == []
    assert len(await tail.page(0, 3)) == 3
    assert log.reads == [(0, 3)]


_MANY = tuple(f"P{number}" for number in range(10_000))
_LARGE: list[Event] = [
    ModelPortfoliosAdded(
        originator_id=InvestmentModel.stream("M"), originator_version=1, timestamp=NOW, portfolios=_MANY
    ),
    RebalanceRunFinished(
        originator_id=RebalanceRun.stream("R"),
        originator_version=1,
        timestamp=NOW,
        failures=(Failure("P0", "no-price", ""), Failure("P1", "no-price", "", _MANY)),
    ),
]


@pytest.mark.parametrize("large", _LARGE, ids=lambda event: event.TOPIC)
async def test_whatever_holds_much_weighs_more(large: Event) -> None:
    log = Log(recorded([large] * 40))
    tail = Tail(log)
    for after in range(0, 40, 5):
        assert len(await tail.page(after, 5)) == 5
    log.reads.clear()
    assert len(await tail.page(35, 5)) == 5
    assert log.reads == []
    assert len(await tail.page(10, 5)) == 5
    assert log.reads == [(10, 5)]


async def test_what_was_read_last_is_there_for_the_others_however_large_it_is() -> None:
    log = Log(recorded(_LARGE[:1] * 40))
    tail = Tail(log)
    for after in (0, 20):
        assert len(await tail.page(after, 20)) == 20
    log.reads.clear()
    assert len(await tail.page(20, 20)) == 20
    assert log.reads == []
