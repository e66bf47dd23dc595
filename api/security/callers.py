"""Who calls: the key that a request brings, else what ``X-User`` says, or ``anonymous``."""

from __future__ import annotations

from typing import Final

from starlette.types import Scope

from api.problems import Misfit, RequestProblem, unfit
from api.received import received
from api.security.keys import Key

ANONYMOUS: Final = "anonymous"
MAX_USER: Final = 100
_KEY: Final = "foliolog.key"
_STRANGER: Final = "foliolog.stranger"


def keep(scope: Scope, key: Key) -> None:
    """Leave the key that a request has brought in its scope."""
    scope[_KEY] = key


def keep_stranger(scope: Scope) -> None:
    """Leave in the scope of a request that it needed a key for more than is open to all, and brought none."""
    scope[_STRANGER] = True


def is_stranger(scope: Scope) -> bool:
    """Whether who asks may know only what is open to all."""
    return bool(scope.get(_STRANGER))


def key_of(scope: Scope) -> Key | None:
    """Return the key that the request has brought; None where none is needed."""
    found: Key | None = scope.get(_KEY)
    return found


def caller(scope: Scope) -> str:
    """Return the name of the caller: the key's, and then ``X-User`` counts for nothing.

    Raises ``RequestProblem`` (422) for a name in ``X-User`` that cannot be written down.
    """
    key = key_of(scope)
    if key is not None:
        return key.name
    raw = received(scope).headers.get(b"x-user")
    if raw is None:
        return ANONYMOUS
    name = raw.decode("utf-8", "replace").strip()
    if not 1 <= len(name) <= MAX_USER or not name.isprintable() or "�" in name:
        raise RequestProblem(unfit(Misfit("header", "X-User", f"give 1 to {MAX_USER} printable characters in UTF-8")))
    return name
