"""A portfolio opens with its cash, takes deposits, withdrawals, fees and dividends, and names every fault at once."""

from datetime import timedelta
from decimal import Decimal

import pytest

from domain.errors import Invalid
from domain.portfolio import (
    CASH,
    CashDeposited,
    CashWithdrawn,
    DividendReceived,
    FeeCharged,
    Portfolio,
    PortfolioOpened,
    PositionUpdate,
    SharesBought,
    SharesSold,
    TransactionType,
    wrong_id,
    wrong_instrument,
    wrong_price,
    wrong_quantity,
    wrong_time,
)
from tests.domain.given import given
from tests.domain.portfolios import (
    LARGEST,
    NOW,
    asked,
    buy,
    deposit,
    dividend,
    faults,
    fee,
    holding,
    opened,
    refusal,
    sell,
    update,
    withdrawal,
)

MOVE_CASH = ("DEP", "WD", "FEE")
NEED_A_PRICE = ("BUY", "SELL", "SHORT", "COVER", "DIVIDEND", "IN")
NEED_A_POSITIVE_PRICE = ("BUY", "SELL", "SHORT", "COVER")
OF_INSTRUMENTS = ("BUY", "SELL", "SHORT", "COVER", "IN", "OUT", "DIVIDEND")


def test_there_are_ten_types_of_update() -> None:
    assert set(TransactionType) == {*MOVE_CASH, *OF_INSTRUMENTS}
    assert len(TransactionType) == 10


