"""Routes of the command on prices (seed 004)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import InitErrorDetails
from starlette.responses import Response

from api.bodies import Body, BusinessTime, fits
from api.commands.calls import Calling
from api.documented import COMMAND_PROBLEMS, answered, examples, problems
from api.numbers import Number, wrong
from api.routing import Router
from api.shown import PRICES_TAKEN, PricesTaken
from domain.base import Event
from domain.portfolio.rules import CASH, wrong_instrument_id
from domain.prices import MAX_PRICES, PriceUpload, wrong_count, wrong_quoted_price
from read_side.prices import upload_json
from write_side.event_store import EventStore
from write_side.prices import UploadPrices


def _of_instruments(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """Check the names beside the prices, so that the faults of both are told, each at the member's own place.

    Too many are not looked at one by one.
    """
    if not isinstance(value, dict):
        raise wrong("is not an object")
    if fault := wrong_count(len(value)):
        raise wrong(fault)
    names = [(name, fault) for name in value if (fault := wrong_instrument_id(name))]
    if not names:
        return handler(value)
    faults = [InitErrorDetails(type=wrong(fault), loc=(name,), input=name) for name, fault in names]
    try:
        handler(value)
    except ValidationError as error:
        faults += (
            InitErrorDetails(type=wrong(each["msg"]), loc=each["loc"], input=None)
            for each in error.errors(include_url=False, include_input=False)
        )
    raise ValidationError.from_exception_data("prices", faults)


Prices = Annotated[
    dict[str, Annotated[Number, fits(wrong_quoted_price)]],
    WrapValidator(_of_instruments),
    Field(
        json_schema_extra={
            "minProperties": 1,
            "maxProperties": MAX_PRICES,
            "propertyNames": {
                "minLength": 1,
                "maxLength": 24,
                "pattern": r"^(?!\.{1,2}$)[A-Za-z0-9_.:-]+$",
                "not": {"const": CASH},
            },
        }
    ),
]


class PriceUploadBody(Body):
    """Prices of instruments, all as of one time."""

    as_of: BusinessTime
    """From when they are so; at most 5 minutes ahead of the clock."""
    prices: Prices
    """The price of one share by instrument id; positive, up to 8 decimal places."""


async def _body(upload: PriceUpload, _: Sequence[Event]) -> bytes:
    return upload_json(upload.created_on, len(upload.prices))


def routes(store: EventStore, clock: Callable[[], datetime]) -> Router:
    """Return the router of this command over this store."""
    router = Router("prices")

    @router.post(
        "/api/v1/prices",
        summary="Upload prices",
        description=(
            "Each price counts where it is not older than the one known; every holder is revalued. An upload is no "
            "resource that could change: its answer has no ETag, and no `If-Match` fits it."
        ),
        response_model=PricesTaken,
        responses={
            200: answered("How many were taken", "X-Position", "Idempotency-Replayed", taken=PRICES_TAKEN),
            **problems(*COMMAND_PROBLEMS, "not-found"),
        },
        openapi_extra={
            "requestBody": {
                "content": {
                    "application/json": {
                        "examples": examples(
                            two_prices={"as_of": "2025-06-21T10:00:00Z", "prices": {"AAPL": 150.25, "MSFT": 480}},
                            exact_text={"as_of": "2025-06-21T12:00:00+02:00", "prices": {"BTC": "103450.12345678"}},
                            invalid_price_of_cash={"as_of": "2025-06-21T10:00:00Z", "prices": {"CASH": 1, "MSFT": 0}},
                        )
                    }
                }
            }
        },
    )
    async def upload_prices(call: Calling, body: PriceUploadBody) -> Response:
        prices: dict[str, Decimal] = body.prices
        command = UploadPrices(prices=prices, as_of=body.as_of)
        return await call.answer(
            lambda context: command.handle(store, context, now=clock()), _body, positioned=True, versioned=False
        )

    return router
