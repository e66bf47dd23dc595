"""Seed 001's own body for errors: ``{"message", "status", "timestamp", "details"}``, on its paths and documented."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, NoReturn

import msgspec
from starlette.responses import Response

from api.documented import Responses, examples, headers
from api.errors import OwnBody
from api.problems import CATALOGUE, Problem, RequestProblem
from read_side.wire import moment

UNREADABLE: Final = "invalid request body"
IN_PROGRESS: Final = "batch process already in progress"
_PATHS: Final = ("/api/v1/executions", "/api/v1/batches")
_MESSAGES: Final = {"not-json": UNREADABLE, "batch-in-progress": IN_PROGRESS}
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "title": "ErrorResponse",
    "required": ["message", "status", "timestamp", "details"],
    "properties": {
        "message": {"type": "string"},
        "status": {"type": "integer"},
        "timestamp": {"type": "string", "format": "date-time"},
        "details": {"type": "object", "description": "`code` names the kind of problem; `detail` says more."},
    },
}


def of_seed_001(clock: Callable[[], datetime]) -> OwnBody:
    """Return the paths of executions and batches, and what renders errors for them."""

    def render(problem: Problem) -> Response:
        of_key = bool(problem.errors) and all(fault.name == "Idempotency-Key" for fault in problem.errors)
        status = problem.status if of_key else status_of(problem.code)
        body = {
            "message": _MESSAGES.get(problem.code, problem.detail),
            "status": status,
            "timestamp": moment(clock()),
            "details": _details(problem),
        }
        return Response(msgspec.json.encode(body), status, dict(problem.headers), "application/json")

    return OwnBody(_PATHS, render)


def status_of(code: str) -> int:
    """Return the status of a problem on these paths: what does not fit is a 400 there (contract, common rules)."""
    return 400 if code == "invalid-request" else CATALOGUE[code].status


def refuse(message: str, detail: str | None = None) -> NoReturn:
    """Raise the 400 with this message, which the contract words; ``detail`` says what was seen."""
    members = {} if detail is None else {"detail": detail}
    raise RequestProblem(Problem(code="bad-request", detail=message, members=members))


def _details(problem: Problem) -> dict[str, Any]:
    details: dict[str, Any] = {"code": problem.code}
    if problem.code in _MESSAGES:
        details["detail"] = problem.detail
    if problem.errors:
        details["errors"] = [{fault.place: fault.name, "detail": fault.detail} for fault in problem.errors]
    return details | dict(problem.members)


def refusals(*codes: str, **messages: str) -> Responses:
    """Return the OpenAPI responses for these problems, and 400 ones for these messages, each under a name."""
    told: dict[int, dict[str, tuple[str, str]]] = {}
    for name, message in messages.items():
        told.setdefault(400, {})[name] = ("bad-request", message)
    for code in codes:
        message = _MESSAGES.get(code, CATALOGUE[code].description)
        told.setdefault(status_of(code), {})[code.replace("-", "_")] = (code, message)
    found: Responses = {}
    for status, named in told.items():
        values = {
            name: {
                "message": message,
                "status": status,
                "timestamp": "2025-06-18T14:30:00Z",
                "details": {"code": code},
            }
            for name, (code, message) in named.items()
        }
        content = {"schema": _SCHEMA, "examples": examples(**values)}
        found[status] = {"description": "Refused", "content": {"application/json": content}}
        if status == 503:
            found[status]["headers"] = headers("Retry-After")
    return found
