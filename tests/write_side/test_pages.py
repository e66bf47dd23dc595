"""The log read by pages, by streams and by time: what comes, up to where, and what of it cannot be read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import psycopg
import pytest

from domain.base import Recorded
from domain.codec import encode
from domain.errors import Broken, StoreUnavailable
from domain.portfolio import Portfolio
from postgres import sessions
from tests.projections.logs import append, append_rows, deposited, opened, stored
from tests.projections.quoting import uploaded
from tests.write_side.stores import Store, event_store
from write_side.adapters import postgres_log
from write_side.adapters.postgres_sql import LOG_LOCK

MICROSECOND = timedelta(microseconds=1)
UNREADABLE = (Portfolio.stream("A"), 3, "portfolio.cash-deposited.v1", b'{"amount":"ten"}')


@pytest.fixture
async def one(database_url: str) -> AsyncIterator[Store]:
    async with event_store(database_url) as store:
        yield store


async def all_pages(one: Store, limit: int) -> list[list[Recorded]]:
    pages: list[list[Recorded]] = []
    while page := await one.log.page(pages[-1][-1].position if pages else 0, limit):
        pages.append(page)
    return pages


def positions(page: list[Recorded]) -> list[int]:
    return [recorded.position for recorded in page]


def size(page: list[Recorded]) -> int:
    return sum(len(encode(recorded.event)) for recorded in page)


async def test_pages_hold_every_event_once_in_order(one: Store) -> None:
    await one.open("A", "1")
    for _ in range(6):
        await one.move("A", "1")
    assert [positions(page) for page in await all_pages(one, 3)] == [[1, 2, 3], [4, 5, 6], [7]]
    assert [len(page) for page in await all_pages(one, 100)] == [7]
    assert await one.log.page(7, 10) == []
    assert await one.log.page(10**15, 10) == []


async def test_a_page_ends_before_the_command_that_fills_it(
    one: Store, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_log, "_PAGE_BYTES", 1_000)
    sizes = [1, 30, 400, 1, 1, 2, 500, 500, 3, 1]
    uploads = [uploaded(n, {f"I{each}": "1" for each in range(size)}) for n, size in enumerate(sizes)]
    await append(database_url, *uploads)
    pages = await all_pages(one, 100)
    assert [position for page in pages for position in positions(page)] == list(range(1, len(sizes) + 1))
    assert all(size(page) < 1_000 or len(page) == 1 for page in pages)
    assert all(size(page) + size(after[:1]) >= 1_000 for page, after in pairwise(pages))
    assert positions(pages[0]) == [1, 2]
    assert {len(page) for page in await all_pages(one, 1)} == {1}


async def test_a_page_is_as_large_as_one_says_also_with_real_uploads(one: Store, database_url: str) -> None:
    prices = {f"{number:024}": "123456789012345.12345678" for number in range(10_000)}
    await append(database_url, *(uploaded(number, prices) for number in range(16)))
    pages = await all_pages(one, 2_000)
    assert len(pages) > 1
    assert all(size(page) < 4 * 1024 * 1024 <= size(page) + size(after[:1]) for page, after in pairwise(pages))
    assert sum(map(len, pages)) == 16


@pytest.mark.parametrize("updates", [2, 3, 5, 8])
async def test_a_page_that_is_full_of_bytes_does_not_cut_a_command_in_two(
    one: Store, monkeypatch: pytest.MonkeyPatch, updates: int
) -> None:
    """Who follows takes a page shorter than asked for as whole: nobody may read half of an update."""
    await one.open("A", "1")
    for _ in range(10):
        await one.move("A", *["1"] * updates)
    monkeypatch.setattr(postgres_log, "_PAGE_BYTES", 700)
    pages = await all_pages(one, 100)
    assert len(pages) > 2
    assert [position for page in pages for position in positions(page)] == list(range(1, 2 + 10 * updates))
    assert all(page[-1].command_id != after[0].command_id for page, after in pairwise(pages))


async def test_a_command_larger_than_a_page_comes_in_pieces(one: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await one.open("A", "1")
    await one.move("A", *["1"] * 50)
    monkeypatch.setattr(postgres_log, "_PAGE_BYTES", 500)
    pages = await all_pages(one, 100)
    assert [position for page in pages for position in positions(page)] == list(range(1, 52))


async def test_events_up_to_one_that_cannot_be_read_come_first(one: Store, database_url: str) -> None:
    await append(database_url, opened("A", "1"), deposited("A", 2, "2"), UNREADABLE, deposited("A", 4, "4"))
    assert positions(await one.log.page(0, 10)) == [1, 2]
    with pytest.raises(Broken) as caught:
        await one.log.page(2, 10)
    assert caught.value.position == 3
    assert positions(await one.log.page(3, 10)) == [4]


async def test_a_stream_up_to_a_version_or_a_position_of_the_log(one: Store) -> None:
    for portfolio_id in "AB":
        await one.open(portfolio_id, "1")
    for _ in range(3):
        await one.move("A", "1")
        await one.move("B", "1", "2")
    everything = await one.log.page(0, 100)
    streams = {each: [recorded for recorded in everything if recorded.stream == f"portfolio/{each}"] for each in "AB"}
    for each, events in streams.items():
        name = Portfolio.stream(each)
        assert await one.log.stream(name) == events
        for limit in range(len(everything) + 2):
            assert await one.log.stream(name, version=limit) == events[:limit]
            until = [recorded for recorded in events if recorded.position <= limit]
            assert await one.log.stream(name, position=limit) == until
            assert await one.log.stream(name, version=2, position=limit) == until[:2]
    assert await one.log.stream("portfolio/C") == []
    assert await one.log.stream("") == []


async def test_a_stream_with_an_event_that_cannot_be_read_is_broken_only_from_there_on(
    one: Store, database_url: str
) -> None:
    await append(database_url, opened("A", "1"), deposited("A", 2, "2"), UNREADABLE)
    assert positions(await one.log.stream(Portfolio.stream("A"), version=2)) == [1, 2]
    with pytest.raises(Broken) as caught:
        await one.log.stream(Portfolio.stream("A"))
    assert caught.value.position == 3


async def test_the_last_event_at_or_before_a_time(one: Store, database_url: str) -> None:
    """Found by halving, compared with a look at every event; events of one transaction have one time."""
    await append(database_url, *(opened(f"P{number}") for number in range(5)))
    events, times = await one.log.page(0, 1_000), list[datetime]()
    for number in range(14):
        await append(database_url, *(opened(f"Q{number}-{each}") for each in range(1 + number % 3)))
        events = await one.log.page(0, 1_000)
        times = [recorded.recorded_at for recorded in events]
        for moment in {time + step for time in times for step in (-MICROSECOND, timedelta(), MICROSECOND)}:
            assert await one.log.position_at(moment) == sum(time <= moment for time in times)
    assert len(set(times)) == 15
    assert await one.log.position_at(datetime.min.replace(tzinfo=UTC)) == 0
    assert await one.log.position_at(datetime.max.replace(tzinfo=UTC)) == len(events)


async def test_what_is_being_committed_and_has_its_time_already_is_waited_for(one: Store, database_url: str) -> None:
    """Else the same question had two answers."""
    await append(database_url, opened("A"))
    waiting = """
        select count(*) from pg_locks where locktype = 'advisory' and not granted
        and database = (select oid from pg_database where datname = current_database())
    """
    async with (
        await psycopg.AsyncConnection.connect(database_url, autocommit=True) as slow,
        await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other,
    ):
        async with slow.transaction():
            await append_rows(slow, [stored(opened("B"))])
            [(moment,)] = await (await other.execute("select clock_timestamp()")).fetchall()
            asking = asyncio.create_task(one.log.position_at(moment))
            while await (await other.execute(waiting)).fetchone() != (1,):
                pass
            assert await one.log.position_at(moment - timedelta(hours=1)) == 0
        assert await asking == 2


async def test_while_an_append_hangs_the_log_is_read(
    one: Store, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many ask for the present, which waits for it."""
    monkeypatch.setattr(sessions, "LIMIT", 1.0)
    await append(database_url, opened("A"))
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as slow, slow.transaction():
        await slow.execute(LOG_LOCK)
        asking = [asyncio.create_task(one.log.position_at(datetime.now(UTC))) for _ in range(20)]
        await asyncio.sleep(0)
        monkeypatch.setattr(sessions, "LIMIT", 60.0)  # for what is asked from now on
        assert await one.log.head() == 1
        for each in await asyncio.gather(*asking, return_exceptions=True):
            assert isinstance(each, StoreUnavailable)


async def test_nothing_was_recorded_in_an_empty_log(one: Store) -> None:
    assert await one.log.position_at(datetime(2100, 1, 1, tzinfo=UTC)) == 0
    assert (await one.log.page(0, 10), await one.log.stream("portfolio/A"), await one.log.head()) == ([], [], 0)
