"""Allocations and rebalances by commands: what opens a portfolio, what is booked once, also for several at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from domain.asset_allocation import Basis
from domain.base import Aggregate
from domain.errors import AlreadyExists, Invalid, NotFound, RuleViolated, StaleVersion
from domain.portfolio import AllocationSet, Portfolio, PortfolioOpened, RebalanceBooked, Status
from domain.values import ZERO
from tests.domain.allocations import percents, shares
from tests.write_side.stores import NOW, Store, by, event_store, once
from write_side.asset_allocation import BookRebalances, RequestRebalance, SetAllocation
from write_side.event_store import Done
from write_side.log import ANY_VERSION
from write_side.portfolio import ChangeStatus


async def allocate(one: Store, user_id: str = "1", **by_asset: Any) -> Done[Portfolio]:
    return await SetAllocation(user_id=user_id, allocation=percents(**by_asset)).handle(one.store, by(), now=NOW)


async def rebalance(one: Store, basis: Basis = Basis.TARGET, **by_asset: Any) -> Done[Portfolio]:
    command = RequestRebalance(user_id="1", allocation=percents(**by_asset), basis=basis)
    return await command.handle(one.store, by(), now=NOW)


async def book(one: Store, up_to_version: int, user_id: str = "1") -> Done[Portfolio]:
    return await BookRebalances(user_id=user_id, up_to_version=up_to_version).handle(one.store, by(), now=NOW)


async def kinds(one: Store, user_id: str = "1") -> list[type[Any]]:
    return [type(event) for event in await one.log.read(Portfolio.stream(user_id))]


async def test_an_unknown_user_gets_a_portfolio_in_one_append(database_url: str) -> None:
    async with event_store(database_url) as one:
        done = await allocate(one, stocks=100)
        assert (done.version, done.position) == (2, 2)
        assert [type(event) for event in done.events] == [PortfolioOpened, AllocationSet]
        portfolio = await one.store.load(Portfolio, "1")
        assert portfolio is not None
        assert (portfolio.portfolio_name, portfolio.cash, portfolio.status) == ("1", ZERO, Status.ACTIVE)
        commands = {recorded.command_id for recorded in await one.log.page(0, 10)}
        assert len(commands) == 1
        with pytest.raises(AlreadyExists):
            await one.open("1")


async def test_a_known_portfolio_is_given_one_and_another(database_url: str) -> None:
    async with event_store(database_url) as one:
        await one.open("1", "5")
        assert (await allocate(one, stocks=100)).version == 2
        assert (await allocate(one, gold=100)).version == 3
        assert (await allocate(one, gold="100.0")).version == 3
        await one.move("1", "-5")
        await ChangeStatus(portfolio_id="1", status=Status.CLOSED).handle(one.store, by(), now=NOW)
        with pytest.raises(RuleViolated, match="portfolio is closed"):
            await allocate(one, stocks=100)
        with pytest.raises(Invalid):
            await allocate(one, "2", stocks=99)
        assert await one.log.version(Portfolio.stream("2")) == 0


@pytest.mark.parametrize("processes", [1, 2])
async def test_all_who_open_at_once_succeed(database_url: str, processes: int) -> None:
    async with event_store(database_url) as one, event_store(database_url) as other:
        stores = [one, other][:processes] * (12 // processes)
        done = await asyncio.gather(
            *(allocate(store, a=number, b=100 - number) for number, store in enumerate(stores, 1))
        )
        assert sorted(each.version for each in done) == list(range(2, 14))
        assert await kinds(one) == [PortfolioOpened] + [AllocationSet] * 12


async def test_a_condition_holds_for_a_user_who_is_not_known_too(database_url: str) -> None:
    async with event_store(database_url) as one:
        command = SetAllocation(user_id="1", allocation=percents(stocks=100))
        for version in (1, ANY_VERSION):
            with pytest.raises(StaleVersion) as caught:
                await command.handle(one.store, by(expected_version=version), now=NOW)
            assert caught.value.current == 0
        await allocate(one, gold=100)
        with pytest.raises(StaleVersion):
            await command.handle(one.store, by(expected_version=1), now=NOW)
        assert (await command.handle(one.store, by(expected_version=2), now=NOW)).version == 3


async def test_a_key_opens_one_portfolio_however_often_it_comes(database_url: str) -> None:
    async with event_store(database_url) as one, event_store(database_url) as other:
        command = SetAllocation(user_id="1", allocation=percents(stocks=100))
        done = [await command.handle(each.store, once("key"), now=NOW) for each in (one, other, one)]
        assert [(each.version, each.position, each.replayed) for each in done] == [
            (2, 2, False),
            (2, 2, True),
            (2, 2, True),
        ]


async def test_a_rebalance_needs_an_allocation(database_url: str) -> None:
    async with event_store(database_url) as one:
        with pytest.raises(NotFound):
            await rebalance(one, stocks=100)
        await one.open("1")
        with pytest.raises(NotFound):
            await rebalance(one, stocks=100)
        with pytest.raises(NotFound):
            await book(one, 1, "2")
        assert (await book(one, 1)).version == 1


async def test_the_last_one_again_adds_nothing_also_in_another_process(database_url: str) -> None:
    async with event_store(database_url) as one, event_store(database_url) as other:
        await allocate(one, stocks=100)
        asked = [one, other] * 6
        done = await asyncio.gather(*(rebalance(store, gold=100) for store in asked))
        assert {each.version for each in done} == {3}
        assert {each.position for each in done} == {3}
        await book(other, 3)
        with pytest.raises(RuleViolated, match="same as current"):
            await rebalance(one, gold=100)


async def test_however_many_book_each_rebalance_is_booked_once_in_order(database_url: str) -> None:
    async with event_store(database_url) as one, event_store(database_url) as other:
        await allocate(one, stocks=100)
        for _ in range(5):
            await rebalance(one, gold=100)
            await rebalance(one, Basis.MARKET, art=100)
            await rebalance(one, stocks=100)
        await asyncio.gather(*(book(store, up_to) for up_to in range(3, 19) for store in (one, other)))
        assert (await book(one, 17)).events == ()
        events = [event for event in await one.log.read(Portfolio.stream("1")) if isinstance(event, RebalanceBooked)]
        assert [event.request_version for event in events] == list(range(3, 18))
        portfolio = await one.store.load(Portfolio, "1")
        assert portfolio is not None
        assert (portfolio.allocation, portfolio.requests) == (shares(stocks=100), ())


async def test_bookings_are_made_of_what_the_log_and_a_snapshot_have(database_url: str) -> None:
    async with event_store(database_url, snapshot_every=4) as one:
        await allocate(one, stocks=100)
        await rebalance(one, gold=100)
        await rebalance(one, Basis.MARKET, art=50, gold=50)
        await one.store.close()
        snapshot: Aggregate | None = await one.log.snapshot(Portfolio, Portfolio.stream("1"))
        assert snapshot is not None
        assert snapshot.version == 4
        async with event_store(database_url) as other:
            done = await book(other, 4)
            assert [len(event.transactions) for event in done.events if isinstance(event, RebalanceBooked)] == [2, 2]
