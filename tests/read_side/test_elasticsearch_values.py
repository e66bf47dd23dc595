"""Values as they are indexed: equal where the values are, and in their order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from read_side.adapters.elasticsearch_values import indexed
from read_side.store import Kind

FINITE = st.decimals(allow_nan=False, allow_infinity=False)
WRITTEN = st.builds(
    lambda sign, digits, exponent: Decimal((sign, digits, exponent)),
    st.sampled_from((0, 1)),
    st.lists(st.integers(0, 9), min_size=1, max_size=6).map(tuple),
    st.integers(-16_383, 131_066),
)
SMALL = st.integers(-120, 120).map(lambda hundredths: Decimal(hundredths).scaleb(-2))
NUMBERS = FINITE.filter(lambda number: abs(number.adjusted()) < 131_072) | WRITTEN | SMALL
MOMENTS = st.datetimes(timezones=st.sampled_from((UTC, timezone(timedelta(hours=-11)), timezone(timedelta(hours=14)))))


def order(one: Any, other: Any) -> int:
    """Return -1, 0 or 1 for less, equal and greater."""
    return int(one > other) - int(one < other)


@settings(deadline=None)
@given(NUMBERS, NUMBERS)
def test_numbers_are_in_the_order_of_their_texts(one: Decimal, other: Decimal) -> None:
    texts = indexed(Kind.NUMBER, one), indexed(Kind.NUMBER, other)
    assert order(*texts) == order(one, other), texts
    assert all(isinstance(text, str) and text.isascii() for text in texts)


@settings(deadline=None)
@given(NUMBERS, st.integers(1, 30))
def test_equal_numbers_have_equal_texts(number: Decimal, zeros: int) -> None:
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    same = Decimal((sign, (*digits, *[0] * zeros), exponent - zeros))
    assert same == number
    assert indexed(Kind.NUMBER, same) == indexed(Kind.NUMBER, number)


def test_numbers_that_look_alike() -> None:
    rising = ["-1e131071", "-10", "-9.5", "-9", "-1.01", "-1", "-0.1", "-1e-16383", "0", "1e-16383", "0.1", "0.11",
              "1", "1.00000000000000000000000000001", "9", "10", "1e131071"]  # fmt: skip
    texts = [indexed(Kind.NUMBER, Decimal(number)) for number in rising]
    assert texts == sorted(set(texts))  # type: ignore[type-var]
    for same in ("0", "-0", "0.00", "0E+5", "-0E-5"):
        assert indexed(Kind.NUMBER, Decimal(same)) == indexed(Kind.NUMBER, Decimal(0))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e500000", "1e-500000"])
def test_what_has_no_place_among_numbers_is_refused(number: str) -> None:
    with pytest.raises(ValueError, match="order"):
        indexed(Kind.NUMBER, Decimal(number))


@settings(deadline=None)
@given(MOMENTS, MOMENTS)
def test_moments_are_in_the_order_of_their_numbers(one: datetime, other: datetime) -> None:
    assert order(indexed(Kind.MOMENT, one), indexed(Kind.MOMENT, other)) == order(one, other)


def test_moments_are_microseconds_since_the_first_year() -> None:
    last = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    assert indexed(Kind.MOMENT, datetime(1, 1, 1, tzinfo=UTC)) == 0
    assert indexed(Kind.MOMENT, datetime(1970, 1, 1, tzinfo=UTC)) == 62_135_596_800_000_000
    assert indexed(Kind.MOMENT, last) == 315_537_897_599_999_999
    with pytest.raises(TypeError):
        indexed(Kind.MOMENT, last.replace(tzinfo=None))


class Colour(StrEnum):
    RED = "rot"


def test_the_other_kinds() -> None:
    assert indexed(Kind.KEYWORD, Colour.RED) == "rot"
    assert type(indexed(Kind.KEYWORD, Colour.RED)) is str
    assert indexed(Kind.KEYWORD, "Größe \U0001f600") == "Größe \U0001f600"
    assert indexed(Kind.TEXT, "GRÖSSE Größe") == "grösse grösse"
    assert indexed(Kind.POSITION, 2**63 - 1) == 2**63 - 1
    with pytest.raises(ValueError, match="64 bits"):
        indexed(Kind.POSITION, 2**63)
    assert {indexed(kind, None) for kind in Kind} == {None}
