"""Routes of the queries on securities (contract "002": names for people)."""

from __future__ import annotations

from typing import Annotated, Self

import msgspec
from fastapi import Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.documented import answered, problems
from api.problems import Misfit, RequestProblem, unfit
from api.queries.listing import MAX_TEXT, ListingOf, told_as_parameters, words
from api.queries.reading import ReadingAt
from api.routing import Router
from api.shown import SECURITY, SecurityList, SecurityShown
from read_side.securities import Securities, list_json, security_json

_JSON = "application/json"
_QUERY_PROBLEMS = ("invalid-request", "internal-error", "store-unavailable", "projection-behind")


class Wanted(msgspec.Struct, frozen=True):
    """Which securities are listed."""

    search: str | None = None

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return what the request asks for; raises ``RequestProblem`` (422)."""
        if not request.scope["query_string"]:
            return cls()
        faults: list[Misfit] = []
        search = words(request, "search", faults)
        if faults:
            raise RequestProblem(unfit(*faults))
        return cls(search)


async def _wanted(
    search: Annotated[
        str | None, Query(max_length=MAX_TEXT, description="Contained in id, ticker or name, whatever the case.")
    ] = None,
) -> None:
    """What FastAPI documents of ``Wanted``."""


def routes(securities: Securities) -> Router:
    """Return the router of these queries."""
    router = Router("securities")

    @router.get(
        "/api/v1/securities/{security_id}",
        summary="Names of a security",
        description="What people call it, as new as `at_least` says.",
        response_model=SecurityShown,
        responses={
            200: answered("The security", "ETag", named=SECURITY),
            **problems(*_QUERY_PROBLEMS, "not-found", not_found="security 'AAPL' has no name"),
        },
    )
    async def get_security(
        security_id: Annotated[str, Path(description="Id of the security.")], reading: ReadingAt
    ) -> Response:
        row = await securities.by_id(security_id, at_least=reading.at_least, wait=reading.wait)
        return Response(security_json(row), headers={"ETag": f'"{row.version}"'}, media_type=_JSON)

    @router.get(
        "/api/v1/securities",
        summary="List securities",
        description="Those that have a name, the last that got its first one first.",
        response_model=SecurityList,
        responses={
            200: answered("One page", last_page={"items": [SECURITY], "next": None}),
            **problems(*_QUERY_PROBLEMS),
        },
    )
    async def list_securities(
        wanted: Annotated[Wanted, Depends(_wanted)], listing: ListingOf, reading: ReadingAt
    ) -> Response:
        with told_as_parameters():
            found = await securities.search(
                wanted.search,
                limit=listing.limit,
                cursor=listing.cursor,
                at_least=reading.at_least,
                wait=reading.wait,
            )
        return Response(list_json(found.rows, found.next), media_type=_JSON)

    return router
