"""The views of allocations and rebalance transactions: what each event leaves, and what other views make of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.asset_allocation import Action, Basis
from domain.base import Event
from domain.errors import Broken
from domain.portfolio import Portfolio
from domain.values import ZERO
from projections.asset_allocation import ALLOCATION_PROJECTOR, REBALANCE_TRANSACTION_PROJECTOR
from projections.portfolio import PORTFOLIO_PROJECTOR
from projections.prices import PRICE_PROJECTOR
from projections.projector import Projector
from projections.rebuild import rebuild, verify
from projections.returns import RETURNS_PROJECTOR
from projections.transactions import TRANSACTION_PROJECTOR
from read_side.adapters.postgres_builder import PostgresBuilder
from read_side.asset_allocation import (
    ALLOCATIONS,
    REBALANCE_TRANSACTIONS,
    AllocationRow,
    Pending,
    RebalanceTransactionRow,
)
from read_side.portfolio import PortfolioRow
from read_side.returns import PortfolioReturns, portfolio_key
from tests.domain.allocations import percents, shares
from tests.projections.logs import append, content, process
from tests.projections.quoting import recorded
from tests.projections.running import running

NOW = datetime(2025, 6, 21, 10, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=3)


def life(user_id: str = "1") -> list[Event]:
    """Opened with cash (1), set (2), three requests (3 to 5), set again (6), the first two booked (7, 8)."""
    portfolio = Portfolio.open(user_id, "One", Decimal(100), NOW)
    portfolio.set_allocation(percents(stocks=60, bonds=40), LATER)
    portfolio.request_rebalance(Basis.TARGET, percents(gold=100), LATER)
    portfolio.request_rebalance(Basis.MARKET, percents(art="33.3", gold="66.7"), LATER)
    portfolio.request_rebalance(Basis.TARGET, percents(stocks=100), LATER)
    portfolio.set_allocation(percents(cash=100), LATER)
    portfolio.book_rebalances(4, LATER)
    return list(portfolio.collect_events())


def rows_after(events: list[Event]) -> AllocationRow | None:
    return ALLOCATION_PROJECTOR.fold({}, recorded(events)).get("1")


def test_a_row_has_the_allocation_that_counts_and_what_is_pending() -> None:
    events = life()
    three = (Pending(3, 3), Pending(4, 4), Pending(5, 5))
    expected = [
        (2, shares(stocks=60, bonds=40), ()),
        (3, shares(stocks=60, bonds=40), three[:1]),
        (5, shares(stocks=60, bonds=40), three),
        (6, shares(cash=100), three),
        (7, shares(cash=100), three[1:]),
        (8, shares(cash=100), three[2:]),
    ]
    assert rows_after(events[:1]) is None
    for position, allocation, pending in expected:
        assert rows_after(events[:position]) == AllocationRow(
            user_id="1", allocation=allocation, pending=pending, position=position
        )
    portfolio = Portfolio.open("1", "One", ZERO, NOW)
    portfolio.set_allocation(percents(stocks=100), NOW)
    portfolio.request_rebalance(Basis.TARGET, percents(gold=100), NOW)
    portfolio.book_rebalances(3, NOW)
    row = rows_after(list(portfolio.collect_events()))
    assert row == AllocationRow(user_id="1", allocation=shares(gold=100), position=4)


def test_positions_are_those_of_the_log_and_versions_those_of_the_portfolio() -> None:
    rows = ALLOCATION_PROJECTOR.fold({}, recorded([*life("2")[:4], *life()[:5]]))
    assert rows["2"] is not None
    assert rows["1"] is not None
    assert rows["2"].pending == (Pending(3, 3), Pending(4, 4))
    assert rows["1"].pending == (Pending(3, 7), Pending(4, 8), Pending(5, 9))


def test_a_rebalance_without_an_allocation_stops_the_view() -> None:
    with pytest.raises(Broken, match="before it has an allocation"):
        ALLOCATION_PROJECTOR.fold({}, recorded(life()[2:]))


def test_every_transaction_is_a_row_in_booking_order() -> None:
    rows = REBALANCE_TRANSACTION_PROJECTOR.fold({}, recorded(life()))
    assert all(row is not None and row.key == key for key, row in rows.items())
    told = [rows[key] for key in sorted(rows)]
    assert [
        (row.position, row.number, row.action, row.asset, row.rebalance_percent) for row in told if row is not None
    ] == [
        (7, 0, Action.SELL, "stocks", Decimal(60)),
        (7, 1, Action.SELL, "bonds", Decimal(40)),
        (7, 2, Action.BUY, "gold", Decimal(100)),
        (8, 0, Action.SELL, "art", Decimal("33.3")),
        (8, 1, Action.BUY, "gold", Decimal("33.3")),
    ]


def test_a_thousand_and_more_transactions_sort_in_their_order() -> None:
    rows = [
        RebalanceTransactionRow(
            user_id="1", action=Action.BUY, asset="a", rebalance_percent=ZERO, number=number, position=position
        )
        for position in (9, 10, 10**17)
        for number in (0, 9, 10, 1999)
    ]
    assert [row.key for row in rows] == sorted(row.key for row in rows)


def test_other_views_take_the_version_and_nothing_else() -> None:
    events = recorded(life())
    opened = PORTFOLIO_PROJECTOR.fold({}, events[:1])["1"]
    after = PORTFOLIO_PROJECTOR.fold({}, events)["1"]
    assert isinstance(opened, PortfolioRow)
    assert after is not None
    assert (after.version, after.position) == (8, 8)
    assert {name: getattr(after, name) for name in FACTS} == {name: getattr(opened, name) for name in FACTS}
    assert TRANSACTION_PROJECTOR.fold({}, events).keys() == TRANSACTION_PROJECTOR.fold({}, events[:1]).keys()
    assert PRICE_PROJECTOR.fold({}, events) == {}
    rows = RETURNS_PROJECTOR.fold({}, events)
    (row,) = rows.values()
    assert isinstance(row, PortfolioReturns)
    assert portfolio_key("1") in rows
    assert (row.clock, row.months, row.facts) == (None, (), after)


FACTS = set(PortfolioRow.__struct_fields__) - {"version", "position"}


async def test_both_views_are_followed_rebuilt_and_verified(database_url: str) -> None:
    async with process(database_url) as one:
        async with (
            running(one, projector=ALLOCATION_PROJECTOR),
            running(one, projector=REBALANCE_TRANSACTION_PROJECTOR),
        ):
            head = await append(database_url, *life(), *life("2"), *life("1.")[:4])
            await one.store.wait_for(ALLOCATIONS, head, 60)
            await one.store.wait_for(REBALANCE_TRANSACTIONS, head, 60)
        found = await one.store.get_many(ALLOCATIONS, ["1", "2", "1.", "3"])
        assert {key: len(row.pending) for key, row in found.rows.items()} == {"1": 1, "2": 1, "1.": 2}
        assert len(await content(database_url, REBALANCE_TRANSACTIONS)) == 10
        projectors: tuple[Projector[Any], ...] = (ALLOCATION_PROJECTOR, REBALANCE_TRANSACTION_PROJECTOR)
        for projector in projectors:
            before = await content(database_url, projector.view)
            compared = await verify(projector, one.history, PostgresBuilder(database_url))
            assert (compared.position, compared.differences) == (head, [])
            assert (await rebuild(projector, one.history, PostgresBuilder(database_url))).switched
            assert await content(database_url, projector.view) == before
