"""Routes that explain problems: the catalogue behind the ``type`` of every error."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from fastapi import Path
from starlette.responses import Response

from api.documented import answered, problems
from api.problems import CATALOGUE, Kind
from api.routing import Router
from domain.errors import NotFound

_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["type", "code", "status", "title", "description"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "code": {"type": "string"},
        "status": {"type": "integer"},
        "title": {"type": "string"},
        "description": {"type": "string"},
    },
}


def _explained(code: str, kind: Kind) -> dict[str, Any]:
    return {
        "type": f"/problems/{code}",
        "code": code,
        "status": kind.status,
        "title": kind.title,
        "description": kind.description,
    }


def routes() -> Router:
    """Return the router of the catalogue."""
    router = Router("problems")

    @router.get(
        "/problems/{code}",
        summary="Explain a problem",
        description="What a problem's `type` means and what to do about it.",
        responses={
            200: answered(
                "The kind of problem", schema=_SCHEMA, not_found=_explained("not-found", CATALOGUE["not-found"])
            ),
            **problems("not-found", "internal-error", not_found="there is no problem 'oops'"),
        },
    )
    async def get_problem(code: Annotated[str, Path(description="Code of the problem.")]) -> Response:
        kind = CATALOGUE.get(code)
        if kind is None:
            raise NotFound(f"there is no problem {code[:100]!a}")
        return Response(msgspec.json.encode(_explained(code, kind)), media_type="application/json")

    @router.get(
        "/problems",
        summary="All problems",
        description="The catalogue of everything that can be wrong.",
        responses={
            200: answered(
                "All kinds of problem",
                schema={
                    "type": "object",
                    "required": ["items"],
                    "properties": {"items": {"type": "array", "items": _SCHEMA}},
                },
            ),
            **problems("internal-error"),
        },
    )
    async def list_problems() -> Response:
        items = [_explained(code, kind) for code, kind in CATALOGUE.items()]
        return Response(msgspec.json.encode({"items": items, "next": None}), media_type="application/json")

    return router
