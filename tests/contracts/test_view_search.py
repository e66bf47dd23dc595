"""What every searchable store of views promises of ranges, keys and pages; adapters stand in ``view_stores.STORES``."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from domain.errors import Invalid
from read_side.store import Kind, Page, Row, Search, SearchableViewStore, View


class Thing(Row, frozen=True, kw_only=True, gc=False):
    """A row with a field of every kind, each of which may be without a value."""

    key: str
    word: str | None
    count: int | None
    at: datetime | None
    figure: Decimal | None
    note: str | None


THINGS = View(
    name="things",
    row=Thing,
    key="key",
    fields={
        "word": Kind.KEYWORD,
        "count": Kind.POSITION,
        "at": Kind.MOMENT,
        "figure": Kind.NUMBER,
        "note": Kind.TEXT,
    },
)

WORDS = ("", "A", "B", "a", "ab", "a b", "é", "日", "\U0001f600", None)
COUNTS = (0, 1, 9, 10, 2**53 + 1, 2**63 - 1, None)
NOON = datetime(2025, 6, 21, 12, tzinfo=UTC)
MOMENTS = (
    datetime(1, 1, 1, tzinfo=UTC),
    NOON - timedelta(microseconds=1),
    NOON,
    NOON + timedelta(microseconds=1),
    datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    None,
)
FIGURES = tuple(
    None if text is None else Decimal(text)
    for text in ("-12345678901234567890.1234567890123456", "-1", "0", "0.1000000000000000", "0.1000000000000001",
                 "9", "10", "99999999999999999999999999999", None)
)  # fmt: skip
KEYS = ("A/1", "A/10", "A/2", "B", "a", "é", "日", "\U0001f600")
VALUES: dict[str, tuple[Any, ...]] = {"word": WORDS, "count": COUNTS, "at": MOMENTS, "figure": FIGURES}


def thing(number: int) -> Thing:
    """Return one of many rows: values and their absence come again and again, in no order."""
    return Thing(
        position=number + 1,
        key=f"{KEYS[number % len(KEYS)]}{number // len(KEYS)}",
        word=WORDS[number * 7 % len(WORDS)],
        count=COUNTS[number * 3 % len(COUNTS)],
        at=MOMENTS[number * 5 % len(MOMENTS)],
        figure=FIGURES[number * 4 % len(FIGURES)],
        note=None if number % 5 == 0 else f"Größe {number}",
    )


ROWS = [thing(number) for number in range(60)]


@pytest.fixture(scope="module")
async def store(any_kept_store: SearchableViewStore) -> SearchableViewStore:
    start = await any_kept_store.prepare(THINGS)
    await any_kept_store.save_page(THINGS, Page({row.key: row for row in ROWS}, start, len(ROWS)))
    return any_kept_store


def expected(sort: str, fits: Callable[[Thing], bool]) -> list[Thing]:
    """Return the rows that fit, in this order."""
    name = sort.lstrip("-")
    rows = [row for row in ROWS if fits(row) and getattr(row, name) is not None]
    return sorted(rows, key=lambda row: (getattr(row, name), row.key), reverse=sort.startswith("-"))


async def pages(store: SearchableViewStore, search: Search) -> list[Thing]:
    """Return all rows of a search, page by page; no page but a first one is empty."""
    found = await store.search(THINGS, search)
    rows = found.rows
    while found.next is not None:
        assert len(found.rows) == search.limit
        found = await store.search(THINGS, replace(search, cursor=found.next))
        assert found.rows
        rows += found.rows
    return rows


def within(value: Any, low: Any, high: Any) -> bool:
    """Whether the value is in the range, both ends included, None for no limit."""
    return value is not None and (low is None or low <= value) and (high is None or value <= high)


@pytest.mark.parametrize("descending", ["", "-"])
@pytest.mark.parametrize("name", VALUES)
async def test_a_range_holds_both_its_ends_and_none_is_no_limit(
    store: SearchableViewStore, name: str, descending: str
) -> None:
    for low, high in itertools.product(VALUES[name], repeat=2):
        search = Search(between={name: (low, high)}, sort=f"{descending}{name}", limit=100)
        fitting = expected(search.sort, lambda row: within(getattr(row, name), low, high))  # noqa: B023
        assert (await store.search(THINGS, search)).rows == fitting, (low, high)


async def test_the_ends_of_a_range_of_times_are_the_same_in_every_offset(store: SearchableViewStore) -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=-11)))
    found = await store.search(THINGS, Search(between={"at": (elsewhere, elsewhere)}, sort="at"))
    assert found.rows == expected("at", lambda row: row.at == NOON)


@pytest.mark.parametrize("descending", ["", "-"])
@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("limit", [1, 2, 7, 100])
async def test_pages_of_any_size_hold_every_row_with_a_value_once(
    store: SearchableViewStore, name: str, descending: str, limit: int
) -> None:
    sort = f"{descending}{name}"
    assert await pages(store, Search(sort=sort, limit=limit)) == expected(sort, lambda row: True)


@pytest.mark.parametrize("below", ["", "A", "A/1", "A/10", "A/2", "B0", "a", "é", "\U0001f600", "\U0001f6009"])
@pytest.mark.parametrize("sort", ["word", "-word"])
async def test_keys_below_one_are_those_before_it_by_code_point(
    store: SearchableViewStore, sort: str, below: str
) -> None:
    search = Search(key_below=below, sort=sort, limit=100)
    assert (await store.search(THINGS, search)).rows == expected(sort, lambda row: row.key < below)


@pytest.mark.parametrize("sort", ["count", "-count", "at", "-at"])
@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_all_conditions_hold_together_on_every_page(store: SearchableViewStore, sort: str, limit: int) -> None:
    between = {"count": (1, None), "figure": (Decimal("-1"), Decimal("10"))}
    for words in (*WORDS, "none has it"):
        search = Search(
            equals={} if words is None else {"word": words},
            between=between,
            key_below="é",
            text="GRÖSSE",
            text_fields=("note",),
            sort=sort,
            limit=limit,
        )

        def fits(row: Thing, words: str | None = words) -> bool:
            ranges = all(within(getattr(row, name), *ends) for name, ends in between.items())
            return ranges and row.key < "é" and row.note is not None and words in (None, row.word)

        assert await pages(store, search) == expected(sort, fits), words


@pytest.mark.parametrize("sort", ["word", "-word"])
@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_among_rows_of_one_value_the_key_is_the_order(store: SearchableViewStore, sort: str, limit: int) -> None:
    for word in WORDS[:-1]:
        search = Search(equals={"word": word}, key_below="日", sort=sort, limit=limit)
        rows = await pages(store, search)
        assert rows == expected(sort, lambda row: row.word == word and row.key < "日")  # noqa: B023


@pytest.mark.parametrize("sort", ["word", "-word"])
async def test_a_cursor_of_another_value_is_refused(store: SearchableViewStore, sort: str) -> None:
    page = await store.search(THINGS, Search(equals={"word": "A"}, sort=sort, limit=1))
    assert page.next is not None
    with pytest.raises(Invalid):
        await store.search(THINGS, Search(equals={"word": "B"}, sort=sort, cursor=page.next))


async def test_a_row_without_a_value_fits_no_condition(store: SearchableViewStore) -> None:
    assert any(row.word is None for row in ROWS)
    for search in (
        Search(between={"word": (None, None)}, sort="word", limit=100),
        Search(sort="-word", limit=100),
        Search(between={"word": ("", None)}, sort="word", limit=100),
        Search(between={"word": (None, "\U0010ffff")}, sort="word", limit=100),
    ):
        found = (await store.search(THINGS, search)).rows
        assert (len(found), None in {row.word for row in found}) == (54, False)
    assert (await store.search(THINGS, Search(equals={"word": None}, sort="count"))).rows == []


@pytest.mark.parametrize(
    "search",
    [
        Search(sort="note"),
        Search(sort="-note"),
        Search(sort="count", equals={"note": "größe 1"}),
        Search(sort="count", between={"note": ("a", None)}),
    ],
)
async def test_texts_have_neither_values_nor_an_order(store: SearchableViewStore, search: Search) -> None:
    with pytest.raises(ValueError, match="note"):
        await store.search(THINGS, search)


class Left(Row, frozen=True, kw_only=True, gc=False, tag="left"):
    key: str
    word: str


class Right(Row, frozen=True, kw_only=True, gc=False, tag="right"):
    key: str
    count: int


def sides(*kinds: type[Row], version: int = 1) -> View[Any]:
    row: Any = kinds[0] if len(kinds) == 1 else kinds[0] | kinds[1]
    return View(
        name="sides", row=row, key="key", fields={"word": Kind.KEYWORD, "count": Kind.POSITION}, version=version
    )


async def test_rows_of_several_kinds_are_one_view(any_store: SearchableViewStore) -> None:
    view = sides(Left, Right)
    rows: list[Left | Right] = [
        Left(position=1, key="a", word="x"),
        Right(position=2, key="b", count=1),
        Left(position=3, key="c", word="y"),
        Right(position=4, key="d", count=2),
    ]
    start = await any_store.prepare(view)
    await any_store.save_page(view, Page({row.key: row for row in rows}, start, 4))
    assert (await any_store.get_many(view, "abcd")).rows == {row.key: row for row in rows}
    assert (await any_store.search(view, Search(sort="-word"))).rows == [rows[2], rows[0]]
    found = await any_store.search(view, Search(sort="count", limit=1))
    assert found.rows == [rows[1]]
    assert (await any_store.search(view, Search(sort="count", cursor=found.next))).rows == [rows[3]]


def test_the_shape_tells_kinds_apart_whatever_their_order() -> None:
    class Moved(Row, frozen=True, kw_only=True, gc=False, tag="left"):
        key: str

    class Longer(Row, frozen=True, kw_only=True, gc=False, tag="right"):
        word: str
        key: str
        count: int

    class Renamed(Row, frozen=True, kw_only=True, gc=False, tag="centre"):
        key: str
        count: int

    shape = sides(Left, Right).shape
    assert sides(Right, Left).shape == shape
    others = [
        sides(Left),
        sides(Left, Renamed),
        sides(Moved, Longer),
        sides(Left, Longer),
        sides(Left, Right, version=2),
    ]
    assert len({shape, *(view.shape for view in others)}) == 6


async def test_a_field_that_no_row_has_is_refused(any_store: SearchableViewStore) -> None:
    with pytest.raises(ValueError, match="count"):
        await any_store.prepare(sides(Left))
