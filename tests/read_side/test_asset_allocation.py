"""Allocations and rebalance transactions as they are asked for: read at a position, settled, and shown to the byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from domain.asset_allocation import Action, Basis, Share
from domain.base import Event
from domain.errors import NotFound, NotYet, RebalancePending
from domain.portfolio import Portfolio
from domain.values import ZERO
from projections.asset_allocation import ALLOCATION_PROJECTOR, REBALANCE_TRANSACTION_PROJECTOR
from projections.portfolio import PORTFOLIO_PROJECTOR
from read_side.asset_allocation import (
    ALLOCATIONS,
    REBALANCE_TRANSACTIONS,
    AllocationRow,
    Allocations,
    Pending,
    RebalanceTransactionRow,
    accepted_json,
    allocation_json,
    transactions_json,
)
from read_side.portfolio import PORTFOLIOS, Portfolios
from tests.domain.allocations import percents, shares
from tests.projections.logs import Process, append, deposited, process
from tests.projections.running import running

NOW = datetime(2025, 6, 21, 10, 0, tzinfo=UTC)
ALL = (PORTFOLIO_PROJECTOR, ALLOCATION_PROJECTOR, REBALANCE_TRANSACTION_PROJECTOR)


@asynccontextmanager
async def following(database_url: str, *projectors: object) -> AsyncIterator[tuple[Process, Allocations]]:
    """Run a process with these projections and the queries over their views."""
    async with process(database_url) as one, AsyncExitStack() as stack:
        for view in (PORTFOLIOS, ALLOCATIONS, REBALANCE_TRANSACTIONS):
            await one.store.prepare(view)
        for projector in projectors:
            await stack.enter_async_context(running(one, projector=projector))
        yield one, Allocations(one.store, one.signals, Portfolios(one.store, one.signals), one.history.head)


def asked(*targets: dict[str, Decimal], user_id: str = "1", basis: Basis = Basis.TARGET) -> Portfolio:
    """Return a portfolio of stocks (version 2) that was asked for these (from version 3 on)."""
    portfolio = Portfolio.open(user_id, "One", ZERO, NOW)
    portfolio.set_allocation(percents(stocks=100), NOW)
    for target in targets:
        portfolio.request_rebalance(basis, target, NOW)
    return portfolio


def booked(portfolio: Portfolio, up_to_version: int) -> list[Event]:
    portfolio.book_rebalances(up_to_version, NOW)
    return list(portfolio.collect_events())


def test_what_is_shown_is_exact_to_the_byte() -> None:
    given = {"stöcks": Decimal("1E+1"), '"b"': Decimal("89.99999999"), "c": Decimal("1E-8"), "d": Decimal("-0.0")}
    assert accepted_json("1", "new_allocation", given, "Done").decode() == (
        '{"success":true,"data":{"user_id":"1","new_allocation":'
        '{"stöcks":10,"\\"b\\"":89.99999999,"c":0.00000001,"d":0}},"message":"Done"}'
    )
    row = AllocationRow(user_id="1", allocation=(Share("a", Decimal("33.3")),), pending=(Pending(3, 3),), position=3)
    assert allocation_json(row).decode() == (
        '{"success":true,"data":{"user_id":"1","allocation":{"a":33.3},"pending":1},"message":"Portfolio found"}'
    )
    sold = RebalanceTransactionRow(
        user_id="1", action=Action.SELL, asset="a", rebalance_percent=Decimal("1E-8"), number=0, position=3
    )
    assert transactions_json([sold]).decode() == (
        '{"success":true,"data":[{"user_id":"1","action":"SELL","asset":"a","rebalance_percent":0.00000001}],'
        '"message":"Transactions found"}'
    )
    assert transactions_json([]).decode() == '{"success":true,"data":[],"message":"Transactions found"}'


async def test_an_allocation_is_found_with_what_is_pending_and_the_version(database_url: str) -> None:
    async with following(database_url, *ALL) as (_, queries):
        portfolio = asked(percents(gold=100), percents(art=100))
        head = await append(database_url, *portfolio.collect_events())
        row, version = await queries.of_user("1", at_least=head, wait=60)
        assert (row.allocation, len(row.pending), version) == (shares(stocks=100), 2, 4)
        head = await append(database_url, *booked(portfolio, 3))
        row, version = await queries.of_user("1", at_least=head, wait=60)
        assert (row.allocation, len(row.pending), version) == (shares(gold=100), 1, 5)
        head = await append(database_url, deposited("1", 6, "1"))
        assert (await queries.of_user("1", at_least=head, wait=60))[1] == 6


async def test_without_the_view_of_portfolios_there_is_no_version(database_url: str) -> None:
    async with following(database_url, ALLOCATION_PROJECTOR) as (one, queries):
        head = await append(database_url, *asked().collect_events())
        await one.store.wait_for(ALLOCATIONS, head, 60)
        row, version = await queries.of_user("1", at_least=head, wait=0.05)
        assert (row.allocation, version) == (shares(stocks=100), None)


async def test_transactions_come_in_booking_order_of_one_user(database_url: str) -> None:
    async with following(database_url, *ALL) as (_, queries):
        of_one, of_other = asked(percents(z="33.3", a="66.7"), percents(stocks=100)), asked(user_id="1.")
        head = await append(database_url, *booked(of_one, 3), *of_other.collect_events())
        assert await queries.transactions_of("1.", at_least=head, wait=60) == []
        head = await append(database_url, *booked(of_one, 4))
        rows = await queries.transactions_of("1", at_least=head, wait=60)
        assert [(row.action, row.asset) for row in rows] == [
            (Action.SELL, "stocks"),
            (Action.BUY, "z"),
            (Action.BUY, "a"),
            (Action.SELL, "z"),
            (Action.SELL, "a"),
            (Action.BUY, "stocks"),
        ]


async def test_settled_waits_until_what_was_asked_for_is_booked_and_for_no_more(database_url: str) -> None:
    async with following(database_url, *ALL) as (one, queries):
        portfolio = asked(percents(gold=100), percents(art=100))
        head = await append(database_url, *portfolio.collect_events())
        await one.store.wait_for(ALLOCATIONS, head, 60)
        first = asyncio.create_task(queries.of_user("1", settled=True, at_least=3, wait=60))
        moved = asyncio.create_task(queries.transactions_of("1", settled=True, at_least=3, wait=60))
        everything = asyncio.create_task(queries.of_user("1", settled=True, wait=60))
        await append(database_url, *asked(user_id="2").collect_events())
        await append(database_url, *booked(portfolio, 3))
        row, version = await first
        assert (row.allocation, len(row.pending), version) == (shares(gold=100), 1, 5)
        assert [(each.action, each.asset) for each in await moved] == [(Action.SELL, "stocks"), (Action.BUY, "gold")]
        assert not everything.done()
        portfolio.request_rebalance(Basis.TARGET, percents(stocks=100), NOW)
        await append(database_url, *booked(portfolio, 4))
        row, version = await everything
        assert (row.allocation, len(row.pending), version) == (shares(art=100), 1, 7)
        assert (await queries.of_user("1", settled=True, at_least=4, wait=0))[0] == row


async def test_what_is_still_pending_says_so(database_url: str) -> None:
    async with following(database_url, *ALL) as (one, queries):
        portfolio = asked(percents(gold=100), percents(art=100))
        head = await append(database_url, *portfolio.collect_events())
        for view in (PORTFOLIOS, ALLOCATIONS):
            await one.store.wait_for(view, head, 60)
        for ask in (queries.of_user, queries.transactions_of):
            with pytest.raises(RebalancePending, match="rebalances of 1: 2, the oldest from position 3"):
                await ask("1", settled=True, at_least=head, wait=0.05)
            with pytest.raises(RebalancePending, match="rebalances of 1: 1"):
                await ask("1", settled=True, at_least=3, wait=0)
        assert (await queries.of_user("1", settled=True, at_least=2, wait=0))[1] == 4


async def test_what_is_behind_or_unknown_says_so(database_url: str) -> None:
    async with following(database_url) as (_, queries):
        for ask in (queries.of_user, queries.transactions_of):
            for missing in ("1", "", "..", "a/b", "\0", "\ud800", "x" * 101):
                for settled in (True, False):
                    with pytest.raises(NotFound):
                        await ask(missing, settled=settled)
            with pytest.raises(NotYet):
                await ask("1", at_least=1, wait=0.01)
