"""Routes of the queries on allocations by asset class and the transactions of their rebalances (seed 000)."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import msgspec
from fastapi import Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.documented import answered
from api.envelope import refusals
from api.problems import Misfit, RequestProblem, unfit
from api.queries.reading import ReadingAt
from api.routing import Router
from api.shown_allocations import ALLOCATION_FOUND, TRANSACTIONS_FOUND, AllocationFound, TransactionsFound
from read_side.asset_allocation import Allocations, allocation_json, transactions_json

_JSON = "application/json"
_PROBLEMS = (
    "not-found",
    "invalid-request",
    "internal-error",
    "store-unavailable",
    "projection-behind",
    "rebalance-pending",
)
_SETTLED = "Wait until nothing is pending of what was asked for up to `at_least` (without it: up to now)."


class Settled(msgspec.Struct, frozen=True):
    """Whether the answer waits for the rebalances that are pending."""

    settled: bool = False

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return what the request says; raises ``RequestProblem`` (422)."""
        if not request.scope["query_string"]:
            return cls()
        text = request.query_params.get("settled", "false")
        if text not in ("true", "false"):
            raise RequestProblem(unfit(Misfit("parameter", "settled", f"{text[:40]!a} is not true or false")))
        return cls(text == "true")


async def _settled(
    settled: Annotated[Literal["true", "false"] | None, Query(description=_SETTLED)] = None,
) -> None:
    """What FastAPI documents of ``Settled``."""


class Whose(msgspec.Struct, frozen=True):
    """Whose transactions are asked for."""

    user_id: str

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return what the request says; raises ``RequestProblem`` where it names nobody."""
        user_id = request.query_params.get("user_id")
        if not user_id:
            raise RequestProblem(unfit(Misfit("pointer", "/user_id", "userId is required")))
        return cls(user_id)


async def _whose(
    user_id: Annotated[
        str, Query(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.:-]+$", description="Id of the user.")
    ],
) -> None:
    """What FastAPI documents of ``Whose``."""


def routes(allocations: Allocations) -> Router:
    """Return the router of these queries."""
    router = Router("asset allocation")

    @router.get(
        "/portfolio/{user_id}",
        summary="Allocation of a user",
        description="The target allocation as it counts now, and how many rebalances are pending.",
        response_model=AllocationFound,
        responses={200: answered("The allocation", "ETag", with_one_pending=ALLOCATION_FOUND), **refusals(*_PROBLEMS)},
    )
    async def get_allocation(
        user_id: Annotated[str, Path(description="Id of the user, which is the id of the portfolio.")],
        wanted: Annotated[Settled, Depends(_settled)],
        reading: ReadingAt,
    ) -> Response:
        row, version = await allocations.of_user(
            user_id, settled=wanted.settled, at_least=reading.at_least, wait=reading.wait
        )
        headers = {} if version is None else {"ETag": f'"{version}"'}
        return Response(allocation_json(row), headers=headers, media_type=_JSON)

    @router.get(
        "/transactions",
        summary="Transactions of a user's rebalances",
        description="What rebalances buy and sell by asset class, all of it, in the order in which it was booked.",
        response_model=TransactionsFound,
        responses={
            200: answered("The transactions", of_one_rebalance=TRANSACTIONS_FOUND),
            **refusals(*_PROBLEMS, without_user="userId is required"),
        },
    )
    async def list_rebalance_transactions(
        whose: Annotated[Whose, Depends(_whose)],
        wanted: Annotated[Settled, Depends(_settled)],
        reading: ReadingAt,
    ) -> Response:
        rows = await allocations.transactions_of(
            whose.user_id, settled=wanted.settled, at_least=reading.at_least, wait=reading.wait
        )
        return Response(transactions_json(rows), media_type=_JSON)

    return router
