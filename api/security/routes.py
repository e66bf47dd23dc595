"""Which scope a route needs: the one place where that is said."""

from __future__ import annotations

from typing import Final

from starlette.routing import BaseRoute, Route

from api.security.keys import Scope

OPEN: Final = frozenset(
    {
        "/healthz",
        "/health/live",
        "/readyz",
        "/health/ready",
        "/health/health",
        "/docs",
        "/openapi.json",
        "/problems",
        "/problems/{code}",
    }
)
"""Paths that are asked without a key: probes, and what explains the rest."""

OPERATORS: Final = frozenset(
    {
        "retry_parked_work",
        "retry_failed_executions",
        "book_execution",
        "resend_execution",
        "retry_batch",
        "cancel_batch",
    }
)
"""Operations that need ``admin``: what the system could not do is done again, or what it has settled is undone."""

QUESTIONS: Final = frozenset({"search_rebalances"})
"""Operations that are sent by POST and change nothing: ``read`` is enough."""

_ASKING: Final = frozenset({"GET", "HEAD"})
_LITERAL: Final = frozenset(path for path in OPEN if "{" not in path)
_BELOW: Final = tuple(path.partition("{")[0] for path in OPEN if "{" in path)


def is_open(method: str, path: str) -> bool:
    """Whether this is asked without a key."""
    return method in _ASKING and (path in _LITERAL or path.startswith(_BELOW))


def needed(route: BaseRoute) -> Scope | None:
    """Return the scope that a route needs, None for an open one; raises ``TypeError`` for one that nothing guards."""
    if not isinstance(route, Route) or not route.methods:
        raise TypeError(f"{route!r} is no route with methods: say in {__name__} how keys guard it")
    operation = getattr(route, "operation_id", None)
    asks = route.methods <= _ASKING
    if asks and route.path in OPEN:
        return None
    if operation in OPERATORS:
        return Scope.ADMIN
    return Scope.READ if asks or operation in QUESTIONS else Scope.WRITE
