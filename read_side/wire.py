"""How figures and times are written as JSON: exact numbers in plain notation, times in UTC with ``Z``."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

import msgspec

from domain.values import plain

encode = msgspec.json.Encoder().encode
"""JSON bytes of plain structures whose figures went through ``number`` or ``amount``."""


def number(value: Decimal) -> msgspec.Raw:
    """Return a quantity, price, weight or ratio as JSON number: exact, no exponent, no trailing zeros."""
    return msgspec.Raw(plain(value).encode())


def amount(value: Decimal) -> msgspec.Raw:
    """Return money that ``domain.values.money`` has rounded as JSON number with its two decimals."""
    return msgspec.Raw(format(value, "f").encode())


@lru_cache(10_000)
def moment(value: datetime) -> str:
    """Return the time in UTC by RFC 3339 with ``Z`` and at most six fractional digits, trailing zeros cut."""
    if value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    text = encode(value)[1:-2].decode()
    return f"{text.rstrip('0') if '.' in text else text}Z"
