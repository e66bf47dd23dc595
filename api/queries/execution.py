"""Routes of the queries on executions, recorded and failed ones (seed 001)."""

from __future__ import annotations

from typing import Annotated, Final, Self

import msgspec
from fastapi import Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from api.documented import answered
from api.queries.listing import ListingOf, told_as_parameters
from api.queries.reading import ReadingAt
from api.routing import Router
from api.seed_001 import refusals, refuse
from api.shown_executions import (
    EXECUTION,
    EXECUTION_LIST,
    FAILED_LIST,
    ID_UNREADABLE,
    REJECTED,
    ExecutionId,
    ExecutionListShown,
    ExecutionShown,
    FailedListShown,
    id_of,
    integer,
    unknown,
)
from read_side.execution import Executions, execution_json, failed_json

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 1000
MAX_OFFSET: Final = 10**15

_JSON = "application/json"
_PROBLEMS = ("invalid-request", "internal-error", "store-unavailable", "projection-behind")
_LIMIT_UNREADABLE, _LIMIT_BOUNDS = "invalid limit parameter", f"limit must be between 1 and {MAX_LIMIT}"
_OFFSET_UNREADABLE, _OFFSET_BOUNDS = "invalid offset parameter", "offset must be non-negative"


class Part(msgspec.Struct, frozen=True):
    """Which part of the executions is asked for."""

    offset: int = 0
    limit: int = DEFAULT_LIMIT

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return what the request asks for; raises ``RequestProblem`` (400) for the first thing wrong with it."""
        if not request.scope["query_string"]:
            return cls()
        params = request.query_params
        limit = integer(params.get("limit", str(DEFAULT_LIMIT)), _LIMIT_UNREADABLE)
        if not 1 <= limit <= MAX_LIMIT:
            refuse(_LIMIT_BOUNDS)
        offset = integer(params.get("offset", "0"), _OFFSET_UNREADABLE)
        if offset < 0:
            refuse(_OFFSET_BOUNDS)
        if offset > MAX_OFFSET:
            refuse(_OFFSET_UNREADABLE, f"offset must be at most {MAX_OFFSET}")
        return cls(offset, limit)


async def _part(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="So many executions at most.")] = DEFAULT_LIMIT,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET, description="So many executions are passed over.")] = 0,
) -> None:
    """What FastAPI documents of ``Part``."""


def routes(executions: Executions) -> Router:
    """Return the router of these queries."""
    router = Router("executions")

    @router.get(
        "/api/v1/executions",
        summary="Executions",
        description="A part of the recorded executions, the last recorded first, and how many there are in all.",
        response_model=ExecutionListShown,
        responses={
            200: answered("The part", whole=EXECUTION_LIST),
            **refusals(
                *_PROBLEMS,
                limit_unreadable=_LIMIT_UNREADABLE,
                limit_out_of_bounds=_LIMIT_BOUNDS,
                offset_unreadable=_OFFSET_UNREADABLE,
                offset_out_of_bounds=_OFFSET_BOUNDS,
            ),
        },
    )
    async def list_executions(part: Annotated[Part, Depends(_part)], reading: ReadingAt) -> Response:
        found = await executions.newest(
            offset=part.offset, limit=part.limit, at_least=reading.at_least, wait=reading.wait
        )
        return Response(await found.json(offset=part.offset, limit=part.limit), media_type=_JSON)

    @router.get(
        "/api/v1/executions/failed",
        summary="Failed executions",
        description="Executions that are not recorded, because their portfolio could not be found out yet; the last "
        "tried first. `POST /api/v1/executions/retry` tries them again.",
        response_model=FailedListShown,
        responses={200: answered("One page", last_page=FAILED_LIST), **refusals(*_PROBLEMS)},
    )
    async def list_failed_executions(listing: ListingOf, reading: ReadingAt) -> Response:
        with told_as_parameters():
            rows, cursor = await executions.failed_page(
                limit=listing.limit, cursor=listing.cursor, at_least=reading.at_least, wait=reading.wait
            )
        return Response(failed_json(rows, cursor), media_type=_JSON)

    @router.get(
        "/api/v1/executions/{execution_id}",
        summary="An execution",
        description="A recorded execution, whether accounting has it, and whether its portfolio has it.",
        response_model=ExecutionShown,
        responses={
            200: answered("The execution", "ETag", sent=EXECUTION, rejected=REJECTED),
            **refusals(*_PROBLEMS, id_unreadable=ID_UNREADABLE),
            **unknown("execution not found"),
        },
    )
    async def get_execution(execution_id: ExecutionId, reading: ReadingAt) -> Response:
        row, sending = await executions.by_id(id_of(execution_id), at_least=reading.at_least, wait=reading.wait)
        body = execution_json(row, sending.status, sending.reason)
        return Response(body, headers={"ETag": f'"{row.version}"'}, media_type=_JSON)

    return router
