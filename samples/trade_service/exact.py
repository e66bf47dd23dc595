"""JSON in and out whose numbers keep every digit: whole ones are int, others ``Decimal``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def loads(text: bytes | str) -> Any:
    """Return the value of a JSON text; raises ``ValueError`` for anything else."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def dumps(value: Any) -> bytes:
    """Return the JSON text of a value, its decimals without exponent."""
    return _written(value).encode()


def _written(value: Any) -> str:
    match value:
        case Decimal():
            return format(value, "f")
        case Mapping():
            return "{" + ",".join(f"{json.dumps(str(name))}:{_written(member)}" for name, member in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join(map(_written, value)) + "]"
        case _:
            return json.dumps(value)


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is not a number")
