"""The table of prices: what this process appends it hears, what others append it reads, and nobody reads too early."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import cast
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from domain.base import Event
from domain.errors import Broken, NotYet, StoreUnavailable
from domain.prices import Price, quotes, wins
from read_side import price_table
from read_side.price_table import PriceTable
from read_side.prices import PRICES, PriceRow, Prices
from read_side.store import Checkpoint
from tests.projections.quoting import CONFUSABLE, hour, known_after, moved_in, random_quotes, recorded, uploaded
from tests.read_side.price_log import Log, following

ONE, TWO = uploaded(1, {"A": "1", "B": "1"}), uploaded(2, {"A": "2"}, hour(1))


def prices(table: PriceTable) -> dict[str, str]:
    return {name: str(known.price) for name, known in sorted(table.book.items())}


def newest(events: Sequence[Event], name: str) -> int:
    """Return the position of the event that brought the price of this instrument."""
    known, position = dict[str, Price](), 0
    for each in recorded(events):
        for quote in quotes(each.event):
            if wins(quote, known.get(quote.instrument_id)):
                known[quote.instrument_id] = quote.price
                position = each.position if quote.instrument_id == name else position
    return position


async def quiet(log: Log) -> int:
    """Return how often the log is read in a while in which nothing happens."""
    before = len(log.reads)
    assert not await log.signals.wait_for_head(10**9, 0.4)
    return len(log.reads) - before


async def test_it_begins_with_what_the_view_has_and_takes_the_rest_from_the_log() -> None:
    log = Log([ONE, TWO], seen=1)
    async with following(log) as table:
        await table.reach(2, 60)
        assert (prices(table), table.position) == ({"A": "2", "B": "1"}, 2)
        assert [table.newest(names) for names in (["A"], ["B"], ["B", "A"], ["NONE"], [])] == [2, 1, 2, 0, 0]


async def test_what_this_process_appends_is_known_at_once_and_never_read() -> None:
    log = Log()
    async with following(log) as table:
        for event in (ONE, TWO):
            table.heard(log.append(event), [event])
            assert table.position == len(log.events)
            await table.reach(table.position, 0)
        assert prices(table) == {"A": "2", "B": "1"}
        assert log.reads == []


async def test_what_others_have_appended_between_is_read_before_anything_after_it_counts() -> None:
    log = Log([ONE], seen=1)
    async with following(log) as table:
        log.append(uploaded(3, {"C": "3"}))
        table.heard(log.append(TWO), [TWO])
        assert (table.position, prices(table)) == (1, {"A": "1", "B": "1"})
        await table.reach(3, 60)
        assert prices(table) == {"A": "2", "B": "1", "C": "3"}


async def test_a_reader_waits_until_the_log_is_read_so_far_and_no_longer_than_it_says() -> None:
    log = Log([ONE], seen=1)
    async with following(log) as table:
        waiting = [asyncio.create_task(table.reach(position, 60)) for position in (3, 2, 3, 1)]
        for wait in (0.02, 0, -1):
            with pytest.raises(NotYet) as caught:
                await table.reach(2, wait)
            assert (caught.value.position, caught.value.reached) == (2, 1)
        table.heard(log.append(TWO), [TWO])
        await waiting[1]
        assert [task.done() for task in waiting] == [False, True, False, True]
        log.append(uploaded(3, {"C": "3"}))
        await asyncio.gather(*waiting)


async def test_readers_that_have_given_up_do_not_keep_it_looking() -> None:
    log = Log([ONE], seen=1)
    async with following(log) as table:
        with pytest.raises(NotYet):
            await table.reach(50, 0.1)
        waiting = asyncio.create_task(table.reach(60, 3_600))
        await log.looked_at(6)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        while table._waiters:
            assert not await log.signals.wait_for_head(10**9, 0.01)
        assert await quiet(log) == 0


async def test_prices_of_an_equal_time_and_of_shares_moved_in() -> None:
    log = Log([ONE, uploaded(2, {"A": "5"}), moved_in(2, "B", "9", hour(5)), uploaded(4, {"A": "6"}, hour(-1))])
    log.append(moved_in(3, "C", "7", hour(9)), uploaded(6, {"C": "8"}, hour(1)), moved_in(4, "D", "0"))
    async with following(log) as table:
        await table.reach(7, 60)
        assert prices(table) == {"A": "5", "B": "1", "C": "7"}
        assert table.newest(["A", "B", "C", "D"]) == 5


async def test_a_row_of_the_view_is_not_followed_by_events_it_already_includes() -> None:
    """The view was read while it moved: its row of A is newer than the position from which the log is followed."""
    log = Log([ONE, uploaded(2, {"A": "5"}), uploaded(3, {"A": "6"})])
    rows, _ = await Log(log.events, seen=3).latest()

    async def latest() -> tuple[dict[str, PriceRow], int]:
        return rows, 1

    log.latest = latest  # type: ignore[method-assign]
    log.append(uploaded(4, {"Z": "1"}))
    log.unreadable = 3
    with capture_logs():
        async with following(log) as table:
            await table.reach(2, 60)
            assert (prices(table)["A"], table.newest(["A"]), table.position) == ("6", 3, 2)
            log.unreadable = 0
            await table.reach(4, 60)
            assert (prices(table)["A"], table.newest(["A"]), table.position) == ("6", 3, 4)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60))
async def test_whoever_appends_the_table_is_what_the_log_says(seed: int, count: int) -> None:
    random, events, log = Random(seed), random_quotes(seed, count), Log()
    log.seen = random.randrange(len(events))
    log.append(*events[: log.seen])
    async with following(log) as table:
        while len(log.events) < len(events):
            some = events[len(log.events) :][: random.randint(1, 4)]
            base = log.append(*some)
            if random.randrange(2):
                table.heard(base, some)
            if random.randrange(2):
                await table.reach(base + 1, 60)
            assert dict(table.book) == known_after(events[: table.position])
        await table.reach(len(events), 60)
        assert dict(table.book) == known_after(events)
        assert [table.newest([name]) for name in CONFUSABLE] == [newest(events, name) for name in CONFUSABLE]


async def test_events_that_come_while_it_loads_are_not_lost() -> None:
    log = Log([ONE], seen=1, loading=asyncio.Event())
    table = PriceTable(log, cast(Prices, log), log.signals)
    starting = asyncio.create_task(table.start())
    await asyncio.sleep(0)
    table.heard(log.append(TWO), [TWO])
    log.append(uploaded(3, {"C": "3"}))
    assert log.loading is not None
    log.loading.set()
    await starting
    await table.reach(3, 60)
    assert prices(table) == {"A": "2", "B": "1", "C": "3"}
    await table.close()


async def test_an_event_that_cannot_be_read_stops_it_until_the_view_has_passed_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(price_table, "_PAUSE", 0.01)
    log = Log([ONE, uploaded(2, {"A": "666"}, hour(1)), uploaded(3, {"C": "3"})], seen=1, unreadable=2)
    with capture_logs() as logs:
        async with following(log) as table:
            with pytest.raises(NotYet) as caught:
                await table.reach(3, 0.2)
            assert caught.value.reached == 1
            log.signals.hear_checkpoint(PRICES.name, Checkpoint(1, 1))
            with pytest.raises(NotYet):
                await table.reach(2, 0.1)
            log.signals.hear_checkpoint(PRICES.name, Checkpoint(2, 1))
            await table.reach(3, 60)
            assert prices(table) == {"A": "1", "B": "1", "C": "3"}
    assert {entry["event"] for entry in logs} == {"prices not followed"}


async def test_a_log_that_is_away_is_followed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_table, "_PAUSE", 0.01)
    log = Log([ONE], seen=1)
    with capture_logs():
        async with following(log) as table:
            log.failure = StoreUnavailable("away")
            log.append(TWO)
            with pytest.raises(NotYet):
                await table.reach(2, 0.1)
            log.failure = None
            await table.reach(2, 60)
    assert prices(table) == {"A": "2", "B": "1"}


async def test_without_a_view_to_load_it_reads_the_whole_log() -> None:
    log = Log([ONE, TWO], seen=2, failure=Broken("another shape"))
    with capture_logs() as logs:
        table = PriceTable(log, cast(Prices, log), log.signals)
        await table.start()
        log.failure = None
        await table.reach(2, 60)
        await table.close()
    assert prices(table) == {"A": "2", "B": "1"}
    assert logs[0]["because"] == "another shape"


async def test_a_log_that_was_set_back_is_loaded_anew() -> None:
    log = Log([ONE, TWO, uploaded(3, {"OLD": "3"})], seen=3)
    async with following(log) as table:
        log.events[1:] = []
        log.seen = 1
        log.signals.assume(UUID(int=1), 1, {})
        table.forget()
        assert table.position < 1
        table.heard(log.append(uploaded(4, {"A": "7"}, hour(2))), [log.events[-1]])
        assert table.position < 1, "what it hears before it has loaded is of no use"
        await table.reach(2, 60)
        assert (prices(table), table.position) == ({"A": "7", "B": "1"}, 2)
        assert table.newest(["A", "OLD"]) == 2


@pytest.mark.parametrize("set_back_to", [0, 1])
async def test_a_page_that_was_read_of_the_log_before_it_was_set_back_is_of_no_use(set_back_to: int) -> None:
    log = Log([ONE], seen=1)
    async with following(log) as table:

        def set_back() -> None:
            log.events[set_back_to:] = []
            log.seen = set_back_to
            log.signals.assume(UUID(int=1), set_back_to, {})
            table.forget()
            done.set()

        done = asyncio.Event()
        log.meanwhile.append(set_back)
        log.append(uploaded(2, {"OLD": "2"}))
        await done.wait()
        log.append(uploaded(3, {"NEW": "3"}))
        await table.reach(set_back_to + 1, 60)
        assert prices(table) == {"A": "1", "B": "1", "NEW": "3"} if set_back_to else {"NEW": "3"}
