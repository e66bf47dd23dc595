"""Seed 000's own body for errors: ``{"success": false, "message": ...}``, on its paths and in the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.responses import Response

from api.documented import Responses, examples, headers
from api.errors import OwnBody
from api.problems import CATALOGUE, Problem

UNREADABLE: Final = "Invalid request body"
_MESSAGES: Final = {
    "not-json": UNREADABLE,
    "not-found": "User not found",
    "method-not-allowed": "Method not allowed",
}
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Refusal",
    "required": ["success", "message"],
    "properties": {"success": {"const": False}, "message": {"type": "string"}},
}


def render(problem: Problem) -> Response:
    """Return the problem as the seed answers it.

    What is wrong with the body or does not fit the user's state is a 400 there, told by its first fault alone; a 503
    says its problem's code (contract "000").
    """
    of_body = [fault for fault in problem.errors if fault.place == "pointer"]
    status = 400 if of_body or problem.code == "rule-violated" else problem.status
    message = of_body[0].detail if of_body else _MESSAGES.get(problem.code, problem.detail)
    if status == 503:
        message = problem.code
    return Response(msgspec.json.encode({"success": False, "message": message}), status, media_type="application/json")


OF_SEED_000: Final = OwnBody(("/portfolio", "/rebalance", "/transactions"), render)
"""Its paths; what it renders for them."""


def refusals(*codes: str, **messages: str) -> Responses:
    """Return the OpenAPI responses for these problems, and 400 ones for these messages, each under a name."""
    told: dict[int, dict[str, str]] = {}
    for name, message in messages.items():
        told.setdefault(400, {})[name] = message
    for code in codes:
        kind = CATALOGUE[code]
        message = code if kind.status == 503 else _MESSAGES.get(code, kind.description)
        told.setdefault(400 if code == "rule-violated" else kind.status, {})[code.replace("-", "_")] = message
    found: Responses = {}
    for status, named in told.items():
        values = {name: {"success": False, "message": message} for name, message in named.items()}
        content = {"schema": _SCHEMA, "examples": examples(**values)}
        found[status] = {"description": "Refused", "content": {"application/json": content}}
        if status == 503:
            found[status]["headers"] = headers("Retry-After")
    return found
