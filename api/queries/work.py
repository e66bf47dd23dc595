"""Routes of the queries on work that follows the log (contract "000": parked where an operator sees it)."""

from __future__ import annotations

from starlette.responses import Response

from api.documented import answered, problems
from api.queries.listing import ListingOf, told_as_parameters
from api.queries.reading import ReadingAt
from api.routing import Router
from api.shown_work import PARKED, ParkedEventList
from read_side.work import ParkedWork, list_json


def routes(work: ParkedWork) -> Router:
    """Return the router of these queries."""
    router = Router("work")

    @router.get(
        "/api/v1/work/parked",
        summary="List parked work",
        description=(
            "Events that a policy could not work on, the latest of the log first. With `at_least` everything up to "
            "that position is done or parked before it is answered."
        ),
        response_model=ParkedEventList,
        responses={
            200: answered("One page", last_page={"items": [PARKED], "next": None}),
            **problems("invalid-request", "internal-error", "store-unavailable", "projection-behind"),
        },
    )
    async def list_parked_work(listing: ListingOf, reading: ReadingAt) -> Response:
        with told_as_parameters():
            page = await work.listed(
                limit=listing.limit, cursor=listing.cursor, at_least=reading.at_least, wait=reading.wait
            )
        return Response(list_json(page.rows, page.next), media_type="application/json")

    return router
