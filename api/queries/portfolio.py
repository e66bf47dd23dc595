"""Routes of the queries on portfolios (seed 004)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Self

import msgspec
from fastapi import Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from api.documented import answered, problems
from api.problems import Misfit, RequestProblem, unfit
from api.queries.listing import MAX_TEXT, ListingOf, instant, one_of, told_as_parameters, words
from api.queries.reading import ReadingAt
from api.routing import PortfolioId, Router
from api.shown import (
    PORTFOLIO_STATE,
    POSITIONS,
    WEIGHTS,
    Figure,
    PortfolioList,
    PortfolioState,
    Position,
)
from domain.portfolio import Status
from read_side.past import PastStates
from read_side.portfolio import Portfolios
from read_side.rendered import Rendered
from read_side.rendering import list_json
from read_side.states import States

_JSON = "application/json"
_VERSION = re.compile(r"[1-9][0-9]{0,17}\Z")

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


class Moment(msgspec.Struct, frozen=True):
    """As of when a state is wanted: of a version, or of a time by the log's clock; now where neither is given."""

    version: int | None = None
    at: datetime | None = None

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return what the request asks for; raises ``RequestProblem`` (422)."""
        if not request.scope["query_string"]:
            return cls()
        faults: list[Misfit] = []
        text, at = request.query_params.get("version"), instant(request, "at", faults)
        if text is not None and not _VERSION.match(text):
            faults.append(Misfit("parameter", "version", f"{text[:40]!a} is not a version: give 1 or more"))
        if text is not None and request.query_params.get("at") is not None:
            faults.append(Misfit("parameter", "at", "cannot be given together with version: a state is as of one"))
        if faults:
            raise RequestProblem(unfit(*faults))
        return cls(None if text is None else int(text), at)


async def _moment(
    version: Annotated[int | None, Query(ge=1, le=10**17, description="The state right after this version.")] = None,
    at: Annotated[
        datetime | None,
        Query(description="The state after everything recorded up to this time (RFC 3339; write + as %2B)."),
    ] = None,
) -> None:
    """What FastAPI documents of ``Moment``."""


def routes(portfolios: Portfolios, states: States, past: PastStates) -> Router:
    """Return the router of these queries."""
    router = Router("portfolios")
    unknown = problems(*_QUERY_PROBLEMS, "not-found", not_found="portfolio ACC-1 does not exist")

    @router.get(
        "/api/v1/portfolio/{portfolio_id}/state",
        summary="State of a portfolio",
        description=(
            "The portfolio valued at the latest prices, as new as `at_least` says; or as it was at a version or a "
            "time, with the prices known then."
        ),
        response_model=PortfolioState,
        responses={200: answered("The portfolio", "ETag", with_a_position=PORTFOLIO_STATE), **unknown},
    )
    async def get_portfolio_state(
        portfolio_id: PortfolioId, moment: Annotated[Moment, Depends(_moment)], reading: ReadingAt
    ) -> Response:
        if moment.version is not None:
            state = await past.at_version(portfolio_id, moment.version, at_least=reading.at_least, wait=reading.wait)
        elif moment.at is not None:
            state = await past.at_time(portfolio_id, moment.at, at_least=reading.at_least, wait=reading.wait)
        else:
            state = await states.state(portfolio_id, at_least=reading.at_least, wait=reading.wait)
        return _shown(state)

    @router.get(
        "/api/v1/portfolio/{portfolio_id}/positions",
        summary="Positions of a portfolio",
        description="By instrument, valued at the latest prices; cash the last.",
        response_model=list[Position],
        responses={200: answered("The positions", "ETag", one_and_cash=POSITIONS), **unknown},
    )
    async def get_portfolio_positions(portfolio_id: PortfolioId, reading: ReadingAt) -> Response:
        return _shown(await states.positions(portfolio_id, at_least=reading.at_least, wait=reading.wait))

    @router.get(
        "/api/v1/portfolio/{portfolio_id}/weights",
        summary="Weights of a portfolio",
        description="Market value over total value by instrument, cash among them; 0 when the total is 0.",
        response_model=dict[str, Figure],
        responses={200: answered("The weights", "ETag", one_and_cash=WEIGHTS), **unknown},
    )
    async def get_portfolio_weights(portfolio_id: PortfolioId, reading: ReadingAt) -> Response:
        return _shown(await states.weights(portfolio_id, at_least=reading.at_least, wait=reading.wait))

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
        with told_as_parameters():
            found = await portfolios.search(
                wanted.search,
                wanted.status,
                limit=listing.limit,
                cursor=listing.cursor,
                at_least=reading.at_least,
                wait=reading.wait,
            )
        return Response(list_json(found.rows, found.next), media_type=_JSON)

    return router


def _shown(rendered: Rendered) -> Response:
    return Response(rendered.body, headers={"ETag": f'"{rendered.version}"'}, media_type=_JSON)
