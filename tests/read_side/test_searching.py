"""Who answers a question to a view with a search copy: the copy where it may, else the durable store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from domain.errors import Invalid, StoreUnavailable
from read_side.searching import CopiedViews
from read_side.signals import Signals
from read_side.store import Checkpoint, Counted, Found, Kind, Listed, Page, R, Row, Rows, Search, View


class Note(Row, frozen=True, kw_only=True, gc=False):
    key: str


NOTES = View(name="notes", row=Note, key="key", fields={"key": Kind.KEYWORD}, copied=True)
ALONE = View(name="alone", row=Note, key="key", fields={"key": Kind.KEYWORD})


@dataclass
class At:
    """A store or a copy that stands somewhere: it has no rows but those given, and notes every question.

    As a copy it answers only where it is level with what is asked.
    """

    position: int
    copy: bool = False
    rows: dict[str, Any] = field(default_factory=dict)
    asked: list[Search | Listed] = field(default_factory=list)
    failure: Exception | None = None
    held: asyncio.Event | None = None
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def search(self, view: View[R], search: Search) -> Any:
        return await self._answer(search, Found([], None, Checkpoint(self.position, 1)))

    async def listed(self, view: View[R], listed: Listed) -> Any:
        return await self._answer(listed, Counted([], 0, Checkpoint(self.position, 1)))

    async def _answer(self, asked: Search | Listed, answer: Any) -> Any:
        self.asked.append(asked)
        if self.failure is not None:
            raise self.failure
        if self.held is not None:
            self.reached.set()
            await self.held.wait()
        return None if self.copy and self.position < asked.at_least else answer

    async def get_many(self, view: View[R], keys: Iterable[str]) -> Rows[R]:
        return Rows({key: self.rows[key] for key in keys if key in self.rows}, Checkpoint(self.position, 1))

    async def prepare(self, view: View[Any]) -> Checkpoint:
        return Checkpoint(self.position, 1)

    async def checkpoint(self, view: View[Any]) -> Checkpoint:
        return Checkpoint(self.position, 1)

    async def save_page(self, view: View[R], page: Page[R]) -> None:
        self.position = page.position

    async def wait_for(self, view: View[Any], position: int, wait: float) -> None:
        assert position <= self.position


class World:
    """A durable view and its copy, what is heard of the durable one, and a clock."""

    def __init__(self, durable: int, copy: int) -> None:
        self.now = 0.0
        self.durable, self.copy = At(durable), At(copy, copy=True)
        self.signals = Signals(clock=lambda: self.now)
        self.views = CopiedViews(self.durable, self.copy, self.signals)

    def hear(self, position: int) -> None:
        self.signals.hear_checkpoint(NOTES.name, Checkpoint(position, 1))

    async def search(self, at_least: int = 0) -> int:
        """Return the position of the answer to a search, and see that a list is answered alike."""
        found = await self.views.search(NOTES, Search(sort="key", at_least=at_least))
        counted = await self.views.listed(NOTES, Listed(at_least=at_least))
        assert counted.checkpoint == found.checkpoint
        return found.checkpoint.position


async def test_the_copy_answers_where_it_can_else_the_durable_view() -> None:
    world = World(durable=9, copy=5)
    assert await world.search() == 5
    assert world.durable.asked == []
    assert await world.search(at_least=6) == 9
    assert [each.at_least for each in world.copy.asked] == [0, 5, 6, 9]
    assert [each.at_least for each in world.durable.asked] == [6, 6]


async def test_a_view_without_a_copy_is_asked_alone() -> None:
    world = World(durable=9, copy=99)
    assert (await world.views.search(ALONE, Search(sort="key"))).checkpoint.position == 9
    assert (await world.views.listed(ALONE, Listed())).checkpoint.position == 9
    assert world.copy.asked == []


async def test_no_answer_is_older_than_one_before_whoever_gave_it() -> None:
    world = World(durable=7, copy=5)
    assert await world.search(at_least=6) == 7
    world.copy.position = 6
    assert await world.search() == 7
    world.copy.position = 8
    assert await world.search() == 8
    world.durable.position, world.copy.position = 9, 7
    assert await world.search() == 9


async def test_a_durable_view_that_was_set_back_counts() -> None:
    world = World(durable=9, copy=9)
    assert await world.search() == 9
    world.durable.position, world.copy.position = 6, 5
    assert await world.search() == 6
    assert await world.search() == 6
    world.copy.position = 6
    before = len(world.durable.asked)
    assert await world.search() == 6
    assert len(world.durable.asked) == before


async def test_an_answer_that_was_on_its_way_does_not_lower_what_was_answered_meanwhile() -> None:
    world = World(durable=4, copy=0)
    world.durable.held = asyncio.Event()
    early = asyncio.create_task(world.views.search(NOTES, Search(sort="key", at_least=3)))
    await world.durable.reached.wait()
    world.copy.position = 8
    assert await world.search() == 8
    world.durable.held.set()
    assert (await early).checkpoint.position == 4
    world.copy.position, world.durable.position = 7, 9
    assert await world.search() == 9


async def test_rows_that_were_shown_are_found_and_those_that_were_missing_are_not() -> None:
    world = World(durable=9, copy=5)
    world.durable.rows = {"a": Note(position=5, key="a"), "b": Note(position=6, key="b")}
    await world.views.get_many(NOTES, iter(["a", "a"]))
    assert await world.search() == 5
    await world.views.get_many(NOTES, ["a", "b"])
    assert await world.search() == 9
    other = World(durable=9, copy=5)
    await other.views.get_many(NOTES, ["a"])
    assert await other.search() == 9


async def test_a_copy_that_was_behind_for_more_than_a_second_does_not_answer() -> None:
    world = World(durable=9, copy=5)
    world.hear(5)
    world.now = 100.0
    world.hear(7)
    world.now = 100.5
    world.hear(9)
    for now, position in ((100.99, 5), (101.0, 9)):
        world.now = now
        assert await world.search() == position, now
    late = World(durable=9, copy=7)
    late.hear(5)
    late.now = 100.0
    late.hear(7)
    late.now = 100.5
    late.hear(9)
    for now, position in ((101.49, 7), (101.5, 9)):
        late.now = now
        assert await late.search() == position, now


async def test_how_long_a_view_has_stood_where_it_was_first_heard_of_is_not_known() -> None:
    world = World(durable=9, copy=5)
    world.signals.assume(UUID(int=1), 9, {NOTES.name: Checkpoint(9, 1)})
    assert await world.search() == 9


async def test_who_asks_again_and_again_where_nothing_moves_is_answered_by_the_copy() -> None:
    world = World(durable=9, copy=9)
    for now in range(100):
        world.now = now / 10
        world.signals.assume(UUID(int=1), 9, {NOTES.name: Checkpoint(9, 1)})
        assert await world.search() == 9
    assert world.durable.asked == []


async def test_what_is_wrong_with_a_question_is_told_and_a_durable_view_that_is_away_too() -> None:
    world = World(durable=9, copy=5)
    world.copy.failure = Invalid()
    with pytest.raises(Invalid):
        await world.search()
    world.copy.failure, world.durable.failure = None, StoreUnavailable("away")
    assert await world.search() == 5
    with pytest.raises(StoreUnavailable):
        await world.search(at_least=6)


async def test_everything_else_is_the_durable_view() -> None:
    world = World(durable=9, copy=99)
    assert await world.views.prepare(NOTES) == await world.views.checkpoint(NOTES) == Checkpoint(9, 1)
    await world.views.save_page(NOTES, Page({}, Checkpoint(9, 1), 12))
    await world.views.wait_for(NOTES, 12, 0)
    assert (await world.views.get_many(NOTES, ["a"])).checkpoint == Checkpoint(12, 1)
