"""The rules of a portfolio's cash."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given as property_test
from hypothesis import strategies as st

from domain.base import fold
from domain.codec import decode, decode_snapshot, encode, encode_snapshot
from domain.errors import Invalid
from domain.portfolio import (
    CashDeposited,
    CashWithdrawn,
    Portfolio,
    PortfolioOpened,
    PositionUpdate,
    TransactionType,
)
from domain.valuation import value
from tests.domain.given import given

NOW = datetime(2025, 6, 21, 10, 0, tzinfo=UTC)


def opened(cash: str = "100") -> Portfolio:
    return Portfolio.open("ACC-1", "Growth", Decimal(cash), NOW)


def deposit(amount: str) -> PositionUpdate:
    return PositionUpdate(transaction_type=TransactionType.DEP, quantity_change=Decimal(amount))


def withdrawal(amount: str) -> PositionUpdate:
    return PositionUpdate(transaction_type=TransactionType.WD, quantity_change=Decimal(amount))


def test_opening_records_the_name_and_the_opening_cash() -> None:
    portfolio = opened("250.75")
    (event,) = portfolio.collect_events()
    assert isinstance(event, PortfolioOpened)
    assert (event.originator_id, event.originator_version) == ("portfolio/ACC-1", 1)
    assert (event.portfolio_name, event.cash, event.timestamp) == ("Growth", Decimal("250.75"), NOW)


@pytest.mark.parametrize(
    ("portfolio_id", "name", "cash", "pointers"),
    [
        ("", "x", "0", ["/portfolio_id"]),
        ("..", "x", "0", ["/portfolio_id"]),
        ("a/b", "x", "0", ["/portfolio_id"]),
        ("a\n", "x", "0", ["/portfolio_id"]),
        ("é", "x", "0", ["/portfolio_id"]),
        ("x" * 101, "x", "0", ["/portfolio_id"]),
        ("ok", "  ", "0", ["/portfolio_name"]),
        ("ok", "n" * 201, "0", ["/portfolio_name"]),
        ("ok", "x", "-0.01", ["/cash_balance"]),
        ("ok", "x", "0.12345678901234567", ["/cash_balance"]),
        ("a b", "", "-1", ["/portfolio_id", "/portfolio_name", "/cash_balance"]),
    ],
)
def test_a_bad_opening_names_every_fault(portfolio_id: str, name: str, cash: str, pointers: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        Portfolio.open(portfolio_id, name, Decimal(cash), NOW)
    assert [fault.pointer for fault in refused.value.faults] == pointers


def test_deposits_and_withdrawals_record_the_balance_afterwards() -> None:
    given(opened("100")).when(lambda p: p.update([deposit("0.50"), withdrawal("100.75")], NOW, now=NOW)).then(
        (CashDeposited, {"amount": Decimal("0.50"), "cash": Decimal("100.50")}),
        (CashWithdrawn, {"amount": Decimal("100.75"), "cash": Decimal("-0.25")}),
    )


def test_an_overdrawn_portfolio_says_so() -> None:
    portfolio = opened("1")
    portfolio.update([withdrawal("1.001")], NOW, now=NOW)
    valued = value(portfolio)
    assert valued.overdrawn
    assert str(valued.cash_balance) == "0.00"
    assert str(valued.positions[0].weight) == "1"


def test_one_bad_update_refuses_all_and_names_every_fault() -> None:
    bad = PositionUpdate(
        transaction_type=TransactionType.DEP, quantity_change=Decimal(0), instrument_id="AAPL", price=Decimal(2)
    )
    late = NOW + timedelta(minutes=5, microseconds=1)
    portfolio = opened()
    portfolio.collect_events()
    with pytest.raises(Invalid) as refused:
        portfolio.update([deposit("1"), bad], late, now=NOW)
    assert [fault.pointer for fault in refused.value.faults] == [
        "/updates/1/quantity_change",
        "/updates/1/instrument_id",
        "/updates/1/price",
        "/timestamp",
    ]
    assert not portfolio.pending_events
    assert portfolio.cash == Decimal(100)


def test_cash_takes_16_places_and_one_of_price() -> None:
    update = PositionUpdate(
        transaction_type=TransactionType.DEP,
        quantity_change=Decimal("0.0000000000000001"),
        instrument_id="CASH",
        price=Decimal("1.00"),
    )
    portfolio = opened("0")
    portfolio.update([update], NOW, now=NOW)
    assert portfolio.cash == Decimal("1E-16")


amounts = st.decimals(min_value=Decimal("1E-16"), max_value=Decimal("999999999999999"), places=16)


@property_test(st.lists(st.tuples(st.sampled_from(list(TransactionType)), amounts), max_size=60))
def test_replay_and_snapshot_equal_the_live_portfolio_and_cash_is_the_exact_sum(
    moves: list[tuple[TransactionType, Decimal]],
) -> None:
    live = opened("0")
    for kind, amount in moves:
        live.update([PositionUpdate(transaction_type=kind, quantity_change=amount)], NOW, now=NOW)
    events = [decode(event.TOPIC, encode(event), live.id, event.originator_version) for event in live.collect_events()]
    assert fold(events) == live

    half: Portfolio | None = fold(events[: len(events) // 2 + 1])
    assert half is not None
    restored = decode_snapshot(Portfolio, encode_snapshot(half), live.id, half.version)
    assert fold(events[half.version :], restored) == live

    total = sum((Fraction(amount) * (1 if kind is TransactionType.DEP else -1) for kind, amount in moves), Fraction())
    assert Fraction(live.cash) == total


def test_a_copy_is_independent_of_its_original() -> None:
    portfolio = opened("5")
    twin = portfolio.copy()
    twin.update([deposit("1")], NOW, now=NOW)
    assert portfolio.cash == Decimal(5)
    assert portfolio.version == 1
    assert twin.cash == Decimal(6)


def test_the_valuation_shows_cash_as_a_position() -> None:
    valued = value(opened("75125"))
    (cash,) = valued.positions
    assert (cash.instrument_id, cash.position_type) == ("CASH", "CASH")
    assert str(valued.total_value) == str(cash.market_value) == str(cash.cost_basis) == "75125.00"
    assert str(cash.unrealized_pnl) == "0.00"
    assert str(value(opened("0")).positions[0].weight) == "0"
