"""Routes of the queries on portfolios (seed 004)."""

from __future__ import annotations

from typing import Annotated, Self

import msgspec
from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.documented import answered, problems
from api.problems import Misfit, RequestProblem, unfit
from api.queries.listing import MAX_TEXT, ListingOf, one_of, words
from api.queries.reading import ReadingAt
from api.routing import Route
from api.shown import PORTFOLIO_STATE, PortfolioList, PortfolioState
from domain.errors import Invalid, NotFound
from domain.portfolio import Status, wrong_id
from read_side.portfolio import Portfolios, list_json

_JSON = "application/json"
_QUERY_PROBLEMS = ("invalid-request", "internal-error", "store-unavailable", "projection-behind")


class Wanted(msgspec.Struct, frozen=True):
    """Which portfolios are listed."""

    search: str | None = None
    status: Status | None = None

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return what the request asks for; raises ``RequestProblem`` (422)."""
        if not request.scope["query_string"]:
            return cls()
        faults: list[Misfit] = []
        search, status = words(request, "search", faults), one_of(request, "status", Status, faults)
        if faults:
            raise RequestProblem(unfit(*faults))
        return cls(search, status)


async def _wanted(
    search: Annotated[
        str | None, Query(max_length=MAX_TEXT, description="Contained in id or name, whatever the case.")
    ] = None,
    status: Annotated[Status | None, Query(description="Only those in this status.")] = None,
) -> None:
    """What FastAPI documents of ``Wanted``."""


def routes(portfolios: Portfolios) -> APIRouter:
    """Return the router of these queries."""
    router = APIRouter(route_class=Route, tags=["portfolios"])

    @router.get(
        "/api/v1/portfolio/{portfolio_id}/state",
        summary="State of a portfolio",
        description="The portfolio with its figures, as new as `at_least` says.",
        response_model=PortfolioState,
        responses={
            200: answered("The portfolio", "ETag", with_cash=PORTFOLIO_STATE),
            **problems(*_QUERY_PROBLEMS, "not-found", not_found="portfolio ACC-1 does not exist"),
        },
    )
    async def get_portfolio_state(
        portfolio_id: Annotated[str, Path(description="Id of the portfolio.")], reading: ReadingAt
    ) -> Response:
        if wrong_id(portfolio_id):
            raise NotFound(f"portfolio {portfolio_id[:100]!a} does not exist")
        state = await portfolios.state(portfolio_id, at_least=reading.at_least, wait=reading.wait)
        return Response(state.body, headers={"ETag": f'"{state.version}"'}, media_type=_JSON)

    @router.get(
        "/api/v1/portfolios",
        summary="List portfolios",
        description="The last opened first.",
        response_model=PortfolioList,
        responses={
            200: answered(
                "One page",
                last_page={
                    "items": [{"portfolio_id": "ACC-1", "portfolio_name": "Growth", "status": "ACTIVE"}],
                    "next": None,
                },
            ),
            **problems(*_QUERY_PROBLEMS),
        },
    )
    async def list_portfolios(
        wanted: Annotated[Wanted, Depends(_wanted)], listing: ListingOf, reading: ReadingAt
    ) -> Response:
        try:
            found = await portfolios.search(
                wanted.search,
                wanted.status,
                limit=listing.limit,
                cursor=listing.cursor,
                at_least=reading.at_least,
                wait=reading.wait,
            )
        except Invalid as error:
            faults = (Misfit("parameter", fault.pointer.strip("/"), fault.detail) for fault in error.faults)
            raise RequestProblem(unfit(*faults)) from None
        return Response(list_json(found.rows, found.next), media_type=_JSON)

    return router
