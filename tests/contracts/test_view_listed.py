"""What every searchable store of views promises of lists by number; adapters stand in ``view_stores.STORES``."""

from __future__ import annotations

import asyncio
import itertools
import random

import pytest

from read_side.store import Checkpoint, Listed, Page, SearchableViewStore
from tests.api.folded import counted
from tests.contracts.test_view_search import MOMENTS, ROWS, THINGS, WORDS, Left, Right, Thing, sides

BY_KEY = {row.key: row for row in ROWS}
SORTS = ("word", "-word", "count", "-count", "at", "-at", "figure", "-figure", "key", "-key")


async def filled(store: SearchableViewStore) -> SearchableViewStore:
    start = await store.prepare(THINGS)
    await store.save_page(THINGS, Page(dict(BY_KEY), start, len(ROWS)))
    return store


@pytest.fixture(scope="module")
async def store(any_kept_store: SearchableViewStore) -> SearchableViewStore:
    return await filled(any_kept_store)


async def rows(store: SearchableViewStore, listed: Listed) -> list[Thing]:
    return (await store.listed(THINGS, listed)).rows


async def test_rows_without_a_value_come_last_in_both_directions(store: SearchableViewStore) -> None:
    for name in ("word", "count", "at", "figure"):
        for sort in (name, f"-{name}"):
            values = [getattr(row, name) for row in await rows(store, Listed(sort=(sort,)))]
            known = [value for value in values if value is not None]
            assert known == sorted(known, reverse=sort.startswith("-")), sort
            assert len(known) < len(values) == len(ROWS), sort
            assert values[len(known) :] == [None] * (len(values) - len(known)), sort


async def test_the_key_ascending_decides_between_equals_in_both_directions(store: SearchableViewStore) -> None:
    for sort in ((), ("word",), ("-word",), ("-at", "word")):
        names = [each.removeprefix("-") for each in sort]
        found = await rows(store, Listed(sort=sort))
        groups = itertools.groupby(found, key=lambda row: [getattr(row, name) for name in names])
        for _, group in groups:
            keys = [row.key for row in group]
            assert keys == sorted(keys), sort


async def test_texts_are_sorted_by_code_point(store: SearchableViewStore) -> None:
    words = dict.fromkeys(row.word for row in await rows(store, Listed(sort=("word",))))
    assert list(words) == ["", "A", "B", "a", "a b", "ab", "é", "日", "\U0001f600", None]
    keys = [row.key for row in await rows(store, Listed(sort=("-key",)))]
    assert keys == sorted(BY_KEY, reverse=True)


async def test_any_list_is_what_its_conditions_and_order_say(store: SearchableViewStore) -> None:
    chance = random.Random(5)
    at = await store.checkpoint(THINGS)
    for _ in range(300):
        listed = Listed(
            equals={"word": chance.choice(WORDS)} if chance.random() < 0.2 else {},
            any_of={"at": chance.choices(MOMENTS, k=chance.randrange(4))} if chance.random() < 0.3 else {},
            has=chance.choice((None, None, "count", "note")),
            sort=tuple(chance.sample(SORTS, chance.randrange(4))),
            offset=chance.choice((0, 0, 1, 7, 59, 60, 61, 10**12)),
            limit=chance.choice((None, 0, 1, 7, 100)),
        )
        assert await store.listed(THINGS, listed) == counted(THINGS, BY_KEY, listed, at), listed


@pytest.mark.parametrize("word", [None, "nowhere", "\0", "a\ud800"])
async def test_what_no_row_can_have_fits_none(store: SearchableViewStore, word: str | None) -> None:
    for listed in (Listed(equals={"word": word}), Listed(any_of={"word": [word]}), Listed(any_of={"word": []})):
        found = await store.listed(THINGS, listed)
        assert (found.rows, found.total, found.checkpoint) == ([], 0, Checkpoint(len(ROWS), 1))
    both = await store.listed(THINGS, Listed(any_of={"word": [word, "A", "A"]}, limit=1))
    assert (len(both.rows), both.total) == (1, 6)


@pytest.mark.parametrize(
    "listed",
    [
        Listed(sort=("note",)),
        Listed(sort=("word", "-note")),
        Listed(equals={"note": "größe 1"}),
        Listed(any_of={"note": ["größe 1"]}),
        Listed(sort=("nothing",)),
        Listed(sort=("--word",)),
        Listed(has="nothing"),
        Listed(equals={"nothing": 1}),
    ],
)
async def test_texts_and_what_is_no_field_are_refused(store: SearchableViewStore, listed: Listed) -> None:
    with pytest.raises(ValueError, match=r"note|nothing|word"):
        await store.listed(THINGS, listed)


async def test_one_kind_of_rows_is_listed_by_a_field_that_only_it_has(any_store: SearchableViewStore) -> None:
    view = sides(Left, Right)
    made: list[Left | Right] = [
        Left(position=1, key="a", word="x"),
        Right(position=2, key="b", count=1),
        Left(position=3, key="c", word="y"),
        Right(position=4, key="d", count=2),
    ]
    start = await any_store.prepare(view)
    await any_store.save_page(view, Page({row.key: row for row in made}, start, 4))
    for sort in ("count", "-count", "word", "key"):
        found = await any_store.listed(view, Listed(has="count", sort=(sort,), limit=1))
        assert (found.rows, found.total) == ([made[3 if sort == "-count" else 1]], 2), sort
    assert (await any_store.listed(view, Listed(sort=("-word",)))).rows == [made[2], made[0], made[1], made[3]]


async def test_rows_and_total_are_of_one_snapshot(any_store: SearchableViewStore) -> None:
    """While all rows come and go, each answer has as many as it says, which are those at its checkpoint.

    They do until both have been seen.
    """
    store = await filled(any_store)
    start = await store.checkpoint(THINGS)
    none: dict[str, Thing | None] = dict.fromkeys(BY_KEY)
    seen: set[int] = set()

    async def change() -> None:
        for number in itertools.count():
            if number >= 30 and len(seen) == 2:
                return
            held = Checkpoint(start.position + number, start.generation)
            await store.save_page(THINGS, Page(dict(BY_KEY) if number % 2 else none, held, held.position + 1))

    changing = asyncio.create_task(change())
    while not changing.done():
        found = await store.listed(THINGS, Listed(sort=("-count",)))
        there = (found.checkpoint.position - start.position) % 2 == 0
        assert len(found.rows) == found.total == (len(ROWS) if there else 0)
        seen.add(found.total)
    await changing
    assert seen == {0, len(ROWS)}
