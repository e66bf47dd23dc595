"""A copier that dies at any step of a round or of a build: the next one goes on, and the copy is the view."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from read_side.tasks import end
from tests.projections.copied import NOTES, World, copying, reached, world
from tests.projections.copy_steps import Held
from tests.projections.logs import process
from tests.servers.elasticsearch import Elasticsearch

STEPS = ("sweep", "live", "changes", "begin", "write", "commit")
IN_A_BUILD = ("changes", "create", "write", "commit", "switch")


@pytest.fixture
async def notes(database_url: str, elasticsearch: Elasticsearch, index_prefix: str) -> AsyncIterator[World]:
    async with process(database_url) as one, world(one, elasticsearch.url, index_prefix) as made:
        yield made


async def dies(notes: World, name: str, when: str, number: int) -> None:
    """Run a copier until it is before or after this step, and let it die there."""
    steps = notes.steps()
    held = Held(steps, name, when, number)
    task = asyncio.create_task(notes.copier(steps).run())
    try:
        async with asyncio.timeout(60):
            await held.reached.wait()
    finally:
        await end(task)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", STEPS)
async def test_a_round_that_dies_is_taken_over(notes: World, name: str, when: str) -> None:
    built = await notes.scribble(4)
    async with copying(notes) as steps:
        await reached(steps, built)
    await notes.scribble(3)
    await dies(notes, name, when, 1)
    position = await notes.scribble(1)
    async with copying(notes) as steps:
        await reached(steps, position)
        await notes.same(position)
    assert steps.done["create"] == 0


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_round_that_dies_after_some_of_its_pieces_is_taken_over(notes: World, when: str) -> None:
    async with copying(notes) as steps:
        await reached(steps, await notes.scribble(2))
    await notes.scribble(12)
    await dies(notes, "write", when, 2)
    [checkpoint], rows = await notes.shown()
    assert rows == notes.history[checkpoint.position]  # nothing is seen that was not committed
    await notes.client.indices.refresh(index=notes.alias)  # but for somebody who shows everything
    [checkpoint], _ = await notes.shown()
    assert checkpoint.writing
    async with copying(notes) as steps:
        head = await notes.one.history.head()
        await reached(steps, head)
        await notes.same(head)


async def test_rows_that_were_written_ahead_are_not_shown_before_the_view_is_there(notes: World) -> None:
    async with copying(notes) as steps:
        position = await notes.page({"A": "a"})
        await reached(steps, position)
    await notes.page({"A": "b", "B": "b"})
    await dies(notes, "write", "after", 1)
    head = await notes.log(5)  # which the view has not taken
    steps = notes.steps()
    async with copying(notes, steps):
        await steps.until(lambda: steps.done["live"] > 5)
        assert steps.done["commit"] == 0
        assert steps.done["write"] <= 1
        before = await notes.one.store.checkpoint(NOTES)
        assert before.position < head
        position = await notes.page({"B": None})
        await reached(steps, position)
        await notes.same(position)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", IN_A_BUILD)
async def test_a_build_that_dies_is_made_anew(notes: World, name: str, when: str) -> None:
    await notes.scribble(8)
    await dies(notes, name, when, 3 if name in {"changes", "write"} else 1)
    position = await notes.scribble(1)
    async with copying(notes) as steps:
        await reached(steps, position)
        await notes.same(position)
        await steps.until(lambda: steps.done["sweep"] == 1 + steps.done["switch"])
    assert len(await notes.indexes()) == 1


async def test_one_who_does_not_know_that_it_no_longer_leads_writes_nothing(notes: World) -> None:
    async with copying(notes) as steps:
        await reached(steps, await notes.scribble(3))
    await notes.page({"A": "old"})
    slow = notes.steps()
    held = Held(slow, "changes", "after")
    task = asyncio.create_task(notes.copier(slow).run())
    try:
        async with asyncio.timeout(60):
            await held.reached.wait()
        await notes.lose_sessions()
        async with copying(notes) as steps:
            position = await notes.page({"A": "new"})
            await reached(steps, position)
            held.go_on()
            await slow.until(lambda: slow.done["changes"] > 0)
            position = await notes.page({"B": "new"})
            await reached(steps, position)
            await notes.same(position)
        assert slow.done["write"] == 0
    finally:
        await end(task)


async def test_two_who_write_at_once_leave_what_is_newest(notes: World) -> None:
    """As after a pause of the first between its last look at who leads and its writing."""
    async with copying(notes) as steps:
        await reached(steps, await notes.page({"A": "1", "B": "1"}))
    await notes.page({"A": "2", "B": None, "C": "2"})
    slow = notes.steps()
    held = Held(slow, "write", "before")
    task = asyncio.create_task(notes.copier(slow).run())
    try:
        async with asyncio.timeout(60):
            await held.reached.wait()
        await notes.lose_sessions()
        async with copying(notes) as steps:
            position = await notes.page({"A": None, "B": "3"})
            await reached(steps, position)
            held.go_on()
            await slow.until(lambda: slow.done["write"] == 1)
            position = await notes.page({"D": "4"})
            await reached(steps, position)
            await notes.same(position)
    finally:
        await end(task)
