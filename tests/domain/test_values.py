"""Exact numbers: contexts, bounds, rounding."""

import threading
from decimal import Decimal, Inexact, getcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.values import (
    DIVIDE,
    EXACT,
    integer_digits,
    money,
    outside_bounds,
    places,
    plain,
    ratio,
)

finite = st.decimals(allow_nan=False, allow_infinity=False, min_value=Decimal("-1e40"), max_value=Decimal("1e40"))


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("0", "0"),
        ("-0.00", "0"),
        ("1E+3", "1000"),
        ("1E-8", "0.00000001"),
        ("57.12345679", "57.12345679"),
        ("100", "100"),
        ("1.500", "1.5"),
        ("-2.50", "-2.5"),
    ],
)
def test_plain_notation_has_no_exponent_no_trailing_zeros_and_no_minus_before_zero(number: str, text: str) -> None:
    assert plain(Decimal(number)) == text


@settings(deadline=None)
@given(finite)
def test_plain_notation_is_exact(number: Decimal) -> None:
    assert Decimal(plain(number)) == number


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("75125", "75125.00"),
        ("0.005", "0.00"),
        ("0.015", "0.02"),
        ("-0.004", "0.00"),
        ("-0.005", "0.00"),
        ("-0.006", "-0.01"),
        ("123456789012345678901234567890.125", "123456789012345678901234567890.12"),
    ],
)
def test_money_is_rounded_half_even_to_two_decimals(amount: str, shown: str) -> None:
    assert str(money(Decimal(amount))) == shown


def test_ratios_have_at_most_six_places_and_no_trailing_zeros() -> None:
    assert str(ratio(Decimal("0.0750000"))) == "0.075"
    assert str(ratio(Decimal("0.1234565"))) == "0.123456"
    assert str(ratio(Decimal(1))) == "1"


@pytest.mark.parametrize(("number", "count"), [("1.500", 1), ("1E-9", 9), ("1E+9", 0), ("0.000", 0), ("12.05", 2)])
def test_trailing_zeros_do_not_count_as_places(number: str, count: int) -> None:
    assert places(Decimal(number)) == count


@pytest.mark.parametrize(("number", "count"), [("0.5", 0), ("999999999999999", 15), ("1E15", 16), ("0", 0)])
def test_integer_digits(number: str, count: int) -> None:
    assert integer_digits(Decimal(number)) == count


def test_bounds_name_what_is_wrong() -> None:
    assert outside_bounds(Decimal("999999999999999.12345678")) is None
    assert outside_bounds(Decimal("0.1234567800")) is None
    assert "9 decimal places" in (outside_bounds(Decimal("0.123456789")) or "")
    assert "16 digits" in (outside_bounds(Decimal("1000000000000000")) or "")


def test_the_largest_product_and_sum_are_exact_inside_a_bare_thread() -> None:
    """The ambient context of a new thread has 28 digits: 30 are needed here, and nothing may be lost."""
    largest = Decimal("999999999999999.99999999")
    results: list[Decimal] = []
    digits: list[int] = []

    def compute() -> None:
        digits.append(getcontext().prec)
        product = EXACT.multiply(largest, largest)
        results.append(EXACT.add(product, Decimal("0.0000000000000001")))
        results.append(money(EXACT.add(Decimal("99999999999999999999999999999.99"), Decimal("0.01"))))

    thread = threading.Thread(target=compute)
    thread.start()
    thread.join()
    assert digits == [28]
    assert results == [
        Decimal("999999999999999999999980000000.0000000000000002"),
        Decimal("100000000000000000000000000000.00"),
    ]


def test_a_sum_that_would_not_be_exact_is_refused_and_a_division_keeps_at_least_28_digits() -> None:
    with pytest.raises(Inexact):
        EXACT.divide(Decimal(1), Decimal(3))
    assert len(DIVIDE.divide(Decimal(1), Decimal(3)).as_tuple().digits) >= 28
