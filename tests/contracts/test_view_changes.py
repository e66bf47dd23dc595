"""What every source of changes promises to the copies of a view; each adapter is one line in ``SOURCES``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import pytest

from domain.errors import Broken
from read_side.adapters.postgres_builder import PostgresBuilder
from read_side.adapters.postgres_changes import PostgresChanges
from read_side.changes import BEGINNING, Changed, Changes, Place
from read_side.store import Checkpoint, Fenced, Page, ViewStore
from tests.projections.copied import NOTES, Note
from tests.projections.logs import Process, process


@dataclass(frozen=True)
class Source:
    """A view and what tells of its changes."""

    changes: Changes
    store: ViewStore
    one: Process

    async def page(self, position: int, **rows: int | None) -> None:
        """Change these rows at these positions, None removes one, by a page up to this position."""
        page = {key: None if at is None else note(key, at) for key, at in rows.items()}
        await self.store.save_page(NOTES, Page(page, await self.store.checkpoint(NOTES), position))

    async def all(self, after: Place = BEGINNING, limit: int = 100) -> list[tuple[int, str, bool]]:
        """Return place and whether there is a row, of everything behind this place, in pieces of this size."""
        found: list[tuple[int, str, bool]] = []
        while True:
            changed = await self.changes.changes(NOTES, after, limit)
            found += [(*place, row is not None) for place, row in changed.rows]
            assert all(row in (None, note(place.key, place.position)) for place, row in changed.rows)
            if len(changed.rows) < limit:
                return found
            after = changed.rows[-1][0]


def note(key: str, position: int) -> Note:
    return Note(position=position, key=key, word=f"word of {key}")


@asynccontextmanager
async def postgres(database_url: str) -> AsyncIterator[Source]:
    async with process(database_url) as one:
        yield Source(PostgresChanges(one.pool.connection), one.store, one)


SOURCES: list[Callable[[str], AbstractAsyncContextManager[Source]]] = [postgres]


@pytest.fixture(params=SOURCES, ids=lambda make: make.__name__)
async def source(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Source]:
    async with request.param(database_url) as made:
        await made.store.prepare(NOTES)
        yield made


async def test_nothing_has_changed_in_a_new_view(source: Source) -> None:
    epoch = await source.one.history.epoch()
    assert await source.changes.changes(NOTES, BEGINNING, 10) == Changed([], Checkpoint(0, 1), epoch)


async def test_changes_come_by_position_then_by_key_as_code_points(source: Source) -> None:
    await source.page(9, b=3, a=5, Z=5, é=5, c=1)
    expected = [(1, "c", True), (3, "b", True), (5, "Z", True), (5, "a", True), (5, "é", True)]
    assert await source.all() == expected
    for limit in range(1, 7):
        assert await source.all(limit=limit) == expected


async def test_what_stands_behind_a_place_is_told_and_nothing_before_it(source: Source) -> None:
    await source.page(9, a=3, b=5, c=5, d=7)
    assert await source.all(Place(5, "b")) == [(5, "c", True), (7, "d", True)]
    assert await source.all(Place(6, "")) == [(7, "d", True)]
    assert await source.all(Place(9, "")) == []


async def test_a_piece_tells_the_checkpoint_and_the_log_it_was_read_at(source: Source) -> None:
    await source.page(9, a=3)
    epoch = await source.one.history.epoch()
    for after in (BEGINNING, Place(100, "")):
        changed = await source.changes.changes(NOTES, after, 1)
        assert (changed.checkpoint, changed.epoch) == (Checkpoint(9, 1), epoch)


async def test_a_row_that_changes_moves_behind_the_others(source: Source) -> None:
    await source.page(5, a=3, b=4)
    await source.page(9, a=8)
    assert await source.all() == [(4, "b", True), (8, "a", True)]


async def test_a_row_that_goes_is_told_at_the_position_of_its_page(source: Source) -> None:
    await source.page(5, a=3, b=4, c=5)
    await source.page(9, b=None, c=8)
    expected = [(3, "a", True), (8, "c", True), (9, "b", False)]
    for limit in range(1, 5):
        assert await source.all(limit=limit) == expected


async def test_a_row_that_comes_back_is_told_behind_its_going(source: Source) -> None:
    await source.page(5, a=3)
    await source.page(9, a=None)
    await source.page(12, a=11)
    assert await source.all() == [(9, "a", False), (11, "a", True)]
    await source.page(15, a=None)
    assert await source.all() == [(15, "a", False)]


async def test_a_page_that_is_fenced_tells_of_no_row_that_is_gone(source: Source) -> None:
    await source.page(5, a=3)
    for stale in (Checkpoint(4, 1), Checkpoint(5, 2)):
        with pytest.raises(Fenced):
            await source.store.save_page(NOTES, Page({"a": None}, stale, 9))
    assert await source.all() == [(3, "a", True)]


async def test_a_rebuild_begins_a_generation_without_rows_that_are_gone(source: Source) -> None:
    await source.page(5, a=3, b=4)
    await source.page(9, b=None)
    async with PostgresBuilder(source.one.database_url).build(NOTES) as build:
        await build.save({"a": note("a", 3)})
        await build.finish()
        async with build.hold_live():
            await build.switch(9)
    changed = await source.changes.changes(NOTES, BEGINNING, 10)
    assert (changed.rows, changed.checkpoint) == ([(Place(3, "a"), note("a", 3))], Checkpoint(9, 2))
    await source.page(12, a=None)
    assert await source.all() == [(12, "a", False)]


async def test_another_epoch_is_told(source: Source) -> None:
    before = await source.changes.changes(NOTES, BEGINNING, 1)
    async with source.one.pool.connection() as connection:
        await connection.execute("update app.log set epoch = gen_random_uuid()")
    after = await source.changes.changes(NOTES, BEGINNING, 1)
    assert before.epoch != after.epoch == await source.one.history.epoch()


async def test_a_view_that_was_never_prepared_is_broken(empty: Source) -> None:
    with pytest.raises(Broken, match="notes"):
        await empty.changes.changes(NOTES, BEGINNING, 1)


@pytest.fixture(params=SOURCES, ids=lambda make: make.__name__)
async def empty(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Source]:
    async with request.param(database_url) as made:
        yield made
