"""What every store of views promises; each adapter is one line in ``view_stores.STORES``."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest

from domain.errors import Invalid, NotYet
from domain.portfolio import Holding, Status
from read_side.portfolio import PORTFOLIOS, PortfolioRow
from read_side.store import Checkpoint, Fenced, Found, Page, Search, SearchableViewStore

NOW = datetime(2025, 6, 21, 10, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
async def store(any_store: SearchableViewStore) -> SearchableViewStore:
    await any_store.prepare(PORTFOLIOS)
    return any_store


def row(portfolio_id: str, *, name: str = "Name", status: Status = Status.ACTIVE, position: int = 1) -> PortfolioRow:
    return PortfolioRow(
        position=position,
        portfolio_id=portfolio_id,
        portfolio_name=name,
        status=status,
        cash=Decimal("12345678901234567890.1234567890123456"),
        cash_updated=NOW,
        positions={"AAPL": Holding(Decimal("-0.5"), Decimal("-12.345678901234567890123456789"), NOW)},
        last_updated=NOW,
        version=1,
        opened=position,
    )


async def fill(store: SearchableViewStore, *rows: PortfolioRow) -> Checkpoint:
    start = await store.checkpoint(PORTFOLIOS)
    position = start.position + max(row.position for row in rows)
    await store.save_page(PORTFOLIOS, Page({row.portfolio_id: row for row in rows}, start, position))
    return await store.checkpoint(PORTFOLIOS)


async def test_a_new_view_is_empty_at_position_0_and_prepared_as_often_as_one_likes(store: SearchableViewStore) -> None:
    assert await store.prepare(PORTFOLIOS) == await store.checkpoint(PORTFOLIOS) == Checkpoint(0, 1)
    assert (await store.get_many(PORTFOLIOS, ["A"])).rows == {}


async def test_rows_come_back_as_they_were_with_the_checkpoint_they_were_read_at(store: SearchableViewStore) -> None:
    one, other = row("A"), row("B", name="日本 % _ \\ ' \"")
    checkpoint = await fill(store, one, other)
    read = await store.get_many(PORTFOLIOS, ["B", "A", "missing", "A"])
    assert read.rows == {"A": one, "B": other}
    assert read.checkpoint == checkpoint


async def test_a_page_replaces_and_removes(store: SearchableViewStore) -> None:
    checkpoint = await fill(store, row("A"), row("B"))
    newer = msgspec.structs.replace(row("A"), version=2)
    await store.save_page(PORTFOLIOS, Page({"A": newer, "B": None, "C": None}, checkpoint, 5))
    read = await store.get_many(PORTFOLIOS, ["A", "B", "C"])
    assert (read.rows, read.checkpoint.position) == ({"A": newer}, 5)


async def test_a_page_without_rows_moves_the_checkpoint(store: SearchableViewStore) -> None:
    start = await store.checkpoint(PORTFOLIOS)
    await store.save_page(PORTFOLIOS, Page({}, start, 9))
    assert await store.checkpoint(PORTFOLIOS) == Checkpoint(9, start.generation)


@pytest.mark.parametrize(("position", "generation"), [(-1, 0), (1, 0), (0, 1), (0, -1)])
async def test_a_page_for_another_place_is_fenced_whole(
    store: SearchableViewStore, position: int, generation: int
) -> None:
    held = await fill(store, row("A"))
    stale = Checkpoint(held.position + position, held.generation + generation)
    with pytest.raises(Fenced):
        await store.save_page(PORTFOLIOS, Page({"A": None, "B": row("B")}, stale, 50))
    read = await store.get_many(PORTFOLIOS, ["A", "B"])
    assert (set(read.rows), read.checkpoint) == ({"A"}, held)


async def test_a_page_of_many_rows_is_stored_whole_or_not_at_all(store: SearchableViewStore) -> None:
    held = await fill(store, row("OLD"))
    many: dict[str, PortfolioRow | None] = {f"P{number}": row(f"P{number}") for number in range(4_500)}
    page = Page({"OLD": None, **many}, held, 50)
    with pytest.raises(Fenced):
        await store.save_page(PORTFOLIOS, Page(page.rows, Checkpoint(held.position + 1, held.generation), 50))
    assert set((await store.get_many(PORTFOLIOS, page.rows)).rows) == {"OLD"}
    await store.save_page(PORTFOLIOS, page)
    read = await store.get_many(PORTFOLIOS, page.rows)
    assert (read.rows, read.checkpoint.position) == (many, 50)


async def test_a_wait_ends_when_the_view_is_there_or_in_time(store: SearchableViewStore) -> None:
    checkpoint = await fill(store, row("A"))
    await store.wait_for(PORTFOLIOS, checkpoint.position, 60)
    with pytest.raises(NotYet) as caught:
        await store.wait_for(PORTFOLIOS, checkpoint.position + 1, 0.01)
    assert (caught.value.position, caught.value.reached) == (checkpoint.position + 1, checkpoint.position)


async def ids(store: SearchableViewStore, search: Search) -> list[str]:
    return [row.portfolio_id for row in (await store.search(PORTFOLIOS, search)).rows]


async def test_search_by_member_and_by_text_whatever_the_case(store: SearchableViewStore) -> None:
    await fill(
        store,
        row("ACC-1", name="Growth", position=1),
        row("acc-2", name="GRÖSSE 50%_\\", status=Status.CLOSED, position=2),
        row("X", name="Income", position=3),
    )
    both = ("portfolio_id", "portfolio_name")
    for text, expected in [
        ("ACC", ["acc-2", "ACC-1"]),
        ("größe", ["acc-2"]),
        ("50%_\\", ["acc-2"]),
        ("%", ["acc-2"]),
        ("_", ["acc-2"]),
        ("grow%", []),
        ("", ["X", "acc-2", "ACC-1"]),
        ("come", ["X"]),
    ]:
        assert await ids(store, Search(text=text, text_fields=both, sort="-opened")) == expected, text
    closed = Search(equals={"status": "CLOSED"}, sort="-opened")
    assert await ids(store, closed) == ["acc-2"]
    assert await ids(store, Search(text="acc", text_fields=both, equals={"status": "ACTIVE"}, sort="opened")) == [
        "ACC-1"
    ]
    for unstorable in ("\0", "\ud800"):
        with pytest.raises(Invalid):
            await store.search(PORTFOLIOS, Search(text=unstorable, text_fields=both, sort="opened"))


@pytest.mark.parametrize("sort", ["opened", "-opened"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_pages_hold_every_row_once_in_order(store: SearchableViewStore, sort: str, limit: int) -> None:
    rows = [row(f"P{number}", position=number // 2 + 1) for number in range(7)]
    await fill(store, *rows)
    found: list[PortfolioRow] = []
    cursor = None
    while True:
        page: Found[PortfolioRow] = await store.search(PORTFOLIOS, Search(sort=sort, limit=limit, cursor=cursor))
        assert 1 <= len(page.rows) <= limit
        found += page.rows
        cursor = page.next
        if cursor is None:
            break
    expected = sorted(rows, key=lambda row: (row.opened, row.portfolio_id), reverse=sort.startswith("-"))
    assert found == expected


@pytest.mark.parametrize("cursor", ["", "x", "!!", "W10", "bnVsbA", "WyItb3BlbmVkIiwiYSIsImIiXQ", "Ä" * 5])
async def test_a_cursor_of_nobody_is_refused(store: SearchableViewStore, cursor: str) -> None:
    with pytest.raises(Invalid):
        await store.search(PORTFOLIOS, Search(sort="-opened", cursor=cursor))


async def test_a_cursor_of_another_search_is_refused(store: SearchableViewStore) -> None:
    await fill(store, row("A"), row("B"))
    page = await store.search(PORTFOLIOS, Search(sort="opened", limit=1))
    with pytest.raises(Invalid):
        await store.search(PORTFOLIOS, Search(sort="-opened", cursor=page.next))