# --- opening ---------------------------------------------------------------------------------------------------------


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
        (".", "x", "0", ["/portfolio_id"]),
        ("..", "x", "0", ["/portfolio_id"]),
        ("a/b", "x", "0", ["/portfolio_id"]),
        ("a\n", "x", "0", ["/portfolio_id"]),
        ("é", "x", "0", ["/portfolio_id"]),
        ("x" * 101, "x", "0", ["/portfolio_id"]),
        ("ok", "  ", "0", ["/portfolio_name"]),
        ("ok", "n" * 201, "0", ["/portfolio_name"]),
        ("ok", "x", "-0.01", ["/cash_balance"]),
        ("ok", "x", "0.12345678901234567", ["/cash_balance"]),
        ("ok", "x", "1000000000000000", ["/cash_balance"]),
        ("a b", "", "-1", ["/portfolio_id", "/portfolio_name", "/cash_balance"]),
    ],
)
def test_a_bad_opening_names_every_fault(portfolio_id: str, name: str, cash: str, pointers: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        Portfolio.open(portfolio_id, name, Decimal(cash), NOW)
    assert [fault.pointer for fault in refused.value.faults] == pointers


@pytest.mark.parametrize("portfolio_id", ["a", "x" * 100, "...", "A-1_b.c:D", "-"])
def test_ids_of_portfolios(portfolio_id: str) -> None:
    assert wrong_id(portfolio_id) is None
    assert Portfolio.open(portfolio_id, "n", Decimal(0), NOW).portfolio_id == portfolio_id


# --- cash ------------------------------------------------------------------------------------------------------------


def test_deposits_and_withdrawals_record_the_balance_afterwards() -> None:
    given(opened("100")).when(update(deposit("0.50"), withdrawal("100.75"))).then(
        (CashDeposited, {"amount": Decimal("0.50"), "cash": Decimal("100.50"), "timestamp": NOW}),
        (CashWithdrawn, {"amount": Decimal("100.75"), "cash": Decimal("-0.25"), "timestamp": NOW}),
    )


def test_a_fee_takes_cash_and_may_overdraw() -> None:
    given(opened("10")).when(update(fee("10.00000001"))).then(
        (FeeCharged, {"amount": Decimal("10.00000001"), "cash": Decimal("-0.00000001")})
    )


def test_a_dividend_brings_cash_and_its_payer_need_not_be_held() -> None:
    paid = {"instrument_id": "AAPL", "quantity": Decimal(500), "price": Decimal("0.26"), "amount": Decimal(130)}
    given(opened("1")).when(update(dividend("AAPL", "500", "0.26"))).then(
        (DividendReceived, {**paid, "cash": Decimal(131)})
    )


def test_a_dividend_leaves_the_position_as_it_is() -> None:
    portfolio = holding(buy("AAPL", "3", "10"), cash="30")
    before = dict(portfolio.positions)
    portfolio.update([dividend("AAPL", "3", "1")], NOW + timedelta(minutes=1), now=NOW)
    assert portfolio.positions == before
    assert portfolio.cash == 3
    assert portfolio.cash_updated == portfolio.last_updated == NOW + timedelta(minutes=1)


@pytest.mark.parametrize("kind", MOVE_CASH)
@pytest.mark.parametrize("instrument_id", [None, CASH])
@pytest.mark.parametrize("price", [None, "1", "1.00"])
def test_what_moves_cash_takes_the_instrument_cash_and_the_price_1_or_neither(
    kind: str, instrument_id: str | None, price: str | None
) -> None:
    portfolio = opened("5")
    portfolio.update([asked(kind, "2", price, instrument_id)], NOW, now=NOW)
    assert portfolio.cash == (7 if kind == "DEP" else 3)
    assert not portfolio.positions


# --- faults ----------------------------------------------------------------------------------------------------------


def test_one_bad_update_refuses_all_and_names_every_fault() -> None:
    bad = PositionUpdate(
        transaction_type=TransactionType.DEP, quantity_change=Decimal(0), instrument_id="AAPL", price=Decimal(2)
    )
    late = NOW + timedelta(minutes=5, microseconds=1)
    portfolio = opened("100")
    found = faults(portfolio, update(deposit("1"), bad, sell("a/b", "1", "1"), at=late))
    assert list(found) == [
        "/updates/1/quantity_change",
        "/updates/1/instrument_id",
        "/updates/1/price",
        "/updates/2/instrument_id",
        "/timestamp",
    ]
    assert len(portfolio.collect_events()) == 1
    assert portfolio.cash == 100


@pytest.mark.parametrize("kind", list(TransactionType))
def test_sizes_are_positive_and_within_bounds(kind: TransactionType) -> None:
    finest = "0.0000000000000001" if kind in ("DEP", "WD") else "0.00000001"
    for right in (finest, "1", "0.1000000000000000000000000", LARGEST, "1E+14"):
        assert wrong_quantity(kind, Decimal(right)) is None
    for wrong in ("0", "-0", "-1", "-0.00000001", finest.replace("1", "01"), "1000000000000000", "1E+15"):
        assert wrong_quantity(kind, Decimal(wrong)), wrong


def test_a_wrong_size_names_the_value_or_what_is_taken() -> None:
    assert "-3" in (wrong_quantity(TransactionType.BUY, Decimal(-3)) or "")
    assert "9 decimal places, at most 8" in (wrong_quantity(TransactionType.FEE, Decimal("1E-9")) or "")
    assert "17 decimal places, at most 16" in (wrong_quantity(TransactionType.DEP, Decimal("1E-17")) or "")
    assert "16 digits" in (wrong_quantity(TransactionType.SELL, Decimal("1E15")) or "")


@pytest.mark.parametrize("kind", OF_INSTRUMENTS)
def test_instruments(kind: str) -> None:
    for right in ("A", "x" * 24, "BRK.B", "a_b-c:d", "cash", "..."):
        assert wrong_instrument(TransactionType(kind), right) is None
    for wrong in (None, "", ".", "..", CASH, "x" * 25, "a b", "a\n", "é", "a/b"):
        assert wrong_instrument(TransactionType(kind), wrong), wrong


@pytest.mark.parametrize("kind", MOVE_CASH)
def test_what_moves_cash_has_no_other_instrument_and_no_other_price(kind: str) -> None:
    assert wrong_instrument(TransactionType(kind), "AAPL")
    for price in ("0", "-1", "1.00000001", "2"):
        assert wrong_price(TransactionType(kind), Decimal(price)), price


@pytest.mark.parametrize("kind", NEED_A_PRICE)
def test_prices_are_within_bounds(kind: str) -> None:
    for right in ("0.00000001", LARGEST, "1.50000000000"):
        assert wrong_price(TransactionType(kind), Decimal(right)) is None
    for wrong in ("-0.00000001", "0.000000001", "1000000000000000"):
        assert wrong_price(TransactionType(kind), Decimal(wrong)), wrong
    assert wrong_price(TransactionType(kind), None)


def test_trades_have_prices_above_0_and_shares_may_come_in_at_0() -> None:
    for kind in NEED_A_POSITIVE_PRICE:
        assert wrong_price(TransactionType(kind), Decimal(0))
    assert wrong_price(TransactionType.IN, Decimal(0)) is None
    assert wrong_price(TransactionType.OUT, None) is None


def test_a_time_is_at_most_five_minutes_ahead() -> None:
    assert wrong_time(NOW + timedelta(minutes=5), NOW) is None
    assert wrong_time(NOW - timedelta(days=36500), NOW) is None
    assert wrong_time(NOW + timedelta(minutes=5, microseconds=1), NOW)


# --- all or none -----------------------------------------------------------------------------------------------------


def test_the_refusal_of_one_update_names_it_and_none_is_applied() -> None:
    portfolio = holding(buy("AAPL", "2", "10"), cash="20")
    message = refusal(portfolio, update(deposit("5"), sell("AAPL", "1", "10"), sell("AAPL", "2", "10")))
    assert "update 2" in message
    assert portfolio.positions["AAPL"].quantity == 2
    assert portfolio.cash == 0


def test_updates_are_applied_in_order_so_that_each_sees_what_the_one_before_it_left() -> None:
    given(opened()).when(update(buy("AAPL", "2", "10"), sell("AAPL", "2", "11"), withdrawal("2"))).then(
        (SharesBought, {"cash": Decimal(-20)}),
        (SharesSold, {"cash": Decimal(2), "held": Decimal(0), "cost": Decimal(0)}),
        (CashWithdrawn, {"cash": Decimal(0)}),
    )
    assert "held" in refusal(opened(), update(sell("AAPL", "2", "11"), buy("AAPL", "2", "10")))


def test_a_copy_is_independent_of_its_original() -> None:
    portfolio = holding(buy("AAPL", "1", "5"), cash="10")
    twin = portfolio.copy()
    twin.update([deposit("1"), sell("AAPL", "1", "6")], NOW, now=NOW)
    assert (portfolio.cash, portfolio.version, [*portfolio.positions]) == (Decimal(5), 2, ["AAPL"])
    assert (twin.cash, twin.version, [*twin.positions]) == (Decimal(12), 4, [])
