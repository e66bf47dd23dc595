"""What a portfolio is worth at given prices, and that each figure shown is rounded once from the exact value."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from domain.portfolio import PositionUpdate, Status
from domain.prices import Price
from domain.valuation import ValuedPortfolio, value
from domain.values import plain
from tests.domain.portfolios import (
    LARGEST,
    NOW,
    buy,
    cover,
    deposit,
    dividend,
    fee,
    holding,
    move_in,
    move_out,
    opened,
    sell,
    short,
    withdrawal,
)


def priced(as_of: datetime = NOW, **prices: str) -> dict[str, Price]:
    return {instrument_id: Price(Decimal(price), as_of) for instrument_id, price in prices.items()}


def of(valued: ValuedPortfolio, instrument_id: str) -> dict[str, str]:
    """Return the figures of a position as they are written: money with its cents, the others plainly."""
    position = valued.positions[instrument_id]
    money = {name: str(getattr(position, name)) for name in ("market_value", "unrealized_pnl", "cost_basis")}
    return {"quantity": plain(position.quantity), "weight": plain(valued.weights[instrument_id])} | money


# --- the figures -----------------------------------------------------------------------------------------------------


def test_500_shares_bought_at_147_75_and_priced_150_25() -> None:
    valued = value(holding(buy("AAPL", "500", "147.75"), cash="73875"), priced(AAPL="150.25"))
    assert of(valued, "AAPL") == {
        "quantity": "500",
        "market_value": "75125.00",
        "unrealized_pnl": "1250.00",
        "cost_basis": "73875.00",
        "weight": "1",
    }
    assert str(valued.total_value) == "75125.00"


def test_the_name_status_and_id_are_those_of_the_portfolio() -> None:
    valued = value(holding(status=Status.SUSPENDED), {})
    assert (valued.portfolio_id, valued.portfolio_name, valued.status) == ("ACC-1", "Growth", Status.SUSPENDED)


def test_a_short_is_negative_in_quantity_value_weight_and_cost() -> None:
    # 1000 of cash and 5000 of proceeds; the short is worth -5500, so the whole 500.
    valued = value(holding(short("TSLA", "100", "50"), cash="1000"), priced(TSLA="55"))
    assert of(valued, "TSLA") == {
        "quantity": "-100",
        "market_value": "-5500.00",
        "unrealized_pnl": "-500.00",
        "cost_basis": "-5000.00",
        "weight": "-11",
    }
    assert of(valued, "CASH")["weight"] == "12"
    assert str(valued.total_value) == "500.00"
    assert [position.position_type for position in valued.positions.values()] == ["SHORT", "CASH"]


def test_a_short_gains_when_its_price_falls() -> None:
    valued = value(holding(short("TSLA", "100", "50")), priced(TSLA="40"))
    assert of(valued, "TSLA")["unrealized_pnl"] == "1000.00"


def test_overdrawn_cash_is_negative_and_said() -> None:
    # 10 shares of 30 against an overdraft of 200.
    valued = value(holding(buy("AAPL", "10", "20")), priced(AAPL="30"))
    assert valued.overdrawn
    assert str(valued.cash_balance) == "-200.00"
    assert (of(valued, "AAPL")["weight"], of(valued, "CASH")["weight"]) == ("3", "-2")


@pytest.mark.parametrize(("cash", "overdrawn"), [("0", False), ("0.0000000000000001", False)])
def test_a_portfolio_with_cash_of_0_and_more_is_not_overdrawn(cash: str, overdrawn: bool) -> None:
    assert value(opened(cash), {}).overdrawn is overdrawn


def test_an_overdraft_below_a_cent_is_said_and_shown_without_a_minus() -> None:
    valued = value(holding(withdrawal("1.001"), cash="1"), {})
    assert valued.overdrawn
    assert str(valued.cash_balance) == str(valued.total_value) == "0.00"
    assert of(valued, "CASH")["weight"] == "1"


def test_all_weights_are_0_when_the_total_is_0() -> None:
    valued = value(holding(buy("AAPL", "10", "20"), short("TSLA", "10", "20")), priced(AAPL="20", TSLA="20"))
    assert {instrument_id: plain(weight) for instrument_id, weight in valued.weights.items()} == {
        "AAPL": "0",
        "TSLA": "0",
        "CASH": "0",
    }
    assert str(valued.total_value) == "0.00"


def test_weights_over_a_negative_total() -> None:
    # Cash -200 and 10 shares worth 50: the whole is -150.
    valued = value(holding(buy("AAPL", "10", "20")), priced(AAPL="5"))
    assert str(valued.total_value) == "-150.00"
    assert of(valued, "AAPL")["weight"] == "-0.333333"
    assert of(valued, "CASH")["weight"] == "1.333333"


def test_cash_is_always_there_and_last() -> None:
    valued = value(holding(buy("ZZZ", "1", "1"), buy("AAA", "1", "1"), buy("zzz", "1", "1")), {})
    assert list(valued.positions) == list(valued.weights) == ["AAA", "ZZZ", "zzz", "CASH"]
    (cash,) = value(opened("75125"), {}).positions.values()
    assert (cash.instrument_id, cash.position_type) == ("CASH", "CASH")
    assert [str(cash.quantity), str(cash.market_value), str(cash.cost_basis)] == ["75125.00"] * 3
    assert str(cash.unrealized_pnl) == "0.00"
    assert of(value(opened("0"), {}), "CASH") == {
        "quantity": "0",
        "market_value": "0.00",
        "unrealized_pnl": "0.00",
        "cost_basis": "0.00",
        "weight": "0",
    }


def test_a_position_that_reached_0_is_gone() -> None:
    closed = holding(buy("AAPL", "3", "1"), sell("AAPL", "3", "2"), short("TSLA", "1", "1"), cover("TSLA", "1", "1"))
    assert list(value(closed, priced(AAPL="9", TSLA="9")).positions) == ["CASH"]


def test_without_any_price_a_position_is_worth_nothing_yet() -> None:
    valued = value(holding(move_in("GIFT", "3", "0"), cash="5"), {})
    assert of(valued, "GIFT") == {
        "quantity": "3",
        "market_value": "0.00",
        "unrealized_pnl": "0.00",
        "cost_basis": "0.00",
        "weight": "0",
    }
    assert str(valued.total_value) == "5.00"


# --- rounding --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("price", "cents"),
    [("0.005", "0.00"), ("0.015", "0.02"), ("0.025", "0.02"), ("0.01500001", "0.02"), ("0.02500001", "0.03")],
)
def test_money_is_rounded_half_even_from_the_exact_value(price: str, cents: str) -> None:
    valued = value(holding(move_in("X", "1", price)), priced(X=price))
    assert of(valued, "X")["market_value"] == of(valued, "X")["cost_basis"] == str(valued.total_value) == cents


def test_the_profit_is_rounded_from_exact_figures_not_from_rounded_ones() -> None:
    # 0.014 is shown as 0.01 and 0.026 as 0.03, their difference 0.012 as 0.01.
    valued = value(holding(move_in("X", "1", "0.014")), priced(X="0.026"))
    assert of(valued, "X")["market_value"] == "0.03"
    assert of(valued, "X")["cost_basis"] == of(valued, "X")["unrealized_pnl"] == "0.01"


def test_the_total_is_rounded_from_the_exact_sum() -> None:
    valued = value(holding(move_in("X", "1", "0.004"), move_in("Y", "1", "0.004"), cash="0.004"), {})
    assert str(valued.total_value) == "0.00"
    valued = value(holding(move_in("X", "1", "0"), move_in("Y", "1", "0"), cash="0.004"), priced(X="0.004", Y="0.004"))
    assert [of(valued, name)["market_value"] for name in ("X", "Y", "CASH")] == ["0.00"] * 3
    assert str(valued.total_value) == "0.01"


def test_weights_are_rounded_half_even_to_six_places() -> None:
    # Totals of 2,000,000: 1 is 0.0000005, 3 is 0.0000015.
    valued = value(holding(move_in("A", "1", "1"), move_in("B", "3", "1"), cash="1999996"), priced(A="1", B="1"))
    assert (of(valued, "A")["weight"], of(valued, "B")["weight"]) == ("0", "0.000002")


def test_no_minus_stands_before_zero() -> None:
    valued = value(holding(short("X", "0.00000001", "0.1"), cash="1000000"), priced(X="0.2"))
    assert of(valued, "X") == {
        "quantity": "-0.00000001",
        "market_value": "0.00",
        "unrealized_pnl": "0.00",
        "cost_basis": "0.00",
        "weight": "0",
    }


def test_the_largest_figures_are_exact() -> None:
    valued = value(holding(buy("X", LARGEST, LARGEST)), priced(X=LARGEST))
    assert of(valued, "X")["market_value"] == "999999999999999999999980000000.00"
    assert str(valued.cash_balance) == "-999999999999999999999980000000.00"
    assert str(valued.total_value) == "0.00"


# --- last_updated ----------------------------------------------------------------------------------------------------

HOUR = timedelta(hours=1)


def test_the_newest_price_used_or_the_last_own_event_whichever_is_later() -> None:
    portfolio = holding(buy("AAPL", "1", "1"), buy("TSLA", "1", "1"))
    assert value(portfolio, {}).last_updated == NOW
    assert value(portfolio, priced(NOW - HOUR, AAPL="2")).last_updated == NOW
    book = priced(NOW + HOUR, AAPL="2") | priced(NOW + 2 * HOUR, TSLA="2") | priced(NOW + 9 * HOUR, OTHER="2")
    valued = value(portfolio, book)
    assert valued.last_updated == NOW + 2 * HOUR
    assert [position.last_updated for position in valued.positions.values()] == [NOW + HOUR, NOW + 2 * HOUR, NOW]


def test_a_price_of_what_is_no_longer_held_is_not_used() -> None:
    portfolio = holding(buy("AAPL", "1", "1"), sell("AAPL", "1", "1"))
    assert value(portfolio, priced(NOW + HOUR, AAPL="2")).last_updated == NOW


@pytest.mark.parametrize(
    "one",
    [
        buy("AAPL", "1", "1"),
        sell("AAPL", "1", "1"),
        move_in("AAPL", "1", "1"),
        move_out("AAPL", "1"),
        dividend("AAPL", "1", "1"),
        fee("1"),
        deposit("1"),
        withdrawal("1"),
    ],
)
def test_every_update_changes_figures(one: PositionUpdate) -> None:
    portfolio = holding(buy("AAPL", "5", "1"))
    portfolio.update([one], NOW + HOUR, now=NOW + HOUR)
    assert value(portfolio, {}).last_updated == NOW + HOUR


def test_a_status_changes_none() -> None:
    portfolio = holding(buy("AAPL", "5", "1"))
    portfolio.change_status(Status.SUSPENDED, NOW + HOUR)
    assert value(portfolio, {}).last_updated == NOW
