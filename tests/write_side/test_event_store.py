"""What the event store promises: once, never on a stale word, and only the loser of a conflict hears of it."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from itertools import pairwise

import pytest

from domain.errors import (
    AlreadyExists,
    Broken,
    NotFound,
    Overloaded,
    RuleViolated,
    StaleVersion,
)
from domain.portfolio import Portfolio
from tests.write_side.stores import NOW, by, event_store, moved
from write_side.log import ANY_VERSION, Conflict


async def test_a_command_answers_the_position_it_reached_and_positions_are_dense(database_url: str) -> None:
    async with event_store(database_url) as one:
        assert (await one.open("A", "10")).position == 1
        done = await one.move("A", "1", "-0.5", "2")
        assert (done.position, done.version) == (4, 4)
        assert done.aggregate is not None
        assert done.aggregate.cash == await one.cash("A") == Decimal("12.5")
        page = await one.log.page(0, 100)
        assert [recorded.position for recorded in page] == [1, 2, 3, 4]
        assert [recorded.version for recorded in page] == [1, 2, 3, 4]
        assert all(earlier.recorded_at <= later.recorded_at for earlier, later in pairwise(page))


async def test_every_event_carries_who_and_why(database_url: str) -> None:
    async with event_store(database_url) as one:
        context = by("maria")
        await one.open("A", context=context)
        (recorded,) = await one.log.page(0, 10)
        assert (recorded.actor, recorded.correlation_id) == ("maria", context.correlation_id)
        assert recorded.command_id == context.command_id


async def test_opening_twice_is_refused_by_the_log_itself(database_url: str) -> None:
    async with event_store(database_url) as one, event_store(database_url) as other:
        await one.open("A")
        for store in (one, other):
            with pytest.raises(AlreadyExists, match="portfolio A already exists"):
                await store.open("A")
        assert await one.log.head() == 1


async def test_a_conflict_inside_a_group_hits_only_its_own_caller(database_url: str) -> None:
    async with event_store(database_url) as one:
        await one.open("HOT", "100")
        current = await one.store.load(Portfolio, "HOT")
        assert current is not None

        async def append_stale() -> None:
            work = current.copy()
            work.update([moved("1")], NOW, now=NOW)
            await one.store.record(work, context=by())

        others = [one.open(f"P{number}") for number in range(20)]
        results = await asyncio.gather(*(append_stale() for _ in range(3)), *others, return_exceptions=True)
        assert sum(isinstance(result, Conflict) for result in results[:3]) == 2
        assert not [result for result in results[3:] if isinstance(result, BaseException)]
        assert [r.position for r in await one.log.page(0, 100)] == list(range(1, 23))
        assert await one.cash("HOT") == Decimal(101)


async def test_a_command_that_cannot_be_stored_hurts_nobody_else_in_its_group(database_url: str) -> None:
    async with event_store(database_url) as one:
        bad = [one.open(f"BAD{number}", context=by(actor)) for number, actor in enumerate(["a\0b", "\ud800"])]
        good = [one.open(f"P{number}") for number in range(20)]
        results = await asyncio.gather(*bad, *good, return_exceptions=True)
        assert all(isinstance(result, Broken) for result in results[:2])
        assert not [result for result in results[2:] if isinstance(result, BaseException)]
        assert await one.log.head() == 20
        assert (await one.open("BAD0")).position == 21


async def test_a_command_is_stored_all_or_not_at_all(database_url: str) -> None:
    async with event_store(database_url) as one, event_store(database_url) as other:
        await one.open("A", "1")
        current = await one.store.load(Portfolio, "A")
        assert current is not None
        work = current.copy()
        work.update([moved("1"), moved("1"), moved("1")], NOW, now=NOW)
        await other.move("A", "5")
        with pytest.raises(Conflict):
            await one.store.record(work, context=by())
        assert await one.cash("A") == Decimal(6)


async def test_an_event_that_would_leave_a_hole_in_its_stream_is_a_conflict(database_url: str) -> None:
    """As after a log was set back under a running process, which remembers more than there is."""
    async with event_store(database_url) as one:
        await one.open("A", "1")
        current = await one.store.load(Portfolio, "A")
        assert current is not None
        ahead = current.copy()
        ahead.update([moved("1"), moved("1")], NOW, now=NOW)
        ahead.collect_events()
        remembered = ahead.copy()
        ahead.update([moved("1")], NOW, now=NOW)
        with pytest.raises(Conflict):
            await one.store.record(ahead, context=by())
        one.store._keep(remembered, 0)
        assert (await one.move("A", "5")).version == 2
        assert await one.cash("A") == Decimal(6)


async def test_a_stale_cache_refuses_nothing_wrongly(database_url: str) -> None:
    """Two stores with caches of their own, as in two processes; the first one's cache is behind."""
    async with event_store(database_url) as stale, event_store(database_url) as other:
        await stale.open("A", "1")
        await other.move("A", "4")

        def withdraw_all(portfolio: Portfolio) -> None:
            if portfolio.cash < 5:
                raise RuleViolated(f"only {portfolio.cash} is there")
            portfolio.update([moved("-5")], NOW, now=NOW)

        def missing() -> NotFound:
            return NotFound("A")

        done = await stale.store.change(Portfolio, "A", withdraw_all, by(), missing=missing)
        assert done.aggregate is not None
        assert done.aggregate.cash == 0
        with pytest.raises(RuleViolated):
            await other.store.change(Portfolio, "A", withdraw_all, by(), missing=missing)

        await other.move("A", "7")
        done = await stale.move("A", "1", context=by(expected_version=4))
        assert done.version == 5

        await other.move("A", "1")
        noop = await stale.store.change(
            Portfolio,
            "A",
            lambda p: p.update([moved("-9")], NOW, now=NOW) if p.cash == 9 else None,
            by(),
            missing=missing,
        )
        assert noop.version == 7


