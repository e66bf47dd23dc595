"""The projector of orders: what executions fill, in whatever order they come, and that its rows are the log's alone."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from domain.base import Event
from domain.errors import Broken
from domain.order import OrderStatus
from projections.order import ORDER_PROJECTOR
from projections.projector import Folding
from projections.rebuild import rebuild, verify
from read_side.adapters.postgres_builder import PostgresBuilder
from read_side.order import ORDERS, SHOWN, EarlyRow, Fills, OrderRows, OrdersRow, UnbookedRow
from tests.projections.logs import append, content, process
from tests.projections.ordering import (
    NOW,
    booked,
    executed,
    not_looked_up,
    parked,
    random_orders,
    sent,
    sold_and_bought,
)
from tests.projections.quoting import recorded
from tests.projections.rebalancing import BOND, GOLD
from tests.projections.running import running

REBALANCE, ORDERED = sold_and_bought()[1:3]
ID = REBALANCE.rebalance_id
SENT = sent(REBALANCE, ORDERED)
"""Two events: the beginning of the blotter, and the orders."""


def rows_of(*events: Event) -> dict[str, OrderRows]:
    return {key: row for key, row in ORDER_PROJECTOR.fold({}, recorded(events)).items() if row is not None}


def row_of(*events: Event) -> OrdersRow:
    row = rows_of(*events)[ID]
    assert isinstance(row, OrdersRow)
    return row


def filled(row: OrdersRow) -> list[tuple[Decimal, Decimal, tuple[int, ...]]]:
    return [(line.fills.quantity, line.fills.amount, line.fills.execution_ids) for line in row.lines]


ROW = row_of(*SENT)
NOTHING = (Decimal(0), Decimal(0), ())


def test_orders_are_open_when_they_are_sent() -> None:
    row = row_of(*SENT)
    assert (row.portfolio_id, row.version, row.position, row.sent_at) == ("ACC-1", 2, 2, NOW)
    assert tuple(line.order for line in row.lines) == ORDERED
    assert filled(row) == [NOTHING] * 3
    assert (row.status, row.unmatched, row.cancelled_at) == (OrderStatus.OPEN, (), None)


def test_several_executions_fill_an_order_and_more_than_it() -> None:
    row = row_of(*SENT, executed(1, f"{ID}-3", "200", "150.35"), executed(2, f"{ID}-3", "198.5", "150.2"))
    assert filled(row)[2] == (Decimal("398.5"), Decimal("59884.7"), (3, 4))  # 30,070 and 29,814.7
    assert row.statuses == [OrderStatus.OPEN] * 3
    row = row_of(*SENT, executed(1, f"{ID}-3", "200", "150.35"), executed(2, f"{ID}-3", "200", "150.2"))
    assert filled(row)[2] == (Decimal(400), Decimal(60110), (3, 4))
    assert (row.statuses[2], row.status, row.position) == (OrderStatus.FILLED, OrderStatus.OPEN, 4)
    assert row.moved == {GOLD: 0, BOND: 0, ORDERED[2].security_id: Decimal(400)}


def all_filled() -> list[Event]:
    return [
        executed(number, order.order_id, str(order.quantity), "7", security_id=order.security_id,
                 side=order.transaction_type)
        for number, order in enumerate(ORDERED, 1)
    ]  # fmt: skip


def test_they_are_filled_once_all_of_them_are() -> None:
    row = row_of(*SENT, *all_filled())
    assert row.status is OrderStatus.FILLED
    assert row.moved == {GOLD: Decimal(-1000), BOND: Decimal(301), ORDERED[2].security_id: Decimal(399)}
    assert row_of(*SENT, *all_filled()[:2]).status is OrderStatus.OPEN


def test_an_execution_with_nothing_filled_fills_nothing() -> None:
    row = row_of(*SENT, executed(1, f"{ID}-3", "0", "150.35"))
    assert filled(row)[2] == (Decimal(0), Decimal(0), (3,))


@pytest.mark.parametrize(
    "wrong",
    [{"portfolio_id": "ACC-2"}, {"side": "SELL"}, {"security_id": BOND}, {"order_id": f"{ID}-4"}],
)
@pytest.mark.parametrize("first", [True, False])
def test_what_is_of_something_else_is_told_and_not_counted(wrong: dict[str, Any], first: bool) -> None:
    order_id = wrong.get("order_id", f"{ID}-3")
    others = {name: value for name, value in wrong.items() if name != "order_id"}
    odd = executed(1, order_id, "200", "150.35", **others)
    row = row_of(odd, *SENT) if first else row_of(*SENT, odd)
    assert filled(row) == [NOTHING] * 3
    (fill,) = row.unmatched
    assert (fill.execution_id, fill.order_id, fill.quantity_filled) == (1 if first else 3, order_id, Decimal(200))
    assert (fill.portfolio_id, fill.transaction_type, fill.average_price) == (
        wrong.get("portfolio_id", "ACC-1"), wrong.get("side", "BUY"), Decimal("150.35"),
    )  # fmt: skip


def test_what_comes_before_the_orders_is_kept_and_counted_then() -> None:
    early = [
        executed(1, f"{ID}-3", "100", "150"),
        executed(2, f"{ID}-3", "50", "151"),
        executed(3, f"{ID}-9", "1", "1"),
    ]
    before = row_of(*early)
    assert (before.sent_at, before.lines, before.position) == (None, (), 3)
    assert [fill.execution_id for fill in before.unmatched] == [1, 2, 3]
    row = row_of(*early, *SENT, executed(4, f"{ID}-3", "49", "152"))
    assert filled(row)[2] == (Decimal(199), Decimal(29998), (1, 2, 6))  # 15,000 and 7,550 and 7,448
    assert [fill.execution_id for fill in row.unmatched] == [3]
    assert (row.sent_at, row.version, row.position) == (NOW, 2, 6)


def test_other_order_ids_are_not_ours() -> None:
    foreign = [
        executed(number, order_id, "1", "1") for number, order_id in enumerate((None, "DESK-1", ID, f"{ID}-0"), 1)
    ]
    assert rows_of(*foreign) == {}
    assert row_of(*SENT, *foreign) == row_of(*SENT)


def test_what_is_filled_after_it_was_cancelled_counts() -> None:
    cancelled = sent(REBALANCE, ORDERED, cancelled=True)
    row = row_of(*cancelled, executed(1, f"{ID}-3", "200", "150.35"))
    assert (row.status, row.cancelled_at, row.version) == (OrderStatus.CANCELLED, cancelled[-1].timestamp, 3)
    assert filled(row)[2] == (Decimal(200), Decimal(30070), (4,))
    assert row_of(*cancelled, *all_filled()).status is OrderStatus.FILLED


def tech_fills(count: int, first: int = 1, **others: Any) -> list[Event]:
    return [executed(number, f"{ID}-3", "0.5", "150", **others) for number in range(first, first + count)]


@pytest.mark.parametrize("early", [0, 1, SHOWN, SHOWN + 3])
def test_of_very_many_fills_the_first_are_kept_one_by_one_and_all_are_counted(early: int) -> None:
    fills, more = tech_fills(SHOWN + 7), tech_fills(SHOWN + 2, 1_000, side="SELL")
    row = row_of(*fills[:early], *SENT, *fills[early:], *more)
    ids = tuple(range(1, early + 1)) + tuple(range(early + 3, SHOWN + 3))
    assert row.lines[2].fills == Fills(Decimal("53.5"), Decimal(8025), SHOWN + 7, ids[:SHOWN])
    assert (len(row.unmatched), row.unmatched_count) == (SHOWN, SHOWN + 2)
    assert row.unmatched[0].execution_id == SHOWN + 10
    assert len(ORDERS.encode(row)) < 40_000


def test_a_fill_more_does_not_make_a_full_row_longer() -> None:
    """Neither where the orders are known, nor where they never will be."""
    for before in (SENT, []):
        few, many = (row_of(*before, *tech_fills(count, side="SELL")) for count in (SHOWN, 3 * SHOWN))
        assert few.unmatched == many.unmatched
        assert (len(many.unmatched), many.unmatched_count) == (SHOWN, 3 * SHOWN)


def test_of_what_came_before_the_orders_the_wrong_ones_are_counted_beyond_those_that_are_kept() -> None:
    row = row_of(*tech_fills(SHOWN - 1), *tech_fills(3, 1_000, portfolio_id="ACC-2"), *tech_fills(2, 2_000), *SENT)
    assert row.lines[2].fills.count == SHOWN + 1
    assert ([fill.execution_id for fill in row.unmatched], row.unmatched_count) == ([SHOWN], 3)
    rows = rows_of(*tech_fills(3), *tech_fills(3, 1_000, portfolio_id="ACC-2"), *SENT)
    assert [row.fills.count for row in rows.values() if isinstance(row, EarlyRow)] == [3]  # those of the other


def waiting(*events: Event) -> list[tuple[int, str, str, str | None]]:
    """Return what is not booked: execution, portfolio, booking and its reason."""
    rows = [row for row in rows_of(*events).values() if isinstance(row, UnbookedRow)]
    return [(row.execution_id, row.unbooked_of, str(row.booking), row.booking_reason) for row in rows]


def test_a_fill_waits_until_it_is_booked() -> None:
    fill, odd = executed(7, f"{ID}-3", "1", "1"), executed(8, f"{ID}-3", "1", "1", side="SELL")
    expected = [(3, "ACC-1", "NONE", None), (4, "ACC-1", "NONE", None)]
    assert waiting(*SENT, fill, odd) == expected
    assert waiting(*SENT, fill, odd, parked(7, "why")) == [(3, "ACC-1", "PARKED", "why"), expected[1]]
    assert waiting(*SENT, fill, odd, parked(7, "why"), booked(7, 3)) == [expected[1]]
    assert waiting(*SENT, fill, odd, booked(8), booked(7)) == []


def test_what_names_no_order_of_ours_or_has_nothing_filled_waits_for_nothing() -> None:
    others = [executed(1, None, "1", "1"), executed(2, "DESK-1", "1", "1"), executed(3, f"{ID}-3", "0", "1")]
    bookings = [parked(1, "why"), booked(1, 3), parked(2, "why")]
    assert waiting(*SENT, *others, *bookings) == []
    assert row_of(*SENT, *others, *bookings) == row_of(*SENT, *others)


def test_a_fill_whose_look_up_failed_waits_until_it_is_recorded_and_booked() -> None:
    of_order, away, again = f"{ID}-3", (0, "ACC-1", "NONE", "away"), (0, "ACC-1", "NONE", "still away")
    assert waiting(*SENT, *not_looked_up(7, of_order)) == [away]
    assert waiting(*SENT, *not_looked_up(7, of_order, of_order)) == [again]
    assert waiting(*SENT, *not_looked_up(7, "DESK-1", of_order)) == [again]
    *failed, ended = not_looked_up(7, of_order, recorded=True)
    fill = executed(7, of_order, "1", "1")
    assert waiting(*SENT, *failed, fill, ended) == [(4, "ACC-1", "NONE", None)]
    assert waiting(*SENT, *failed, fill, ended, booked(7)) == []
    assert waiting(*SENT, *failed, executed(7, None, "1", "1"), ended) == []


def test_a_failed_look_up_that_fills_none_of_our_orders_holds_nothing_back() -> None:
    for others in (["DESK-1"], [None], [f"{ID}-3", "DESK-1"]):
        assert waiting(*SENT, *not_looked_up(7, *others)) == []
    assert waiting(*SENT, *not_looked_up(7, f"{ID}-3", quantity="0")) == []
    assert waiting(*not_looked_up(7, f"{ID}-3"), *SENT) == []


def test_a_look_up_that_fails_after_its_execution_was_recorded_takes_nothing_away() -> None:
    """Two requests can cross so closely that neither sees the other: these are two streams."""
    *failed, ended = not_looked_up(7, f"{ID}-3", recorded=True)
    fill = executed(7, f"{ID}-3", "1", "1")
    assert waiting(*SENT, fill, *failed) == waiting(*SENT, fill, *failed, ended) == [(3, "ACC-1", "NONE", None)]
    assert waiting(*SENT, fill, booked(7), *failed, ended) == []


def test_a_cancellation_of_nothing_stops_the_view() -> None:
    *_, cancelled = sent(REBALANCE, ORDERED, cancelled=True)
    for events in ([cancelled], [executed(1, f"{ID}-3", "1", "1"), cancelled]):
        with pytest.raises(Broken, match="are cancelled that were not sent") as caught:
            rows_of(*events)
        assert caught.value.position == len(events)


def test_nothing_is_read_that_was_not_named() -> None:
    for each in recorded(random_orders(1, 20)):
        read: list[str] = []

        def known(key: str, read: list[str] = read) -> OrdersRow:
            read.append(key)
            return ROW

        Folding(ORDER_PROJECTOR, [each]).advance(known)
        if type(each.event) in ORDER_PROJECTOR.handles:
            assert set(read) == set(ORDER_PROJECTOR.keys(each))


@pytest.mark.parametrize("seed", range(5))
def test_pages_of_any_size_make_the_same_rows(seed: int) -> None:
    log = recorded(random_orders(seed, 20))
    made: list[dict[str, bytes]] = []
    rows: dict[str, OrderRows | None] = {}
    for size in (1, 7, 2_000):
        rows = {}
        for first in range(0, len(log), size):
            read = {key: ORDERS.decode(ORDERS.encode(row)) for key, row in rows.items() if row is not None}
            rows = {**read, **ORDER_PROJECTOR.fold(read, log[first : first + size])}
        made.append({key: ORDERS.encode(row) for key, row in rows.items() if row is not None})
    assert made[0] == made[1] == made[2]
    kinds = {type(row) for row in rows.values() if row is not None}
    assert kinds == {OrdersRow, EarlyRow, UnbookedRow}
    assert any(isinstance(row, OrdersRow) and row.unmatched and row.lines for row in rows.values())


@pytest.mark.parametrize("page_size", [1, 7, 2_000])
async def test_incremental_is_rebuilt_byte_for_byte(database_url: str, page_size: int) -> None:
    events = random_orders(3, 25)
    head = await append(database_url, *events)
    async with process(database_url) as one:
        async with running(one, projector=ORDER_PROJECTOR, page_size=page_size):
            await one.store.wait_for(ORDERS, head, 60)
        incremental = await content(database_url, ORDERS)
        assert len(incremental) == len(rows_of(*events))
        compared = await verify(ORDER_PROJECTOR, one.history, PostgresBuilder(database_url))
        assert (compared.position, compared.differences) == (head, [])
        rebuilt = await rebuild(ORDER_PROJECTOR, one.history, PostgresBuilder(database_url))
        assert rebuilt.switched
    assert await content(database_url, ORDERS) == incremental
