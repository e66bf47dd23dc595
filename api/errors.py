"""From errors to answers: the only place where an error of ours gets an HTTP status.

It imports nothing of ours but the domain and what is answered of it, so that queries can use it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from api.problems import CATALOGUE, Misfit, Problem, RequestProblem, pointer, unfit
from api.rebalance_problems import members
from domain.errors import (
    AlreadyExists,
    FoliologError,
    Invalid,
    KeyInFlight,
    KeyReused,
    NotDelivered,
    NotFound,
    NotYet,
    OutcomeUnknown,
    Overloaded,
    RuleViolated,
    StaleVersion,
    StoreUnavailable,
    Unavailable,
)
from domain.rebalance import CannotRebalance, Infeasible

_CODES: Sequence[tuple[type[FoliologError], str]] = (
    (Invalid, "invalid-request"),
    (RuleViolated, "rule-violated"),
    (CannotRebalance, "rule-violated"),
    (AlreadyExists, "already-exists"),
    (NotFound, "not-found"),
    (StaleVersion, "stale-version"),
    (KeyReused, "idempotency-key-reused"),
    (KeyInFlight, "idempotency-key-in-flight"),
    (Overloaded, "overloaded"),
    (StoreUnavailable, "store-unavailable"),
    (OutcomeUnknown, "outcome-unknown"),
    (NotYet, "projection-behind"),
    (NotDelivered, "not-delivered"),
    (Unavailable, "unavailable"),
)
"""What each branch of the tree is on the wire. A subclass with a code of its own in the catalogue keeps that one."""

_HTTP_CODES = {
    404: "unknown-path",
    405: "method-not-allowed",
    413: "body-too-large",
    415: "unsupported-media-type",
    422: "invalid-request",
    503: "unavailable",
}
_PLACES: Mapping[object, str] = {"path": "parameter", "query": "parameter", "header": "header", "cookie": "header"}


@dataclass(frozen=True, slots=True)
class OwnBody:
    """Paths under which errors wear another body than problem details: the seam for a seed with its own."""

    paths: tuple[str, ...]
    """Path prefixes, whole segments: ``/portfolio`` is ``/portfolio`` and ``/portfolio/...``."""
    render: Callable[[Problem], Response]

    def covers(self, path: str) -> bool:
        """Whether this path is one of those."""
        return any(path == prefix or path.startswith(f"{prefix}/") for prefix in self.paths)


class Answers:
    """Makes the answer to an error: problem details, or the body that the path's seed has for errors."""

    def __init__(self, own_bodies: Sequence[OwnBody] = ()) -> None:
        self._own_bodies = tuple(own_bodies)

    def response(self, problem: Problem, scope: Scope) -> Response:
        """Return the answer to this request."""
        path: str = scope["path"]
        for own in self._own_bodies:
            if own.covers(path):
                answer = own.render(problem)
                answer.headers.update(problem.headers)
                return answer
        return problem.response(path)


def problem_of(error: Exception, scope: Scope) -> Problem | None:
    """Return the problem for an error raised while this request was answered; None for a defect of ours."""
    match error:
        case RequestProblem():
            return error.problem
        case FoliologError():
            return of_ours(error)
        case RequestValidationError():
            return of_validation(error)
        case HTTPException():
            return of_http(error, scope)
        case _:
            return None


def of_ours(error: FoliologError) -> Problem | None:
    """Return the problem for an error of ours; None for a defect, which is an internal error."""
    branch = next((code for kind, code in _CODES if isinstance(error, kind)), None)
    if branch is None:
        return None
    code = error.code if error.code in CATALOGUE else branch
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, Unavailable) else {}
    if isinstance(error, KeyInFlight):
        headers = {"Retry-After": "1"}
    if isinstance(error, StaleVersion) and error.current:
        headers = {"ETag": f'"{error.current}"'}
    faults = error.faults if isinstance(error, Invalid) else ()
    return Problem(
        code=code,
        detail=str(error),
        headers=headers,
        errors=tuple(Misfit("pointer", fault.pointer, fault.detail) for fault in faults),
        members=_of_rebalance(error) if isinstance(error, CannotRebalance) else {},
    )


def _of_rebalance(error: CannotRebalance) -> Mapping[str, Any]:
    """Return what a portfolio that cannot be rebalanced tells besides, alone as in a run."""
    return members(error.securities, error.explanation if isinstance(error, Infeasible) else None)


def of_validation(error: RequestValidationError) -> Problem:
    """Return the 422 for what FastAPI itself has found wrong in parameters."""
    return unfit(*(_misfit(fault) for fault in error.errors()))


def _misfit(fault: Mapping[str, Any]) -> Misfit:
    place, *rest = fault["loc"]
    if place == "body":
        return Misfit("pointer", pointer(rest), fault["msg"])
    return Misfit(
        "header" if _PLACES.get(place) == "header" else "parameter", str(rest[0] if rest else ""), fault["msg"]
    )


def of_http(error: HTTPException, scope: Scope) -> Problem:
    """Return the problem for what the framework refuses: unknown paths and methods, bodies it will not take."""
    code = _HTTP_CODES.get(error.status_code)
    if code is None:
        code = "bad-request" if error.status_code < 500 else "internal-error"
    headers, detail = dict(error.headers or {}), str(error.detail)
    path, method = scope["path"], scope["method"]
    if code == "unknown-path":
        detail = f"nothing is at {path}"
    elif code == "method-not-allowed":
        headers["Allow"] = ", ".join(allowed(scope))
        detail = f"{path} does not take {method}, it takes {headers['Allow']}"
    return Problem(code=code, detail=detail, headers=headers)


def allowed(scope: Scope) -> list[str]:
    """Return all methods that the path of this request takes, over all routes (one route knows only its own).

    A path that is written out, as ``/rebalances/search``, is told for itself, not as an id in ``/rebalances/{id}``.
    """
    methods: set[str] = set()
    routes = scope["app"].routes
    for route in [each for each in routes if getattr(each, "path", None) == scope["path"]] or routes:
        match, _ = route.matches(dict(scope))
        if match is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return sorted(methods)


def internal(correlation_id: str) -> Problem:
    """Return the 500: what happened stays in the log, found there by the correlation id."""
    return Problem(
        code="internal-error",
        detail=f"the request failed; the log has the reason under correlation id {correlation_id}",
    )
