"""The search copy follows its view: built, kept up, and told what people have to know of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from read_side.copies import follower_of
from tests.projections.copied import NOTES, World, copying, reached, world
from tests.projections.logs import process
from tests.servers.elasticsearch import Elasticsearch


@pytest.fixture
async def notes(database_url: str, elasticsearch: Elasticsearch, index_prefix: str) -> AsyncIterator[World]:
    async with process(database_url) as one, world(one, elasticsearch.url, index_prefix) as made:
        yield made


async def test_a_copy_is_built_and_follows(notes: World) -> None:
    built = await notes.scribble(10)
    async with copying(notes) as steps:
        await reached(steps, built)
        await notes.same(built)
        for _ in range(5):
            position = await notes.scribble(3)
            await reached(steps, position)
            await notes.same(position)
    assert (steps.done["create"], steps.done["switch"]) == (1, 1)


async def test_a_row_goes_and_comes_back(notes: World) -> None:
    async with copying(notes) as steps:
        for rows in ({"A": "first", "B": "kept"}, {"A": None}, {"A": "back"}, {"A": None, "B": None}, {"A": "again"}):
            position = await notes.page(rows)
            await reached(steps, position)
            await notes.same(position)
    async with copying(notes) as steps:
        position = await notes.page({"A": None, "C": "new"})
        await reached(steps, position)
        await notes.same(position)
    assert steps.done["create"] == 0


async def test_pages_that_change_nothing_move_the_checkpoint_and_write_nothing(notes: World) -> None:
    async with copying(notes) as steps:
        await reached(steps, await notes.page({"A": "a"}))
        before = steps.done["write"], steps.done["begin"]
        position = await notes.page({})
        await reached(steps, position)
        await notes.same(position)
    assert (steps.done["write"], steps.done["begin"]) == before


async def test_a_new_copy_holds_no_row_that_was_gone_before(notes: World) -> None:
    await notes.page({f"K{number}": "here" for number in range(20)})
    position = await notes.page({f"K{number}": None for number in range(19)})
    async with copying(notes) as steps:
        await reached(steps, position)
        await notes.same(position)
    count = await notes.client.count(index=notes.alias)
    assert count["count"] == 2  # the row and the checkpoint


async def test_where_a_copy_stands_is_told_with_the_views(notes: World) -> None:
    async with copying(notes) as steps:
        position = await notes.page({"A": "a"})
        await notes.one.signals.wait_for_head(position, 60)
        await reached(steps, position)
        await steps.until(lambda: steps.done["live"] > 3)
    [lag] = [each for each in await notes.one.store.lags() if each.view == follower_of(NOTES)]
    assert (lag.position, lag.stopped, lag.error) == (position, False, None)


async def test_one_leads_and_another_waits_for_its_turn(notes: World) -> None:
    async with copying(notes) as first:
        await reached(first, await notes.page({"A": "a"}))
        async with copying(notes) as second:
            await reached(first, await notes.page({"A": "b"}))
            assert not second.done
    async with copying(notes) as third:
        position = await notes.page({"A": "c"})
        await reached(third, position)
        await notes.same(position)
