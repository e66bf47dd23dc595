"""Routes of the commands on the orders of rebalances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import Path
from starlette.responses import Response

from api.commands.calls import Call, Calling
from api.documented import BODILESS_PROBLEMS, answered, problems
from api.routing import Router
from api.shown_orders import ORDERS_CANCELLED, ORDERS_TOLD, OrdersToldShown
from domain.base import Aggregate, Event
from domain.errors import Broken
from read_side.order_rendering import orders_json
from write_side.event_store import Done
from write_side.log import Answer, Context
from write_side.order import CancelOrders, OrderDesk, SendOrders, Told

_PROBLEMS: Final = (
    *BODILESS_PROBLEMS,
    "not-found",
    "rule-violated",
    "unavailable",
    "service-unavailable",
    "projection-behind",
)
_HEADERS: Final = ("X-Position", "ETag", "Idempotency-Replayed")

RebalanceId = Annotated[str, Path(description="Id of the rebalance.")]


def routes(desk: OrderDesk) -> Router:
    """Return the router of these commands."""
    router = Router("orders")

    async def run(call: Call, command: SendOrders | CancelOrders) -> Response:
        async def handle(context: Context) -> Done[Aggregate]:
            return await command.handle(desk, context, _answer)

        return await call.answer(handle, _rendered, positioned=True)

    @router.post(
        "/api/v1/rebalances/{rebalance_id}/orders",
        status_code=201,
        summary="Send the orders of a rebalance",
        description=(
            "What the rebalance trades, as orders for the desk, each with an id that executions name as `orderId`. "
            "Refused where the portfolio would not take the trades, has fills of orders that are not booked, holds "
            "something else than it was rebalanced from, or has other orders open. Asked for again: 200 with the same "
            "orders, whatever has become of them."
        ),
        response_model=OrdersToldShown,
        responses={
            201: answered("They are sent", *_HEADERS, sent=ORDERS_TOLD),
            200: answered("They were sent before", *_HEADERS, again=ORDERS_TOLD, cancelled_since=ORDERS_CANCELLED),
            **problems(
                *_PROBLEMS,
                not_found="rebalance '0c4ad8a3f5b35e0d9f3b7a11' does not exist",
                rule_violated="portfolio ACC-1 does not hold any more what the rebalance was made from: "
                "TECH123456789012345678AB (10 then, 12 now); rebalance it again",
            ),
        },
    )
    async def send_orders(call: Calling, rebalance_id: RebalanceId) -> Response:
        return await run(call, SendOrders(rebalance_id=rebalance_id))

    @router.post(
        "/api/v1/rebalances/{rebalance_id}/orders/cancel",
        summary="Cancel the orders of a rebalance",
        description=(
            "What is open of them is wanted no more; the desk has to be told. A fill that comes all the same counts."
        ),
        response_model=OrdersToldShown,
        responses={
            200: answered("They are cancelled", *_HEADERS, cancelled=ORDERS_CANCELLED),
            **problems(
                *_PROBLEMS,
                not_found="orders of rebalance '0c4ad8a3f5b35e0d9f3b7a11' were not sent",
                rule_violated="the orders of rebalance 0c4ad8a3f5b35e0d9f3b7a11 are FILLED: none is open to be "
                "cancelled",
            ),
        },
    )
    async def cancel_orders(call: Calling, rebalance_id: RebalanceId) -> Response:
        return await run(call, CancelOrders(rebalance_id=rebalance_id))

    return router


def _answer(told: Told) -> Answer:
    """Return the answer: 201 where orders were sent now, else 200."""
    sent = told.new and told.orders.cancelled_at is None
    return Answer(201 if sent else 200, orders_json(told.portfolio_id, told.orders, told.status))


async def _rendered(_: Aggregate, events: Sequence[Event]) -> bytes:
    raise Broken(f"a command on orders brings its answer with it, {len(events)} events are not to be rendered")
