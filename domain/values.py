"""Exact numbers: the two decimal contexts, the bounds on what comes in, and the one rounding of what goes out.

Nothing here, and nothing that uses it, ever touches the ambient decimal context: that one is per thread and a
bare thread has 28 digits, which loses a cent inside the bounds below.
"""

from __future__ import annotations

from collections.abc import Iterable
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
from functools import lru_cache

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

_SHARE = Context(prec=80, rounding=ROUND_HALF_EVEN, Emin=-999_999, Emax=999_999, traps=[InvalidOperation])

_quantize = _ROUND.quantize
_divide = _SHARE.divide

ZERO = Decimal(0)
ONE = Decimal(1)

MAX_PLACES = 8
"""Decimal places of quantities and prices."""
MAX_CASH_PLACES = 16
"""Decimal places of cash moved in and out: exact cash is a sum of products of two numbers with 8 places."""
MAX_INTEGER_DIGITS = 15
MAX_QUOTIENT_PLACES = 60
"""Decimal places that a quotient keeps."""

_CENT = Decimal("0.01")
_NO_MONEY = Decimal("0.00")
_EIGHTH_PLACE = Decimal("0.00000001")
_MILLIONTH = Decimal("0.000001")
_LAST_PLACE = Decimal("1E-60")
UNIT_PLACES = 16
_UNIT = Decimal("1E-16")
_PLACES = {MAX_PLACES: _EIGHTH_PLACE, MAX_CASH_PLACES: Decimal("1E-16")}


def plain(number: Decimal) -> str:
    """Return the number in plain notation, exactly: no exponent, no trailing zeros, no minus before zero."""
    if not number:
        return "0"
    text = str(number)
    if "E" in text:
        text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def money(amount: Decimal) -> Decimal:
    """Return the amount rounded half-even to cents; always two places, zero without a sign."""
    rounded = _quantize(amount, _CENT)
    return rounded or _NO_MONEY


def ratio(number: Decimal) -> Decimal:
    """Return a weight or ratio rounded half-even to at most six places, without trailing zeros."""
    return Decimal(plain(_quantize(number, _MILLIONTH)))


def quotient(part: Decimal, whole: Decimal) -> Decimal:
    """Return part / whole to 50 significant digits, and to no more than 60 decimal places: it can be added to.

    Without that limit costs diluted again and again would need more digits than ``EXACT`` has.
    """
    result = DIVIDE.divide(part, whole)
    if not result:
        return ZERO
    return result if result.as_tuple().exponent >= -MAX_QUOTIENT_PLACES else _quantize(result, _LAST_PLACE)  # type: ignore[operator]


def share(part: Decimal, whole: Decimal) -> Decimal:
    """Return part / whole as a weight: half-even to six places from the exact quotient; 0 where the whole is 0.

    Nothing within the bounds, nor a sum of such products, lies so close to a tie that 80 digits do not tell its side.
    """
    return _quantize(_divide(part, whole), _MILLIONTH) if whole else ZERO


def units(number: Decimal) -> int:
    """Return the number in units of 1E-16; raises ``decimal.Inexact`` for one that has more places.

    Cash, and the product of a quantity and a price, are whole numbers of these.
    """
    return int(EXACT.scaleb(EXACT.quantize(number, _UNIT), UNIT_PLACES))


def share_of_units(part: int, whole: int) -> Decimal:
    """Return part / whole as ``share`` does, without trailing zeros, from whole numbers of units."""
    if not whole:
        return ZERO
    if whole < 0:
        part, whole = -part, -whole
    millionths, rest = divmod(part * 1_000_000, whole)
    rest *= 2
    if rest > whole or (rest == whole and millionths % 2):
        millionths += 1
    return _in_millionths(millionths)


@lru_cache(100_000)
def _in_millionths(count: int) -> Decimal:
    """Return so many millionths, as a number that ``str`` writes plainly."""
    return Decimal(plain(EXACT.multiply(Decimal(count), _MILLIONTH)))


def summed(numbers: Iterable[Decimal]) -> Decimal:
    """Return the sum, exactly; 0 of none."""
    result, add = ZERO, EXACT.add
    for number in numbers:
        result = add(result, number)
    return result


def eighth_place(number: Decimal) -> Decimal:
    """Return the number rounded half-even to 8 places, as quantities and prices have them."""
    return _quantize(number, _EIGHTH_PLACE)


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
    if number.adjusted() < MAX_INTEGER_DIGITS and _quantize(number, _PLACES[max_places]) == number:
        return None
    if integer_digits(number) > MAX_INTEGER_DIGITS:
        return f"has {integer_digits(number)} digits before the point, at most {MAX_INTEGER_DIGITS} are taken"
    if number.as_tuple().exponent < -max_places and places(number) > max_places:  # type: ignore[operator]
        return f"has {places(number)} decimal places, at most {max_places} are taken"
    return None


def quantized_ratio(part: Decimal, whole: Decimal, decimals: int) -> Decimal:
    """Return part / whole rounded half-even to so many places, from 80 digits; 0 where the whole is 0."""
    return _quantize(_divide(part, whole), EXACT.scaleb(ONE, -decimals)) if whole else ZERO
