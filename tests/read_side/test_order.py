"""Orders as they are found and shown: with their fills, what is left of the drifts, and as a file for a desk."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from domain.errors import NotFound, NotYet
from domain.execution import Booking
from domain.order import OrderSet, OrderStatus
from domain.rebalance import RebalanceDeleted
from projections.order import ORDER_PROJECTOR
from projections.rebalance import REBALANCE_PROJECTOR
from read_side.order import ORDERS, Orders
from read_side.order_rendering import orders_csv, orders_json, sent_json, summary_json
from read_side.rebalance import REBALANCES, Rebalances
from tests.api.doubles import AtOnce
from tests.api.folded import FoldedViews
from tests.projections.logs import Process, append, process
from tests.projections.ordering import NOW, booked, executed, parked, sent, sold_and_bought
from tests.projections.rebalancing import BOND, GOLD, TECH
from tests.projections.running import running

REBALANCE, ORDERED, MADE = sold_and_bought()[1:]
ID = REBALANCE.rebalance_id
SENT = sent(REBALANCE, ORDERED)
CANCELLED = sent(REBALANCE, ORDERED, cancelled=True)
FILLS = [
    executed(1, f"{ID}-1", "1000", "0.0001", security_id=GOLD, side="SELL"),
    executed(2, f"{ID}-3", "100", "150.35"),
    executed(3, f"{ID}-3", "66.5", "150.1"),
    executed(4, f"{ID}-2", "10", "99", security_id=BOND, portfolio_id="ACC-2"),
]
DELETED = RebalanceDeleted(originator_id=REBALANCE.id, originator_version=2, timestamp=NOW)


def orders_of_log(*events: Any) -> Orders:
    views = FoldedViews(events, (ORDER_PROJECTOR, REBALANCE_PROJECTOR))
    return Orders(views, AtOnce(), Rebalances(views, AtOnce()))


async def shown(*events: Any) -> dict[str, Any]:
    """What is shown of the orders after these events, figures as they are written."""
    told = sent_json(await orders_of_log(*MADE, *events).of_rebalance(ID))
    found: dict[str, Any] = json.loads(told, parse_float=str, parse_int=str)
    return found


async def test_orders_are_shown_with_their_fills() -> None:
    told = await shown(*SENT, *FILLS)
    assert {name: told[name] for name in ("rebalance_id", "portfolio_id", "status", "sent_at", "cancelled_at")} == {
        "rebalance_id": ID, "portfolio_id": "ACC-1", "status": "OPEN", "sent_at": "2025-06-21T10:00:00Z",
        "cancelled_at": None,
    }  # fmt: skip
    sold, bonds, tech = told["orders"]
    assert sold == {
        "order_id": f"{ID}-1", "transaction_type": "SELL", "security_id": GOLD, "quantity": "1000",
        "price": "0.00012345", "filled": "1000", "open": "0", "average_price": "0.0001", "status": "FILLED",
        "execution_ids": ["6"], "execution_count": "1",
    }  # fmt: skip
    assert [bonds[name] for name in ("filled", "open", "average_price", "status", "execution_ids")] == [
        "0", "301", None, "OPEN", [],
    ]  # fmt: skip
    # 15,035 and 9,981.65 for 166.5
    assert [tech[name] for name in ("filled", "open", "average_price", "status", "execution_ids")] == [
        "166.5", "232.5", "150.25015015", "OPEN", ["7", "8"],
    ]  # fmt: skip
    assert told["mismatched"] == [
        {"execution_id": "9", "order_id": f"{ID}-2", "portfolio_id": "ACC-2", "transaction_type": "BUY",
         "security_id": BOND, "quantity_filled": "10", "average_price": "99"}
    ]  # fmt: skip
    assert told["mismatched_count"] == "1"


async def test_of_very_many_executions_the_first_hundred_are_shown() -> None:
    many = [executed(number, f"{ID}-3", "0.1", "150") for number in range(1, 102)]
    odd = [executed(number, f"{ID}-3", "0.1", "150", side="SELL") for number in range(201, 303)]
    told = await shown(*SENT, *many, *odd)
    tech = told["orders"][2]
    assert (tech["filled"], tech["execution_count"], len(tech["execution_ids"])) == ("10.1", "101", 100)
    assert (told["mismatched_count"], len(told["mismatched"])) == ("102", 100)


async def test_what_is_left_follows_from_what_was_held_and_filled() -> None:
    told = await shown(*SENT, *FILLS)
    # 166.5 * 150.3383 = 25,031.32695 of 100,000.12345
    assert told["residual"] == [
        {"security_id": BOND, "target": "30.005", "low_drift": "3", "high_drift": "2.5", "actual": "0",
         "drift": "-30.005", "in_band": False},
        {"security_id": GOLD, "target": "0", "low_drift": "0", "high_drift": "0", "actual": "0", "drift": "0",
         "in_band": True},
        {"security_id": TECH, "target": "60", "low_drift": "5", "high_drift": "5", "actual": "25.0313",
         "drift": "-34.9687", "in_band": False},
    ]  # fmt: skip
    assert told["cash_after"] == "74983.45"  # 100,000 and 0.1 less 25,016.65
    assert (await shown(*SENT))["cash_after"] == "100000.00"


async def test_what_is_cancelled_is_open_no_more_and_may_be_filled() -> None:
    told = await shown(*CANCELLED, FILLS[1])
    assert (told["status"], told["cancelled_at"]) == ("CANCELLED", "2025-06-21T11:00:00Z")
    assert [(order["status"], order["filled"], order["open"]) for order in told["orders"]] == [
        ("CANCELLED", "0", "0"), ("CANCELLED", "0", "0"), ("CANCELLED", "100", "0"),
    ]  # fmt: skip


async def test_orders_of_a_deleted_rebalance_are_still_shown() -> None:
    told = await shown(*SENT, FILLS[1], DELETED)
    assert (told["orders"][2]["filled"], told["residual"], told["cash_after"]) == ("100", None, None)


async def test_a_rebalance_shows_how_far_its_orders_are() -> None:
    for events, expected in (
        ([], None),
        ([FILLS[0]], None),
        (SENT, ["OPEN", "3", "0", "3", "60"]),
        ([*SENT, *FILLS], ["OPEN", "3", "1", "2", "34.9687"]),
        ([*CANCELLED, *FILLS], ["CANCELLED", "3", "1", "0", "34.9687"]),
    ):
        orders = orders_of_log(*MADE, *events)
        views = FoldedViews([*MADE, *events], (REBALANCE_PROJECTOR,))
        found = await orders.beside(*await Rebalances(views, AtOnce()).by_id(ID))
        told = json.loads(summary_json(found), parse_float=str, parse_int=str)
        names = ("status", "ordered", "filled", "open", "largest_drift")
        assert (told and [told[name] for name in names]) == expected
        assert told is None or (told["sent_at"], len(told)) == ("2025-06-21T10:00:00Z", 6)


async def test_the_file_for_a_desk_holds_the_orders_as_they_were_sent() -> None:
    expected = (
        "ClOrdID,Account,Symbol,Side,OrderQty,OrdType,TimeInForce\n"
        f"{ID}-1,ACC-1,{GOLD},SELL,1000,MARKET,DAY\n"
        f"{ID}-2,ACC-1,{BOND},BUY,301,MARKET,DAY\n"
        f"{ID}-3,ACC-1,{TECH},BUY,399,MARKET,DAY\n"
    )
    for events in (SENT, [*SENT, *FILLS]):
        row = (await orders_of_log(*MADE, *events).of_rebalance(ID)).row
        assert orders_csv(row).decode() == expected
    row = (await orders_of_log(*MADE, *CANCELLED).of_rebalance(ID)).row
    assert orders_csv(row).decode() == expected.partition("\n")[0] + "\n"


async def test_where_orders_stand_is_told_to_commands() -> None:
    known = await orders_of_log(*MADE, *FILLS[:1], *CANCELLED).standing([ID, "0" * 24, "\0"], 0)
    assert list(known) == [ID]
    asked = OrderSet(rebalance_id=ID, orders=ORDERED, sent_at=NOW, cancelled_at=CANCELLED[-1].timestamp)
    assert (known[ID].orders, known[ID].status) == (asked, OrderStatus.CANCELLED)
    assert await orders_of_log(*MADE, *FILLS).standing([ID], 0) == {}


def test_what_a_command_tells_is_the_orders_as_they_were_sent() -> None:
    told = json.loads(orders_json("ACC-1", OrderSet(rebalance_id=ID, orders=ORDERED, sent_at=NOW), OrderStatus.OPEN))
    assert list(told) == ["rebalance_id", "portfolio_id", "status", "sent_at", "cancelled_at", "orders"]
    assert told["orders"][0] == {
        "order_id": f"{ID}-1", "transaction_type": "SELL", "security_id": GOLD, "quantity": 1000, "price": 0.00012345,
    }  # fmt: skip


@asynccontextmanager
async def projected(database_url: str) -> AsyncIterator[tuple[Process, Orders]]:
    async with (
        process(database_url) as one,
        running(one, projector=ORDER_PROJECTOR),
        running(one, projector=REBALANCE_PROJECTOR),
    ):
        yield one, Orders(one.store, one.signals, Rebalances(one.store, one.signals))


async def test_orders_are_found_in_the_database(database_url: str) -> None:
    async with projected(database_url) as (_, orders):
        head = await append(database_url, *MADE, *SENT, *FILLS)
        found = await orders.of_rebalance(ID, at_least=head, wait=60)
        assert found.of is not None
        assert (found.row.position, found.cash_after) == (head, Decimal("74983.45"))
        assert (await orders.standing([ID], head))[ID].status is OrderStatus.OPEN
        for portfolio_id, first in (("ACC-1", head - 3), ("ACC-2", head), ("ACC-3", None)):
            waiting = await orders.unbooked(portfolio_id, head)
            assert (waiting and waiting.execution_id) == first
        head = await append(database_url, booked(1), parked(2, "why"))
        waiting = await orders.unbooked("ACC-1", head, 60)
        assert waiting is not None
        found = await orders.of_rebalance(ID, wait=60)
        assert found.of is not None
        assert (waiting.execution_id, waiting.order_id) == (head - 4, f"{ID}-3")
        assert (waiting.booking, waiting.booking_reason) == (Booking.PARKED, "why")
        for missing in ("", "x", "a/b", "\0", "\ud800", "f" * 24):
            with pytest.raises(NotFound, match="were not sent"):
                await orders.of_rebalance(missing)
        for asked in (
            orders.of_rebalance(ID, at_least=head + 1, wait=0.01),
            orders.standing([ID], head + 1, 0.01),
            orders.unbooked("ACC-1", head + 1, 0.01),
            orders.beside(*found.of, at_least=head + 1, wait=0.01),
        ):
            with pytest.raises(NotYet):
                await asked


async def test_a_position_is_waited_for_in_both_views(database_url: str) -> None:
    """What the view of rebalances does not have yet is no rebalance that was deleted."""
    async with process(database_url) as one:
        await one.store.prepare(REBALANCES)
        orders = Orders(one.store, one.signals, Rebalances(one.store, one.signals))
        async with running(one, projector=ORDER_PROJECTOR):
            head = await append(database_url, *MADE, *SENT)
            await one.store.wait_for(ORDERS, head, 60)
        with pytest.raises(NotYet):
            await orders.of_rebalance(ID, wait=0.01)
        async with running(one, projector=REBALANCE_PROJECTOR):
            assert (await orders.of_rebalance(ID, wait=60)).of is not None
