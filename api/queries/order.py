"""Route of the query on the orders of a rebalance: as JSON, or as a file for a trading desk."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Final, Self

import msgspec
from fastapi import Depends, Header, Path
from starlette.requests import Request
from starlette.responses import Response

from api.documented import answered, problems
from api.queries.reading import ReadingAt
from api.received import received
from api.routing import Router
from api.shown_orders import ORDERS, ORDERS_CSV, OrdersShown
from domain.values import ONE, ZERO
from read_side.order import Orders
from read_side.order_rendering import COLUMNS, orders_csv, sent_json

_JSON: Final = "application/json"
_CSV: Final = "text/csv"
_PROBLEMS: Final = ("invalid-request", "internal-error", "store-unavailable", "projection-behind", "not-found")


_WEIGHT = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


class Form(msgspec.Struct, frozen=True):
    """Whether the orders are wanted as CSV."""

    csv: bool = False

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return what ``Accept`` says: CSV where it is named and JSON is not preferred; never raises."""
        weights: dict[str, Decimal] = {}
        for part in received(request.scope).headers.get(b"accept", b"").decode("latin-1").split(","):
            media_type, *parameters = (each.strip().lower() for each in part.split(";"))
            weights[media_type] = _weight(parameters)
        wanted = weights.get(_CSV, ZERO)
        return cls(wanted > 0 and wanted >= weights.get(_JSON, ZERO))


def _weight(parameters: list[str]) -> Decimal:
    """Return the ``q`` of a media type (RFC 9110, section 12.5.1); 1 where there is none that can be read."""
    text = next((each[2:] for each in parameters if each.startswith("q=")), "1")
    return Decimal(text) if _WEIGHT.fullmatch(text) else ONE


async def _form(
    accept: Annotated[str | None, Header(description="`text/csv`: the orders as a file for a desk.")] = None,
) -> None:
    """What FastAPI documents of ``Form``."""


def routes(orders: Orders) -> Router:
    """Return the router of this query."""
    router = Router("orders")

    @router.get(
        "/api/v1/rebalances/{rebalance_id}/orders",
        summary="The orders of a rebalance",
        description=(
            "What was sent to the desk, what executions have filled of it, and how far every weight is from its target "
            f"now. As `text/csv` a file for the desk with the columns {', '.join(COLUMNS)}, of cancelled orders none."
        ),
        response_model=OrdersShown,
        responses={200: _answered(), **problems(*_PROBLEMS, not_found="orders of rebalance 'x' were not sent")},
    )
    async def get_orders(
        rebalance_id: Annotated[str, Path(description="Id of the rebalance.")],
        form: Annotated[Form, Depends(_form)],
        reading: ReadingAt,
    ) -> Response:
        sent = await orders.of_rebalance(rebalance_id, at_least=reading.at_least, wait=reading.wait)
        headers = {"ETag": f'"{sent.row.version}"', "Vary": "Accept"}
        if form.csv:
            headers["Content-Disposition"] = f'attachment; filename="orders_{rebalance_id}.csv"'
            return Response(orders_csv(sent.row), headers=headers, media_type=_CSV)
        return Response(sent_json(sent), headers=headers, media_type=_JSON)

    return router


def _answered() -> dict[str, Any]:
    described = answered("The orders", "ETag", partly_filled=ORDERS)
    described["content"][_CSV] = {
        "schema": {"type": "string"},
        "examples": {"for_the_desk": {"summary": "for the desk", "value": ORDERS_CSV}},
    }
    return described
