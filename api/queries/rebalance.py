"""Routes of the queries on rebalances, and on runs that are done after their request was answered (seed 002)."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Annotated, Any, Final, Self

import msgspec
from fastapi import Depends, Path, Query
from pydantic import ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from api.bodies import Body
from api.documented import answered, examples, problems
from api.problems import Misfit, RequestProblem, unfit
from api.queries.reading import ReadingAt
from api.rebalance_problems import error_json
from api.routing import Router
from api.shown_rebalances import (
    OPERATION,
    REBALANCE,
    REBALANCE_WITH_ORDERS,
    VERIFICATION,
    OperationShown,
    RebalanceShown,
    RebalanceWithOrdersShown,
    VerificationShown,
)
from domain.rebalance import Failure
from read_side.order import Orders
from read_side.order_rendering import summary_json
from read_side.rebalance import Rebalanced, Rebalances, RunRow
from read_side.rebalance_rendering import rebalance_json
from read_side.rebalance_verification import Verification
from read_side.slices import Slices
from read_side.wire import encode, moment

DEFAULT_LIMIT: Final = 10
MAX_LIMIT: Final = 100
MAX_OFFSET: Final = 10**15
MAX_SEARCHED: Final = 10_000

_JSON = "application/json"
_QUERY_PROBLEMS = ("invalid-request", "internal-error", "store-unavailable", "projection-behind")
_BODY_PROBLEMS = ("not-json", "body-too-large", "unsupported-media-type")
_NUMBER = re.compile(r"[0-9]{1,16}\Z")
_TOTAL = {"X-Total-Count": {"description": "How many there are in all.", "schema": {"type": "integer", "minimum": 0}}}

RebalanceId = Annotated[str, Path(description="Id of the rebalance.")]


class Part(msgspec.Struct, frozen=True):
    """Which part of the list is asked for."""

    offset: int = 0
    limit: int = DEFAULT_LIMIT

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return what the request asks for; raises ``RequestProblem`` (422) naming every fault."""
        if not request.scope["query_string"]:
            return cls()
        faults: list[Misfit] = []
        offset = _number(request, "offset", 0, 0, MAX_OFFSET, faults)
        limit = _number(request, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT, faults)
        if faults:
            raise RequestProblem(unfit(*faults))
        return cls(offset, limit)


def _number(request: Request, name: str, default: int, least: int, most: int, faults: list[Misfit]) -> int:
    text = request.query_params.get(name, str(default))
    number = int(text) if _NUMBER.match(text) else -1
    if not least <= number <= most:
        faults.append(Misfit("parameter", name, f"{text[:40]!a} is not a number from {least} to {most}"))
    return number


async def _part(
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET, description="So many rebalances are passed over.")] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="So many rebalances at most.")] = DEFAULT_LIMIT,
) -> None:
    """What FastAPI documents of ``Part``."""


