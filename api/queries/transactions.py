"""Routes of the queries on transactions (seed 004)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

import msgspec
from fastapi import Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from api.documented import answered, problems
from api.problems import Misfit, RequestProblem, unfit
from api.queries.listing import ListingOf, instant, one_of, told_as_parameters
from api.queries.reading import ReadingAt
from api.routing import PortfolioId, Router
from api.shown import TRANSACTION_LIST, TransactionList
from domain.portfolio import CASH, TransactionType
from domain.portfolio.rules import wrong_instrument_id
from read_side.transactions import Transactions, list_json
from read_side.wire import moment

_JSON = "application/json"


class Wanted(msgspec.Struct, frozen=True):
    """Which transactions are listed; ``earliest`` and ``latest`` are included."""

    instrument_id: str | None = None
    transaction_type: TransactionType | None = None
    earliest: datetime | None = None
    latest: datetime | None = None

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return what the request asks for; raises ``RequestProblem`` (422)."""
        if not request.scope["query_string"]:
            return cls()
        faults: list[Misfit] = []
        instrument_id = request.query_params.get("instrument_id")
        if instrument_id not in (None, CASH) and (wrong := wrong_instrument_id(instrument_id)):
            faults.append(Misfit("parameter", "instrument_id", wrong))
        kind = one_of(request, "type", TransactionType, faults)
        earliest, latest = instant(request, "from", faults), instant(request, "to", faults)
        if earliest is not None and latest is not None and earliest > latest:
            faults.append(Misfit("parameter", "from", f"{moment(earliest)} is after `to`, {moment(latest)}"))
            faults.append(Misfit("parameter", "to", f"{moment(latest)} is before `from`, {moment(earliest)}"))
        if faults:
            raise RequestProblem(unfit(*faults))
        return cls(instrument_id, kind, earliest, latest)


async def _wanted(
    instrument_id: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=24,
            pattern=r"^[A-Za-z0-9_.:-]+$",
            description=f"Only those of this instrument; `{CASH}` for deposits, withdrawals and fees.",
        ),
    ] = None,
    transaction_type: Annotated[
        TransactionType | None, Query(alias="type", description="Only those of this type.")
    ] = None,
    earliest: Annotated[
        datetime | None,
        Query(alias="from", description="Only those with this `transaction_date` or a later one; write + as %2B."),
    ] = None,
    latest: Annotated[
        datetime | None,
        Query(alias="to", description="Only those with this `transaction_date` or an earlier one; write + as %2B."),
    ] = None,
) -> None:
    """What FastAPI documents of ``Wanted``."""


def routes(transactions: Transactions) -> Router:
    """Return the router of these queries."""
    router = Router("portfolios")

    @router.get(
        "/api/v1/portfolio/{portfolio_id}/transactions",
        summary="Transactions of a portfolio",
        description="Trades, movements of cash and shares, dividends and fees, the opening cash as a `DEP`; the last "
        "recorded first.",
        response_model=TransactionList,
        responses={
            200: answered("One page", last_page=TRANSACTION_LIST),
            **problems(
                "invalid-request",
                "internal-error",
                "store-unavailable",
                "projection-behind",
                "not-found",
                not_found="portfolio ACC-1 does not exist",
            ),
        },
    )
    async def list_transactions(
        portfolio_id: PortfolioId,
        wanted: Annotated[Wanted, Depends(_wanted)],
        listing: ListingOf,
        reading: ReadingAt,
    ) -> Response:
        with told_as_parameters():
            found = await transactions.of_portfolio(
                portfolio_id,
                instrument_id=wanted.instrument_id,
                transaction_type=wanted.transaction_type,
                earliest=wanted.earliest,
                latest=wanted.latest,
                limit=listing.limit,
                cursor=listing.cursor,
                at_least=reading.at_least,
                wait=reading.wait,
            )
        return Response(list_json(found.rows, found.next), media_type=_JSON)

    return router
