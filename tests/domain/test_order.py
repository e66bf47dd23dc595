"""Orders of a rebalance: which ones follow from it, when they may be sent and cancelled, and what fills leave."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from domain.base import fold
from domain.codec import decode, decode_snapshot, encode, encode_snapshot
from domain.errors import NotFound, RuleViolated
from domain.execution import Booking, TradeType
from domain.investment_model import ModelPosition
from domain.order import (
    Blotter,
    BlotterBegun,
    Order,
    OrdersCancelled,
    OrderSet,
    OrdersSent,
    OrderStatus,
    average_price,
    must_be_booked,
    must_hold_as_before,
    must_take,
    open_quantity,
    order_status,
    orders_of,
    place_of,
    residuals,
    set_status,
)
from domain.portfolio import Status
from tests.domain.given import given
from tests.projections.ordering import sold_and_bought
from tests.projections.rebalancing import BOND, GOLD, TECH, a_rebalance, a_run

NOW = datetime(2025, 6, 21, 10, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
FIRST, SECOND = "a" * 24, "b" * 24


def order(rebalance_id: str = FIRST, line: int = 1, side: str = "BUY", quantity: str = "10") -> Order:
    return Order(f"{rebalance_id}-{line}", TradeType(side), TECH, Decimal(quantity), Decimal(5))


def blotter() -> Blotter:
    return Blotter.begin("ACC-1", NOW)


def with_orders(rebalance_id: str = FIRST) -> Blotter:
    sending = blotter()
    sending.send(rebalance_id, "run", [order(rebalance_id)], NOW, last_filled=False)
    return sending


def test_orders_follow_from_the_transactions_sells_first() -> None:
    run, rebalance, orders, _ = sold_and_bought()
    assert rebalance.market_value == Decimal("100000.12345")
    assert orders == (
        Order(f"{rebalance.rebalance_id}-1", TradeType.SELL, GOLD, Decimal(1000), Decimal("0.00012345")),
        Order(f"{rebalance.rebalance_id}-2", TradeType.BUY, BOND, Decimal(301), Decimal("99.5")),
        Order(f"{rebalance.rebalance_id}-3", TradeType.BUY, TECH, Decimal(399), Decimal("150.3383")),
    )
    nothing = a_rebalance(run, "ACC-2", "0")
    assert orders_of(nothing.rebalance_id, run, nothing) == ()


@pytest.mark.parametrize("line", [1, 9, 10, 123456789])
def test_an_id_of_an_order_names_rebalance_and_line(line: int) -> None:
    assert place_of(f"{FIRST}-{line}") == (FIRST, line)


@pytest.mark.parametrize(
    "order_id",
    [None, "", FIRST, f"{FIRST}-", f"{FIRST}-0", f"{FIRST}-01", f"{FIRST}-1 ", f"{FIRST}-1\n", f"{FIRST}--1",
     f"{FIRST}-1234567890", f"{FIRST[:-1]}-1", f"{FIRST[:-1]}A-1", f"{FIRST[:-1]}g-1", f"x{FIRST}-1",
     f"{FIRST}-\u0661"],
)  # fmt: skip
def test_what_is_no_id_of_our_orders_names_nothing(order_id: str | None) -> None:
    assert place_of(order_id) is None


def test_the_first_orders_begin_the_blotter() -> None:
    begun = blotter()
    begun.send(FIRST, "run", [order()], LATER, last_filled=False)
    events = begun.collect_events()
    assert [type(event) for event in events] == [BlotterBegun, OrdersSent]
    assert begun.last == OrderSet(rebalance_id=FIRST, orders=(order(),), sent_at=LATER)
    assert (begun.id, begun.portfolio_id, begun.version) == ("orders/ACC-1", "ACC-1", 2)


def test_the_same_again_changes_nothing_whatever_has_become_of_it() -> None:
    given(with_orders()).when(lambda b: b.send(FIRST, "run", [], LATER, last_filled=False)).then()
    cancelled = with_orders()
    cancelled.cancel(FIRST, LATER, status=OrderStatus.OPEN)
    given(cancelled).when(lambda b: b.send(FIRST, "run", [order()], LATER, last_filled=True)).then()


def test_one_set_is_open_at_a_time() -> None:
    with pytest.raises(RuleViolated, match=f"of portfolio ACC-1 are open, those of rebalance {FIRST}"):
        with_orders().send(SECOND, "run", [order(SECOND)], LATER, last_filled=False)
    sent_second = (OrdersSent, {"rebalance_id": SECOND, "run_id": "r", "orders": (order(SECOND),), "timestamp": LATER})
    given(with_orders()).when(lambda b: b.send(SECOND, "r", [order(SECOND)], LATER, last_filled=True)).then(sent_second)
    cancelled = with_orders()
    cancelled.cancel(FIRST, LATER, status=OrderStatus.OPEN)
    given(cancelled).when(lambda b: b.send(SECOND, "r", [order(SECOND)], LATER, last_filled=False)).then(sent_second)
    assert cancelled.last == OrderSet(rebalance_id=SECOND, orders=(order(SECOND),), sent_at=LATER)


def test_nothing_to_trade_is_no_set_of_orders() -> None:
    with pytest.raises(RuleViolated, match=f"rebalance {FIRST} trades nothing"):
        blotter().send(FIRST, "run", [], NOW, last_filled=False)


def test_what_is_open_is_cancelled_once() -> None:
    cancelled = with_orders()
    given(cancelled).when(lambda b: b.cancel(FIRST, LATER, status=OrderStatus.OPEN)).then(
        (OrdersCancelled, {"rebalance_id": FIRST, "timestamp": LATER})
    )
    assert cancelled.last == OrderSet(rebalance_id=FIRST, orders=(order(),), sent_at=NOW, cancelled_at=LATER)
    for status in (OrderStatus.CANCELLED, OrderStatus.FILLED):
        with pytest.raises(RuleViolated, match=f"are {status}: none is open"):
            with_orders().cancel(FIRST, LATER, status=status)
    for other in (with_orders(SECOND), blotter()):
        with pytest.raises(NotFound, match="were not sent"):
            other.cancel(FIRST, LATER, status=OrderStatus.OPEN)


def test_the_blotter_is_read_back_from_events_and_snapshot() -> None:
    written = with_orders()
    written.cancel(FIRST, LATER, status=OrderStatus.OPEN)
    snapshot = decode_snapshot(Blotter, encode_snapshot(written), written.id, written.version)
    assert isinstance(snapshot, Blotter)
    assert snapshot.last == written.last
    stored = [(event.TOPIC, encode(event)) for event in written.collect_events()]
    assert [topic for topic, _ in stored] == ["orders.begun.v1", "orders.sent.v1", "orders.cancelled.v1"]
    read: Blotter | None = fold(
        decode(topic, state, written.id, number) for number, (topic, state) in enumerate(stored, 1)
    )
    assert read is not None
    assert (read.last, read.version) == (written.last, 3)


@pytest.mark.parametrize(
    ("status", "sides", "refused"),
    [
        (Status.ACTIVE, "BUY SELL", None),
        (Status.SUSPENDED, "SELL", "is SUSPENDED: it does not take trades"),
        (Status.CLOSED, "BUY", "is CLOSED: it does not take trades"),
        (Status.LIQUIDATING, "SELL SELL", None),
        (Status.LIQUIDATING, "SELL BUY", f"is LIQUIDATING: it takes sells only, and the rebalance buys {TECH}"),
    ],
)
def test_a_portfolio_takes_what_its_status_lets_it(status: Status, sides: str, refused: str | None) -> None:
    orders = [order(side=side) for side in sides.split()]
    if refused is None:
        must_take("ACC-1", status, orders)
        return
    with pytest.raises(RuleViolated, match=f"portfolio ACC-1 {refused}"):
        must_take("ACC-1", status, orders)


def test_a_changed_holding_is_named_with_both_quantities() -> None:
    then = {"A": Decimal(10), "B": Decimal(1), "C": Decimal("2.50")}
    must_hold_as_before("ACC-1", then, {"A": Decimal("10.0"), "B": Decimal(1), "C": Decimal("2.5"), "D": Decimal(0)})
    with pytest.raises(RuleViolated) as caught:
        must_hold_as_before("ACC-1", then, {"A": Decimal(12), "C": Decimal("2.5"), "E": Decimal("0.5")})
    told = str(caught.value)
    assert "A (10 then, 12 now), B (1 then, 0 now), E (0 then, 0.5 now); rebalance it again" in told
    assert "C (" not in told
    many = {f"S{number}": Decimal(number + 1) for number in range(8)}
    with pytest.raises(RuleViolated, match=r"S4 \(5 then, 0 now\) and 3 more"):
        must_hold_as_before("ACC-1", many, {})


def test_an_execution_that_is_not_booked_is_named_with_its_reason() -> None:
    must_be_booked(7, f"{FIRST}-1", Booking.BOOKED, None)
    for booking, reason, shown in ((Booking.NONE, None, "NONE"), (Booking.PARKED, "x is y", "PARKED: x is y")):
        with pytest.raises(RuleViolated) as caught:
            must_be_booked(7, f"{FIRST}-1", booking, reason)
        assert str(caught.value) == (
            f"execution 7 names order {FIRST}-1 and is not booked: {shown}; "
            "book it first, POST /api/v1/executions/7/book"
        )


def test_where_orders_stand() -> None:
    ten = Decimal(10)
    told = [
        (filled, cancelled, order_status(ten, Decimal(filled), cancelled=cancelled),
         open_quantity(ten, Decimal(filled), cancelled=cancelled))
        for filled in ("0", "9.5", "10", "12") for cancelled in (False, True)
    ]  # fmt: skip
    opened, filled, gone = OrderStatus.OPEN, OrderStatus.FILLED, OrderStatus.CANCELLED
    assert told == [
        ("0", False, opened, ten), ("0", True, gone, 0), ("9.5", False, opened, Decimal("0.5")), ("9.5", True, gone, 0),
        ("10", False, filled, 0), ("10", True, filled, 0), ("12", False, filled, 0), ("12", True, filled, 0),
    ]  # fmt: skip
    assert set_status([filled, opened], cancelled=False) is opened
    assert set_status([filled, gone], cancelled=True) is gone
    assert set_status([filled, filled], cancelled=True) is filled


@pytest.mark.parametrize(
    ("amount", "filled", "average"),
    [("30070", "200", "150.35"), ("0", "0", None), ("1", "3", "0.33333333"), ("0.00000001", "2", "0"),
     ("10", "4", "2.5"), ("0.00000003", "2", "0.00000002")],
)  # fmt: skip
def test_an_average_price_has_8_places_half_even(amount: str, filled: str, average: str | None) -> None:
    found = average_price(Decimal(amount), Decimal(filled))
    assert (None if found is None else format(found, "f")) == average


def test_what_is_left_is_measured_at_the_value_and_prices_of_the_rebalance() -> None:
    run, rebalance, _, _ = sold_and_bought()
    before = residuals(run, rebalance, {})
    assert [(each.security_id, each.actual, each.drift, each.in_band) for each in before] == [
        (BOND, 0, Decimal("-30.005"), False),
        (GOLD, Decimal("0.0001"), Decimal("0.0001"), False),  # 0.12345 of 100,000.12345; what no model has belongs at 0
        (TECH, 0, -60, False),
    ]
    filled = {GOLD: Decimal(-1000), BOND: Decimal(301), TECH: Decimal(366)}
    after = residuals(run, rebalance, filled)
    # 301 * 99.5 = 29,949.5 and 366 * 150.3383 = 55,023.8178, of 100,000.12345
    assert [(each.security_id, each.actual, each.drift, each.in_band) for each in after] == [
        (BOND, Decimal("29.9495"), Decimal("-0.0555"), True),
        (GOLD, 0, 0, True),
        (TECH, Decimal("55.0237"), Decimal("-4.9763"), True),
    ]
    assert [(each.target, each.low_drift, each.high_drift) for each in after] == [
        tuple(map(Decimal, ("30.005", "3", "2.5"))), tuple(map(Decimal, (0, 0, 0))), tuple(map(Decimal, (60, 5, 5))),
    ]  # fmt: skip


def test_a_band_holds_with_both_its_ends_and_is_not_rounded() -> None:
    position = ModelPosition(TECH, Decimal(50), Decimal(10), Decimal(10))
    run = a_run(prices={TECH: Decimal("0.001"), BOND: Decimal(1)})
    run.positions = (position,)
    rebalance = a_rebalance(run, "ACC-1", "1000")
    bands = {
        quantity: residuals(run, rebalance, {TECH: Decimal(quantity)})[0].in_band
        for quantity in ("399999.99", "400000", "600000", "600000.01")
    }
    assert bands == {"399999.99": False, "400000": True, "600000": True, "600000.01": False}
    assert residuals(run, rebalance, {TECH: Decimal("600000.01")})[0].actual == 60
