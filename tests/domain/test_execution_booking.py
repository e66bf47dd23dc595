"""Booking an execution into its portfolio: what is booked, once, and what its portfolio does not take."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.errors import Invalid, RuleViolated
from domain.execution import Booking, Execution, ExecutionBooked, ExecutionBookingParked, Report, TradeType
from domain.portfolio import Portfolio, SharesBought, SharesSold, Status
from tests.domain.given import given
from tests.domain.portfolios import NOW, buy, holding, opened, short

IBM = "IBM000000000000000000000"
SENT = datetime(2025, 6, 20, 14, 0, tzinfo=UTC)
FILLED = datetime(2025, 6, 20, 15, 30, tzinfo=UTC)


def report(side: str = "BUY", filled: str = "10", price: str = "5", **other: Any) -> Report:
    """Return the report of an execution of 100 IBM, of which so many are filled."""
    members: dict[str, Any] = {
        "execution_status": "FULL",
        "trade_type": TradeType(side),
        "destination": "ML",
        "security_id": IBM,
        "ticker": "IBM",
        "quantity": Decimal(100),
        "limit_price": Decimal(999),
        "received": SENT - timedelta(hours=1),
        "sent": SENT,
        "last_fill": FILLED,
        "quantity_filled": Decimal(filled),
        "total_amount": Decimal(77),
        "average_price": Decimal(price),
    }
    return Report(**members | other)


def execution(side: str = "BUY", filled: str = "10", price: str = "5", **other: Any) -> Execution:
    """Return such an execution of the portfolio ACC-1, as it was recorded."""
    recorded = Execution.record(7, report(side, filled, price, **other), "ACC-1", NOW)
    recorded.collect_events()
    return recorded


def test_what_was_filled_is_booked_at_its_average_price_and_the_time_of_the_last_fill() -> None:
    bought, portfolio = execution(filled="10.5", price="4.25"), opened("1000")
    given(bought).when(lambda bought: bought.book(portfolio, NOW)).then(
        (ExecutionBooked, {"portfolio_version": 2, "timestamp": NOW})
    )
    given_events = portfolio.collect_events()[1:]
    assert [(type(event), event.timestamp) for event in given_events] == [(SharesBought, FILLED)]
    assert (portfolio.cash, portfolio.positions[IBM].quantity) == (Decimal("955.375"), Decimal("10.5"))
    assert bought.booking is Booking.BOOKED
    assert not bought.to_be_booked


def test_a_sale_is_booked_and_without_a_last_fill_at_the_time_it_was_sent() -> None:
    portfolio = holding(buy(IBM, "10", "5"), cash="50")
    portfolio.collect_events()
    execution("SELL", "4", "6", last_fill=None).book(portfolio, NOW)
    [sold] = portfolio.collect_events()
    assert (type(sold), sold.timestamp, portfolio.cash) == (SharesSold, SENT, Decimal(24))
    assert portfolio.positions[IBM].quantity == 6


def test_it_is_booked_once() -> None:
    once, portfolio = execution(), opened("1000")
    once.book(portfolio, NOW)
    once.collect_events()
    given(once).when(lambda once: once.book(portfolio, NOW)).then()
    given(once).when(lambda once: once.park("too late", NOW)).then()
    assert (portfolio.version, portfolio.cash, once.booking) == (2, Decimal(950), Booking.BOOKED)


def test_where_nothing_was_filled_there_is_nothing_to_book_or_park() -> None:
    portfolio = holding(cash="1", status=Status.SUSPENDED)
    before = portfolio.version
    empty = execution(filled="0", last_fill=NOW + timedelta(days=1))
    given(empty).when(lambda empty: empty.book(portfolio, NOW)).then()
    given(empty).when(lambda empty: empty.park("no", NOW)).then()
    assert (portfolio.version, empty.booking, empty.to_be_booked) == (before, Booking.NONE, False)


@pytest.mark.parametrize(
    ("portfolio", "side", "reason"),
    [
        (opened("1000"), "SELL", f"SELL of 10 {IBM}: only 0 are held"),
        (holding(buy(IBM, "9.99999999", "5")), "SELL", f"SELL of 10 {IBM}: only 9.99999999 are held"),
        (holding(short(IBM, "1", "5")), "BUY", f"BUY of {IBM}: 1 are short"),
        (holding(cash="1000", status=Status.SUSPENDED), "BUY", "portfolio ACC-1 is SUSPENDED: it does not take BUY"),
        (
            holding(cash="1000", status=Status.LIQUIDATING),
            "BUY",
            "portfolio ACC-1 is LIQUIDATING: it does not take BUY",
        ),
        (holding(status=Status.CLOSED), "SELL", "portfolio ACC-1 is CLOSED: it does not take SELL"),
    ],
)
def test_what_the_portfolio_refuses_leaves_both_as_they_were(portfolio: Portfolio, side: str, reason: str) -> None:
    refused, before = execution(side), portfolio.copy()
    with pytest.raises(RuleViolated, match=f"^{reason}"):
        refused.book(portfolio, NOW)
    assert (portfolio, refused.version, refused.booking) == (before, 1, Booking.NONE)


def test_a_sale_is_taken_by_a_portfolio_that_liquidates() -> None:
    portfolio = holding(buy(IBM, "10", "5"), cash="50", status=Status.LIQUIDATING)
    execution("SELL", "10", "6").book(portfolio, NOW)
    assert (portfolio.cash, portfolio.positions) == (Decimal(60), {})


@pytest.mark.parametrize("at", [{"last_fill": NOW + timedelta(minutes=5, seconds=1)},
                                {"last_fill": None, "sent": NOW + timedelta(minutes=6)}])  # fmt: skip
def test_a_trade_more_than_five_minutes_ahead_is_not_booked_yet(at: dict[str, Any]) -> None:
    early, portfolio = execution(**at), opened("1000")
    with pytest.raises(Invalid, match="more than 5 minutes ahead"):
        early.book(portfolio, NOW)
    early.book(portfolio, NOW + timedelta(minutes=1))
    assert early.booking is Booking.BOOKED


def test_it_is_parked_once_for_a_reason_and_can_still_be_booked() -> None:
    waiting = execution()
    given(waiting).when(lambda waiting: waiting.park("no", NOW)).then((ExecutionBookingParked, {"reason": "no"}))
    assert (waiting.booking, waiting.booking_reason, waiting.to_be_booked) == (Booking.PARKED, "no", True)
    given(waiting).when(lambda waiting: waiting.park("no", NOW)).then()
    given(waiting).when(lambda waiting: waiting.park("never", NOW)).then((ExecutionBookingParked, {"reason": "never"}))
    given(waiting).when(lambda waiting: waiting.book(opened("50"), NOW)).then((ExecutionBooked, {}))
    assert (waiting.booking, waiting.booking_reason) == (Booking.BOOKED, None)
