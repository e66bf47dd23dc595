"""Exact numbers: the two decimal contexts, the bounds on what comes in, and the one rounding of what goes out.

Nothing here, and nothing that uses it, ever touches the ambient decimal context: that one is per thread and a
bare thread has 28 digits, which loses a cent inside the bounds below.
"""

from __future__ import annotations

from decimal import (
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
    Underflow,
)

EXACT = Context(
    prec=400,
    rounding=ROUND_HALF_EVEN,
    Emin=-999_999,
    Emax=999_999,
    traps=[Inexact, InvalidOperation, DivisionByZero, Overflow, Underflow],
)
"""For sums, differences and products: a result that would not be exact raises ``decimal.Inexact``."""

DIVIDE = Context(
    prec=50,
    rounding=ROUND_HALF_EVEN,
    Emin=-999_999,
    Emax=999_999,
    traps=[InvalidOperation, DivisionByZero, Overflow],
)
"""For divisions: 50 significant digits, half-even; what must add up takes the exact rest instead of a quotient."""

_ROUND = Context(prec=400, rounding=ROUND_HALF_EVEN, Emin=-999_999, Emax=999_999, traps=[InvalidOperation, Overflow])

ZERO = Decimal(0)
ONE = Decimal(1)

MAX_PLACES = 8
"""Decimal places of quantities and prices."""
MAX_CASH_PLACES = 16
"""Decimal places of cash moved in and out: exact cash is a sum of products of two numbers with 8 places."""
MAX_INTEGER_DIGITS = 15

_CENT = Decimal("0.01")
_NO_MONEY = Decimal("0.00")
_MILLIONTH = Decimal("0.000001")


def plain(number: Decimal) -> str:
    """Return the number in plain notation, exactly: no exponent, no trailing zeros, no minus before zero."""
    if not number:
        return "0"
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def money(amount: Decimal) -> Decimal:
    """Return the amount rounded half-even to cents; always two places, zero without a sign."""
    rounded = amount.quantize(_CENT, context=_ROUND)
    return rounded or _CENT - _CENT


def ratio(number: Decimal) -> Decimal:
    """Return a weight or ratio rounded half-even to at most six places, without trailing zeros."""
    return Decimal(plain(number.quantize(_MILLIONTH, context=_ROUND)))


def places(number: Decimal) -> int:
    """Return how many decimal places the number needs; trailing zeros do not count."""
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError(f"{number} is not a finite number")
    if exponent >= 0 or not number:
        return 0
    trailing = 0
    for digit in reversed(digits):
        if digit:
            break
        trailing += 1
    return max(0, -exponent - trailing)


def integer_digits(number: Decimal) -> int:
    """Return how many digits stand before the decimal point (0 for numbers below one)."""
    return max(0, number.adjusted() + 1) if number else 0


def outside_bounds(number: Decimal, max_places: int = MAX_PLACES) -> str | None:
    """Return None for a number within the bounds of ``max_places`` and 15 integer digits, else what is wrong."""
    if integer_digits(number) > MAX_INTEGER_DIGITS:
        return f"has {integer_digits(number)} digits before the point, at most {MAX_INTEGER_DIGITS} are taken"
    if number.as_tuple().exponent < -max_places and places(number) > max_places:  # type: ignore[operator]
        return f"has {places(number)} decimal places, at most {max_places} are taken"
    return None
