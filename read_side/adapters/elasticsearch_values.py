"""Values of fields as Elasticsearch indexes them: equal where they are equal, and in their order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from read_side.store import Kind
from read_side.texts import folded

_FIRST = datetime(1, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LONGS = range(-(2**63), 2**63)
_MIDDLE = 500_000
"""Exponents of numbers are written from here on, so that they have no sign; PostgreSQL's lie within 131,072 of 0."""
_OPPOSITE = str.maketrans("0123456789", "9876543210")


def indexed(kind: Kind, value: Any) -> str | int | None:
    """Return the value as the documents' member ``search`` holds it and queries compare it; None stays None.

    Keywords are texts, in order by code point, and texts are case-folded; positions are integers; moments are
    microseconds since the year 1 began (UTC); numbers are ASCII texts that sort as the numbers do, equal for equal
    ones. Raises ``ValueError`` for what cannot be held: a number that is not finite or has an exponent beyond 499,999,
    a position of more than 64 bits; ``TypeError`` for a moment without an offset.
    """
    if value is None:
        return None
    match kind:
        case Kind.KEYWORD:
            return str.__str__(value)  # also of an enumeration's member
        case Kind.TEXT:
            return folded(str.__str__(value))
        case Kind.POSITION:
            if value not in _LONGS:
                raise ValueError(f"{value} has more than 64 bits")
            return int(value)
        case Kind.MOMENT:
            return int((value - _FIRST) // _MICROSECOND)
        case Kind.NUMBER:
            return _number(value)


def _number(value: Decimal) -> str:
    """Return sign, exponent and digits without the zeros at their end; those of negative ones count downwards."""
    if not value.is_finite() or abs(value.adjusted()) >= _MIDDLE:
        raise ValueError(f"{value} cannot be put in order with other numbers")
    if not value:
        return "1"
    digits = "".join(map(str, value.as_tuple().digits)).lstrip("0").rstrip("0")
    text = f"{value.adjusted() + _MIDDLE:06d}{digits}"
    # Of -1 and -1.5 the one with fewer digits is the greater: it ends with what comes behind every digit.
    return f"2{text}" if value > 0 else f"0{text.translate(_OPPOSITE)}:"
