"""What the middleware has read of a request, for everyone behind it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from starlette.types import Scope

_KEY: Final = "foliolog.received"


class Received(msgspec.Struct, frozen=True):
    """One request: its headers and the id under which the log tells about it."""

    headers: dict[bytes, bytes]
    """Names in lower case; a header given several times is joined by commas (RFC 9110, section 5.3)."""
    correlation_id: str


def received(scope: Scope) -> Received:
    """Return what ``keep`` has left in the scope."""
    found: Received = scope[_KEY]
    return found


def keep(scope: Scope, request: Received) -> None:
    """Leave it in the scope."""
    scope[_KEY] = request


def joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the headers by name; the values of a name given several times are joined by commas."""
    pairs = list(headers)
    found = dict(pairs)
    if len(found) != len(pairs):
        found = {}
        for name, value in pairs:
            found[name] = found[name] + b", " + value if name in found else value
    return found


def prefers_later(scope: Scope) -> bool:
    """Whether ``respond-async`` is among the preferences of the request (RFC 7240)."""
    preferences = received(scope).headers.get(b"prefer", b"")
    return b"respond-async" in (each.partition(b";")[0].strip().lower() for each in preferences.split(b","))
