"""Routes of the queries on how portfolios stand and have done (seeds 003 and 004)."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Self

import msgspec
from fastapi import Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from api.documented import answered, problems
from api.problems import Misfit, RequestProblem, unfit
from api.queries.reading import ReadingAt
from api.routing import PortfolioId, Router
from api.shown_analytics import ANALYTICS, PERFORMANCE, Performance, PortfolioAnalytics
from read_side.analytics import Analytics

_JSON = "application/json"
_PROBLEMS = ("invalid-request", "internal-error", "store-unavailable", "projection-behind", "not-found")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")


class Span(msgspec.Struct, frozen=True):
    """The days that are wanted of a series, both ends included; None: no limit."""

    first: date | None = None
    last: date | None = None

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return what the request asks for; raises ``RequestProblem`` (422)."""
        if not request.scope["query_string"]:
            return cls()
        faults: list[Misfit] = []
        first, last = _day(request, "from", faults), _day(request, "to", faults)
        if first is not None and last is not None and first > last:
            faults.append(Misfit("parameter", "from", f"{first} is after `to`, {last}"))
            faults.append(Misfit("parameter", "to", f"{last} is before `from`, {first}"))
        if faults:
            raise RequestProblem(unfit(*faults))
        return cls(first, last)


def _day(request: Request, name: str, faults: list[Misfit]) -> date | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        if not _DATE.match(text):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        faults.append(Misfit("parameter", name, f"{text[:40]!a} is not a day, for example 2025-06-21"))
        return None


async def _span(
    first: Annotated[date | None, Query(alias="from", description="First day of the series (UTC).")] = None,
    last: Annotated[date | None, Query(alias="to", description="Last day of the series (UTC).")] = None,
) -> None:
    """What FastAPI documents of ``Span``."""


def routes(analytics: Analytics) -> Router:
    """Return the router of these queries."""
    router = Router("portfolios")

    @router.get(
        "/api/v1/portfolio/{portfolio_id}/analytics",
        summary="Analytics of a portfolio",
        description="Exposures, concentration, profit, time-weighted returns and risk figures.",
        response_model=PortfolioAnalytics,
        responses={
            200: answered("The analytics", "ETag", of_two_days=ANALYTICS),
            **problems(*_PROBLEMS, not_found="portfolio ACC-1 does not exist"),
        },
    )
    async def get_portfolio_analytics(portfolio_id: PortfolioId, reading: ReadingAt) -> Response:
        found = await analytics.analytics(portfolio_id, at_least=reading.at_least, wait=reading.wait)
        return Response(found.body, headers={"ETag": f'"{found.version}"'}, media_type=_JSON)

    @router.get(
        "/api/v1/portfolio/{portfolio_id}/performance",
        summary="Performance of a portfolio",
        description="Time-weighted returns, and the daily series on the portfolio's own clock.",
        response_model=Performance,
        responses={
            200: answered("The performance", "ETag", of_two_days=PERFORMANCE),
            **problems(*_PROBLEMS, not_found="portfolio ACC-1 does not exist"),
        },
    )
    async def get_portfolio_performance(
        portfolio_id: PortfolioId, span: Annotated[Span, Depends(_span)], reading: ReadingAt
    ) -> Response:
        found = await analytics.performance(
            portfolio_id, span.first, span.last, at_least=reading.at_least, wait=reading.wait
        )
        return Response(found.body, headers={"ETag": f'"{found.version}"'}, media_type=_JSON)

    return router
