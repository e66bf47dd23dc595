"""JSON in without floats, and the two types that carry figures and times through it: ``Number`` and ``Moment``.

A JSON number becomes an int or a Decimal with all its digits; NaN, infinities, members given twice and lone surrogates
are no JSON here. Exponents and lengths are bounded before any arithmetic.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from api.problems import Problem, RequestProblem

MAX_NUMBER_LENGTH: Final = 400
"""Characters of one number; beyond it (or beyond the exponent below) a number is not even made."""
MAX_EXPONENT: Final = 100

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE]([+-]?[0-9]+))?\Z")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt](?:[01][0-9]|2[0-3]):[0-9]{2}:([0-9]{2})(?:\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-5][0-9])?\Z"
)
_SURROGATE = re.compile(rb"\\u[dD][89abAB]|\\u[dD][c-fC-F]")


class OutOfRange:
    """Stands for a JSON number too long or too large to be made; no type takes it."""

    def __init__(self, text: str) -> None:
        self.text = text if len(text) <= 30 else f"{text[:30]}..."

    def __repr__(self) -> str:
        return self.text


def loads(body: bytes) -> Any:
    """Return the value of a JSON text; its numbers are int, Decimal or ``OutOfRange``, never float.

    Raises ``RequestProblem`` (400 ``not-json``) for anything that is not one JSON text in UTF-8.
    """
    try:
        value = _decode(body.decode("utf-8"))
        if _SURROGATE.search(body):
            json.dumps(value, ensure_ascii=False, default=str).encode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_json(f"byte {error.start} is not UTF-8") from None
    except UnicodeEncodeError:
        raise _not_json("a text holds half of a surrogate pair") from None
    except RecursionError:
        raise _not_json("it is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise _not_json(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    return value


def _not_json(reason: str) -> RequestProblem:
    return RequestProblem(Problem(code="not-json", detail=f"the body is not JSON: {reason}"))


def _integer(text: str) -> int | OutOfRange:
    return int(text) if len(text) <= MAX_NUMBER_LENGTH else OutOfRange(text)


def _fraction(text: str) -> Decimal | OutOfRange:
    number = _decimal(text)
    return OutOfRange(text) if number is None else number


def _decimal(text: str) -> Decimal | None:
    """Return the number of a text by JSON's grammar; None when it is none, too long or its exponent too large."""
    if len(text) > MAX_NUMBER_LENGTH or (match := _NUMBER.match(text)) is None:
        return None
    exponent = match[1]
    if exponent is not None and (len(exponent) > 5 or abs(int(exponent)) > MAX_EXPONENT):
        return None
    return Decimal(text)


def _constant(name: str) -> Any:
    raise _not_json(f"{name} is not a JSON number")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = Counter(name for name, _ in pairs)
        twice = next(name for name, count in names.items() if count > 1)
        raise _not_json(f"member {twice!r:.100} is there twice")
    return members


_decode = json.JSONDecoder(
    object_pairs_hook=_members, parse_float=_fraction, parse_int=_integer, parse_constant=_constant
).decode


def _number(value: Any) -> Decimal:
    match value:
        case Decimal():
            return value
        case bool():
            raise wrong(f"{str(value).lower()} is not a number")
        case int():
            return Decimal(value)
        case str():
            number = _decimal(value)
            if number is not None:
                return number
            if _NUMBER.match(value):
                raise wrong(f"{_shown(value)} is out of range")
            raise wrong(f"{_shown(value)} is not a number as JSON writes it, for example 57.12345679")
        case OutOfRange():
            raise wrong(f"{value!r} is out of range")
        case _:
            raise wrong(f"{kind(value)} is not a number")


def _moment(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    match = _MOMENT.match(value) if isinstance(value, str) and len(value) <= MAX_NUMBER_LENGTH else None
    if match is None:
        shown = _shown(value) if isinstance(value, str) else kind(value)
        raise wrong(f"{shown} is not a time as RFC 3339 writes it, for example 2025-06-21T10:00:00Z")
    if match[2] is None:
        raise wrong(f"{value} has no offset from UTC: say Z or for example +02:00")
    if match[1] == "60":
        raise wrong(f"{value} is a leap second, which cannot be kept: say second 59 or the next minute")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise wrong(f"{value} is no time: {error}") from None


def wrong(detail: str) -> PydanticCustomError:
    """Return the fault that a validator raises, with this detail."""
    return PydanticCustomError("fault", "{detail}", {"detail": detail})


def _shown(text: str) -> str:
    return ascii(text) if len(text) <= 40 else f"{text[:40]!a}..."


def kind(value: Any) -> str:
    """Return what a JSON value is that has the wrong type, as a person says it; a number is told as it is."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case dict():
            return "an object"
        case list():
            return "an array"
        case str():
            return "a text"
        case _:
            return str(value)


NUMBER_SCHEMA: Final = {
    "anyOf": [
        {"type": "number", "minimum": -999999999999999, "maximum": 999999999999999},
        {"type": "string", "pattern": r"^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,16})?$"},
    ],
    "description": "Exact: give a JSON number or, where a program would write a float, the same digits as a string.",
}

Number = Annotated[Decimal, PlainValidator(_number), WithJsonSchema(NUMBER_SCHEMA)]
"""An exact number, from a JSON number or string by JSON's grammar; its bounds are the domain's."""

Moment = Annotated[datetime, PlainValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
"""A time by RFC 3339 with offset, in UTC; digits beyond microseconds are cut, a naive one is refused."""
