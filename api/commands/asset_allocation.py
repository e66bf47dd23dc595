"""Routes of the commands on target allocations by asset class and their rebalances (seed 000)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NoReturn

import msgspec
from starlette.responses import Response

from api.commands.calls import Call, Calling
from api.documented import COMMAND_PROBLEMS, answered, examples
from api.envelope import UNREADABLE, refusals
from api.numbers import loads
from api.problems import Misfit, RequestProblem, unfit
from api.routing import Router
from api.shown_allocations import (
    ALLOCATION,
    ALLOCATION_ACCEPTED,
    REBALANCE,
    REBALANCE_ACCEPTED,
    AllocationAccepted,
    RebalanceAccepted,
)
from domain.asset_allocation import MAX_ASSETS, Basis, allocation_hash, allocation_of, wrong_share
from domain.base import A, Event
from domain.portfolio import wrong_id
from read_side.asset_allocation import accepted_json
from write_side.asset_allocation import RequestRebalance, SetAllocation
from write_side.event_store import Done, EventStore
from write_side.log import Context

_HASH: Final = "X-Allocation-Hash"
_BASES: Final = {basis.value: basis for basis in Basis}
_SUM: Final = {"allocation": {"stocks": 60, "bonds": 30}}
_REFUSED: Final = {
    "unreadable": UNREADABLE,
    "without_user": "userId is required",
    "without_allocation": "allocation is required",
    "negative": "allocation percentages cannot be negative",
    "sum": "allocation percentages must sum to 100",
    "closed": "portfolio is closed",
}


class Asked(msgspec.Struct, frozen=True):
    """What the body of a request asks for."""

    user_id: str
    percents: dict[str, Decimal]
    basis: Basis


async def _asked(call: Call, member: str) -> Asked:
    """Return what is asked for, with the allocation under this name; members that are not known do not matter.

    The order of the checks is the contract's; what is wrong with the allocation itself is the domain's to say. Raises
    ``RequestProblem``.
    """
    body = loads(await call.request.body())
    if not isinstance(body, dict):
        _refuse(UNREADABLE)
    user_id, given = body.get("user_id"), body.get(member)
    basis = _BASES.get(told) if isinstance(told := body.get("basis", Basis.TARGET.value), str) else None
    if user_id is not None and (not isinstance(user_id, str) or (user_id and wrong_id(user_id))):
        _refuse(UNREADABLE)
    if given is not None and (not isinstance(given, dict) or len(given) > MAX_ASSETS):
        _refuse(UNREADABLE)
    percents = {asset: _percent(asset, value) for asset, value in (given or {}).items()}
    if member == "new_allocation" and basis is None:
        _refuse(UNREADABLE)
    if not user_id:
        _refuse("userId is required")
    return Asked(user_id, percents, basis or Basis.TARGET)


def _percent(asset: str, value: Any) -> Decimal:
    """Return the percentage: a JSON number, which a text is not."""
    percent = Decimal(value) if type(value) is int else value
    if not isinstance(percent, Decimal) or wrong_share(asset, percent):
        _refuse(UNREADABLE)
    return percent


def _refuse(message: str) -> NoReturn:
    raise RequestProblem(unfit(Misfit("pointer", "", message)))


async def _answer(
    call: Call, command: Callable[[Context], Awaitable[Done[A]]], asked: Asked, member: str, message: str
) -> Response:
    """Run the command and answer what was asked for; raises ``Invalid`` where that is no allocation."""
    digest = allocation_hash(allocation_of(asked.percents))
    body = accepted_json(asked.user_id, member, asked.percents, message)

    async def render(portfolio: A, events: Sequence[Event]) -> bytes:
        return body

    return await call.answer(command, render, status=201, headers={_HASH: digest})


def routes(store: EventStore, clock: Callable[[], datetime]) -> Router:
    """Return the router of these commands over this store."""
    router = Router("asset allocation")

    @router.post(
        "/portfolio",
        status_code=201,
        summary="Set an allocation",
        description=(
            "Gives a user a target allocation by asset class, in percent; a user who is not known gets a portfolio. "
            "An allocation that is there is replaced, also for whoever asks for a rebalance later."
        ),
        response_model=AllocationAccepted,
        responses={201: _accepted("The allocation", ALLOCATION_ACCEPTED), **refusals(*COMMAND_PROBLEMS, **_REFUSED)},
        openapi_extra=_body("allocation", {}, three_assets=ALLOCATION, invalid_sum={"user_id": "1", **_SUM}),
    )
    async def set_allocation(call: Calling) -> Response:
        asked = await _asked(call, "allocation")
        command = SetAllocation(user_id=asked.user_id, allocation=asked.percents)
        return await _answer(
            call,
            lambda context: command.handle(store, context, now=clock()),
            asked,
            "allocation",
            "Portfolio request accepted",
        )

    @router.post(
        "/rebalance",
        status_code=201,
        summary="Ask for a rebalance",
        description=(
            "By `target` (the default) the new allocation is where the portfolio is to go, by `market` where the "
            "market has moved it and from where it is brought back. The transactions are booked soon after; `settled` "
            "waits for that. The user's last request again, while it is pending, adds no second set of transactions."
        ),
        response_model=RebalanceAccepted,
        responses={
            201: _accepted("The rebalance", REBALANCE_ACCEPTED),
            **refusals(
                *COMMAND_PROBLEMS,
                "not-found",
                **_REFUSED,
                same="New allocation is the same as current allocation",
            ),
        },
        openapi_extra=_body(
            "new_allocation",
            {"basis": {"type": "string", "enum": list(_BASES), "default": Basis.TARGET.value}},
            to_a_new_target=REBALANCE,
            back_from_the_market={**REBALANCE, "basis": Basis.MARKET.value},
        ),
    )
    async def request_rebalance(call: Calling) -> Response:
        asked = await _asked(call, "new_allocation")
        command = RequestRebalance(user_id=asked.user_id, allocation=asked.percents, basis=asked.basis)
        return await _answer(
            call,
            lambda context: command.handle(store, context, now=clock()),
            asked,
            "new_allocation",
            "Rebalance request accepted",
        )

    return router


def _accepted(description: str, example: Any) -> dict[str, Any]:
    """Return the description of the answer to an accepted request."""
    response = answered(description, "X-Position", "ETag", "Idempotency-Replayed", example=example)
    response["headers"][_HASH] = {
        "description": "SHA-256 of the allocation as JSON with sorted keys, no spaces and shortest numbers, lower-case "
        "hex; assets at 0 are left out.",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    }
    return response


def _body(member: str, others: dict[str, Any], **named: Any) -> dict[str, Any]:
    """Return the description of a body with this allocation and other members; its examples have one without user."""
    schema = {
        "type": "object",
        "required": ["user_id", member],
        "properties": {
            "user_id": {"type": "string", "minLength": 1, "maxLength": 100, "pattern": r"^[A-Za-z0-9_.:-]+$"},
            member: {
                "type": "object",
                "minProperties": 1,
                "maxProperties": MAX_ASSETS,
                "additionalProperties": {"type": "number", "minimum": 0, "maximum": 100},
                "description": "Percentages by asset, with up to 8 places; they add up to 100 exactly.",
            },
            **others,
        },
    }
    shown = examples(**named, invalid_without_user={member: {"stocks": 100}})
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, "examples": shown}}}}
