"""Routes of the queries on accounting batches (contract "001")."""

from __future__ import annotations

from starlette.responses import Response

from api.documented import answered
from api.queries.listing import ListingOf, told_as_parameters
from api.queries.reading import ReadingAt
from api.routing import Router
from api.seed_001 import refusals
from api.shown_batches import (
    BATCH,
    BATCH_LIST,
    CANCELLED,
    FAILED,
    ID_UNREADABLE,
    BatchId,
    BatchListShown,
    BatchShown,
    number_of,
)
from api.shown_executions import unknown
from read_side.batch import Batches, batch_json, list_json

_JSON = "application/json"
_PROBLEMS = ("invalid-request", "internal-error", "store-unavailable", "projection-behind")


def routes(batches: Batches) -> Router:
    """Return the router of these queries."""
    router = Router("batches")

    @router.get(
        "/api/v1/batches",
        summary="Batches",
        description=(
            "All accounting batches, the last started first. Of `cliOutput` each has the last 500 characters here; a "
            "batch by its id has it whole."
        ),
        response_model=BatchListShown,
        responses={200: answered("One page", last_page=BATCH_LIST), **refusals(*_PROBLEMS)},
    )
    async def list_batches(listing: ListingOf, reading: ReadingAt) -> Response:
        with told_as_parameters():
            rows, cursor = await batches.newest(
                limit=listing.limit, cursor=listing.cursor, at_least=reading.at_least, wait=reading.wait
            )
        return Response(await list_json(rows, cursor), media_type=_JSON)

    @router.get(
        "/api/v1/batches/{batch_id}",
        summary="A batch",
        description="An accounting batch: what it holds, and what has become of it.",
        response_model=BatchShown,
        responses={
            200: answered("The batch", "ETag", sent=BATCH, failed=FAILED, cancelled=CANCELLED),
            **refusals(*_PROBLEMS, id_unreadable=ID_UNREADABLE),
            **unknown("batch not found"),
        },
    )
    async def get_batch(batch_id: BatchId, reading: ReadingAt) -> Response:
        row = await batches.by_id(number_of(batch_id), at_least=reading.at_least, wait=reading.wait)
        return Response(batch_json(row), headers={"ETag": f'"{row.version}"'}, media_type=_JSON)

    return router