class PortfoliosSearched(Body):
    """Whose rebalances are looked for; members that are not known here are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    portfolios: Annotated[list[str], Field(max_length=MAX_SEARCHED)]
    """Ids of portfolios; one that has no rebalance, or does not exist, adds nothing."""


def routes(rebalances: Rebalances, verification: Verification, orders: Orders) -> Router:
    """Return the router of these queries."""
    router = Router("rebalances")
    unknown = problems(*_QUERY_PROBLEMS, "not-found", not_found="rebalance '0c4ad8a3f5b35e0d9f3b7a11' does not exist")

    @router.get(
        "/api/v1/rebalances/{rebalance_id}",
        summary="A rebalance",
        description=(
            "A recorded rebalance with its certificate, and how far its orders are filled, as new as `at_least` says."
        ),
        response_model=RebalanceWithOrdersShown,
        responses={
            200: answered(
                "The rebalance", "ETag", not_sent={**REBALANCE, "orders": None}, with_orders=REBALANCE_WITH_ORDERS
            ),
            **unknown,
        },
    )
    async def get_rebalance(rebalance_id: RebalanceId, reading: ReadingAt) -> Response:
        deadline = time.monotonic() + reading.wait
        run, row = await rebalances.by_id(rebalance_id, at_least=reading.at_least, wait=reading.wait)
        wait = max(0.0, deadline - time.monotonic())
        sent = await orders.beside(run, row, at_least=reading.at_least, wait=wait)
        body = b'%b,"orders":%b}' % (rebalance_json(run, row)[:-1], summary_json(sent))
        return Response(body, headers={"ETag": f'"{row.version}"'}, media_type=_JSON)

    @router.get(
        "/api/v1/rebalances/{rebalance_id}/verification",
        summary="Verify a rebalance",
        description=(
            "Checks the recorded rebalance again, from the log alone: that its inputs have the digest that the "
            "certificate names, and that quantities, bands, options, cash, objective and gap are as they follow from "
            "them. Nothing is solved again."
        ),
        response_model=VerificationShown,
        responses={200: answered("What was found", valid=VERIFICATION), **unknown},
    )
    async def verify_rebalance(rebalance_id: RebalanceId, reading: ReadingAt) -> Response:
        body = await verification.json(rebalance_id, at_least=reading.at_least, wait=reading.wait)
        return Response(body, media_type=_JSON)

    @router.get(
        "/api/v1/rebalances",
        summary="List rebalances",
        description="A part of all rebalances, the last recorded first.",
        response_model=list[RebalanceShown],
        responses={200: _listed("Rebalances", some=[REBALANCE], none=[]), **problems(*_QUERY_PROBLEMS)},
    )
    async def list_rebalances(part: Annotated[Part, Depends(_part)], reading: ReadingAt) -> Response:
        found = await rebalances.newest(
            offset=part.offset, limit=part.limit, at_least=reading.at_least, wait=reading.wait
        )
        return await _shown(found)

    @router.post(
        "/api/v1/rebalances/search",
        summary="Search rebalances by portfolios",
        description="All rebalances of these portfolios, the last recorded first. A query: it changes nothing.",
        response_model=list[RebalanceShown],
        responses={
            200: _listed("Rebalances", some=[REBALANCE], none=[]),
            **problems(*_QUERY_PROBLEMS, *_BODY_PROBLEMS),
        },
        openapi_extra={
            "requestBody": {
                "content": {
                    "application/json": {
                        "examples": examples(
                            of_one_portfolio={"portfolios": ["ACC-1"]},
                            of_two_portfolios={"portfolios": ["ACC-1", "ACC-2"]},
                            invalid_without_portfolios={},
                        )
                    }
                }
            }
        },
    )
    async def search_rebalances(body: PortfoliosSearched, reading: ReadingAt) -> Response:
        found = await rebalances.of_portfolios(set(body.portfolios), at_least=reading.at_least, wait=reading.wait)
        return await _shown(found)

    @router.get(
        "/api/v1/operations/{operation_id}",
        summary="An asynchronous run",
        description="How far a run has come that was asked for with `Prefer: respond-async`, and what it has brought.",
        response_model=OperationShown,
        responses={
            200: answered("The run", done=OPERATION),
            **problems(
                *_QUERY_PROBLEMS,
                "not-found",
                not_found="operation '6f2b0c9e1d7a4b53a8c4e0f19d2b7c65' does not exist",
            ),
        },
    )
    async def get_operation(
        operation_id: Annotated[str, Path(description="Id of the run.")], reading: ReadingAt
    ) -> Response:
        run, failures = await rebalances.operation(operation_id, at_least=reading.at_least, wait=reading.wait)
        return Response(await _operation(run, failures), media_type=_JSON)

    return router


def _listed(description: str, **named_examples: Any) -> dict[str, Any]:
    return answered(description, **named_examples) | {"headers": _TOTAL}


async def _shown(found: Rebalanced) -> Response:
    return Response(await found.json(), headers={"X-Total-Count": str(found.total)}, media_type=_JSON)


async def _operation(run: RunRow, failures: Sequence[Failure]) -> bytes:
    errors, slices = [], Slices()
    for failure in failures:
        errors.append(error_json(failure, run.model_id, f"/api/v1/operations/{run.run_id}"))
        await slices.pause()
    return encode(
        {
            "operation_id": run.run_id,
            "status": "DONE" if run.finished else "RUNNING",
            "model_id": run.model_id,
            "model_version": run.model_version,
            "requested_at": moment(run.requested_at),
            "total": len(run.portfolios),
            "done": run.done,
            "failed": len(failures),
            "errors": errors,
            "rebalances": run.rebalances,
        }
    )
