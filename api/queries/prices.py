"""Routes of the queries on prices (seed 004)."""

from __future__ import annotations

from typing import Annotated, Self

import msgspec
from fastapi import Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from api.documented import answered, problems
from api.problems import Misfit, RequestProblem, unfit
from api.queries.listing import ListingOf, told_as_parameters
from api.queries.reading import ReadingAt
from api.routing import Router
from api.shown import PRICE_LIST, PriceList
from domain.portfolio.rules import CASH, wrong_instrument_id
from read_side.prices import Prices, list_json

_JSON = "application/json"


class Wanted(msgspec.Struct, frozen=True):
    """Of which instrument the price is wanted; None for all."""

    instrument_id: str | None = None

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return what the request asks for; raises ``RequestProblem`` (422)."""
        if not request.scope["query_string"]:
            return cls()
        text = request.query_params.get("instrument_id")
        if text is not None and text != CASH and (wrong := wrong_instrument_id(text)):
            raise RequestProblem(unfit(Misfit("parameter", "instrument_id", wrong)))
        return cls(text)


async def _wanted(
    instrument_id: Annotated[
        str | None,
        Query(min_length=1, max_length=24, pattern=r"^[A-Za-z0-9_.:-]+$", description="Only the price of this one."),
    ] = None,
) -> None:
    """What FastAPI documents of ``Wanted``."""


def routes(prices: Prices) -> Router:
    """Return the router of these queries."""
    router = Router("prices")

    @router.get(
        "/api/v1/prices",
        summary="List prices",
        description="The latest price of each instrument, from uploads and trades; the last recorded first.",
        response_model=PriceList,
        responses={
            200: answered("One page", last_page=PRICE_LIST),
            **problems("invalid-request", "internal-error", "store-unavailable", "projection-behind"),
        },
    )
    async def list_prices(
        wanted: Annotated[Wanted, Depends(_wanted)], listing: ListingOf, reading: ReadingAt
    ) -> Response:
        with told_as_parameters():
            found = await prices.list_latest(
                limit=listing.limit,
                cursor=listing.cursor,
                at_least=reading.at_least,
                wait=reading.wait,
                instrument_id=wanted.instrument_id,
            )
        return Response(list_json(found.rows, found.next), media_type=_JSON)

    return router
