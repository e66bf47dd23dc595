"""What is checked of every request where there are API keys: a key that is known, and one with the scope it needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import Problem, RequestProblem
from api.security import keys
from api.security.callers import keep, keep_stranger, key_of
from api.security.routes import is_open, needed

_CHALLENGE: Final = 'Bearer realm="foliolog"'
_NO_KEY: Final = Problem(
    code="unauthorized",
    detail="there is no API key: send it as `Authorization: Bearer flk_...`",
    headers={"WWW-Authenticate": _CHALLENGE},
)
_UNKNOWN_KEY: Final = Problem(
    code="unauthorized",
    detail="this API key is not known here: it is not whole, of another server, or no longer taken",
    headers={"WWW-Authenticate": f'{_CHALLENGE}, error="invalid_token"'},
)


def turned_away(known: keys.Keys, scope: Scope, headers: Mapping[bytes, bytes]) -> Problem | None:
    """Return the 401 for a request without a key that is known; else None, and its key is left in the scope.

    On a path that is open to all a stranger is let in as one.

    It comes before everything else: a stranger does not learn which paths there are. The challenge names an error only
    where there was a token (RFC 6750, section 3).
    """
    scheme, _, token = headers.get(b"authorization", b"").strip().partition(b" ")
    bearer = scheme.lower() == b"bearer"
    key = known.of(token.strip()) if bearer else None
    if key is not None:
        keep(scope, key)
        return None
    if is_open(scope["method"], scope["path"]):
        keep_stranger(scope)
        return None
    return _UNKNOWN_KEY if bearer else _NO_KEY


def guard(routes: Iterable[BaseRoute]) -> None:
    """Have every route that is not open refuse a caller whose key has not the scope that it needs."""
    for route in routes:
        needs = needed(route)
        if needs is not None and isinstance(route, Route):
            route.app = _guarded(route.app, needs)


def _guarded(app: ASGIApp, needs: keys.Scope) -> ASGIApp:
    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        key = key_of(scope)
        if key is None:  # a path that looks like an open one, of a route that is not
            raise RequestProblem(_NO_KEY)
        if needs not in key.scopes:
            raise RequestProblem(_beyond(key, needs))
        await app(scope, receive, send)

    return guarded


def _beyond(key: keys.Key, needs: keys.Scope) -> Problem:
    """Return the 403 (RFC 6750, section 3.1)."""
    has = " and ".join(scope for scope in keys.Scope if scope in key.scopes)
    return Problem(
        code="forbidden",
        detail=f"this API key ({key.name}) is for {has}, and this needs {needs}",
        headers={"WWW-Authenticate": f'{_CHALLENGE}, error="insufficient_scope", scope="{needs}"'},
    )