async def test_commands_at_once_on_one_portfolio_from_two_processes_all_count(database_url: str) -> None:
    async with event_store(database_url) as one, event_store(database_url) as other:
        await one.open("A")
        stores = [one, other] * 40
        await asyncio.gather(*(store.move("A", "1") for store in stores))
        assert await one.cash("A") == Decimal(80)
        assert await one.log.version("portfolio/A") == 81


async def test_if_match(database_url: str) -> None:
    async with event_store(database_url) as one:
        await one.open("A")
        assert (await one.move("A", "1", context=by(expected_version=1))).version == 2
        with pytest.raises(StaleVersion, match="portfolio/A is at version 2, the request expects version 1"):
            await one.move("A", "1", context=by(expected_version=1))
        assert (await one.move("A", "1", context=by(expected_version=ANY_VERSION))).version == 3
        with pytest.raises(NotFound):
            await one.move("B", "1", context=by(expected_version=ANY_VERSION))


async def test_a_full_queue_refuses_and_a_closing_one_commits_what_waits(database_url: str) -> None:
    async with event_store(database_url) as one:
        one.appender.capacity = 3
        results = await asyncio.gather(*(one.open(f"P{n}") for n in range(10)), return_exceptions=True)
        refused = [result for result in results if isinstance(result, BaseException)]
        assert refused
        assert all(isinstance(result, Overloaded) for result in refused)
        assert await one.log.head() == 10 - len(refused)
        one.appender.capacity = 100
        waiting = [asyncio.create_task(one.open(f"Q{n}")) for n in range(50)]
        await asyncio.sleep(0)
        await one.appender.close()
        assert len({done.position for done in await asyncio.gather(*waiting)}) == 50


async def test_a_command_waits_for_its_turn_only_so_long(database_url: str) -> None:
    async with event_store(database_url, patience=0.2) as one:
        await one.open("A")
        await one.store._turns.take("portfolio/A", until=0)
        with pytest.raises(Overloaded, match="portfolio/A"):
            await one.move("A", "1")
        one.store._turns.leave("portfolio/A")
        assert (await one.move("A", "1")).version == 2


async def test_what_fails_beside_the_log_does_not_end_the_writer(database_url: str) -> None:
    async with event_store(database_url) as one:

        def fail(_flush: object) -> None:
            raise RuntimeError("a metric that cannot be written")

        one.appender.observe = fail
        assert (await one.open("A")).position == 1
        assert (await one.open("B")).position == 2
