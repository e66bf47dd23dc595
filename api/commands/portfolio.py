"""Routes of the commands on portfolios (seed 004)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, cast
from urllib.parse import quote

from fastapi import APIRouter, Path
from pydantic import AfterValidator, Field, ValidationInfo
from starlette.responses import Response

from api.bodies import Body, Text, circumstances, fits
from api.commands.calls import Calling
from api.documented import COMMAND_PROBLEMS, answered, examples, problems
from api.numbers import Moment, Number, wrong
from api.routing import Route
from api.shown import PORTFOLIO_STATE, PortfolioState
from domain.errors import NotFound
from domain.portfolio import (
    Portfolio,
    PositionUpdate,
    TransactionType,
    wrong_amount,
    wrong_id,
    wrong_instrument,
    wrong_name,
    wrong_opening_cash,
    wrong_price,
    wrong_time,
)
from domain.valuation import value
from domain.values import ZERO
from read_side.portfolio import state_json
from write_side.event_store import EventStore
from write_side.portfolio import OpenPortfolio, UpdatePortfolio

MAX_UPDATES = 1000


def _same_as_path(text: str | None, info: ValidationInfo) -> str | None:
    named = circumstances(info).path_params["portfolio_id"]
    if text is not None and text != named:
        raise wrong(f"{text[:100]!a} is not the portfolio of the path, {named!a}")
    return text


def _not_ahead(at: datetime, info: ValidationInfo) -> datetime:
    if fault := wrong_time(at, circumstances(info).now):
        raise wrong(fault)
    return at


def _of_its_kind(rule: Callable[[TransactionType, Any], str | None]) -> AfterValidator:
    """Return the validator of a member whose rule depends on the kind of the update, where that itself fits."""

    def check(value: Any, info: ValidationInfo) -> Any:
        kind = info.data.get("transaction_type")
        if kind is not None and (fault := rule(kind, value)):
            raise wrong(fault)
        return value

    return AfterValidator(check)


# The rules of single values are the domain's; they are asked here too, so that all faults of a body are told at once,
# those of its shape and those of its content.


class PortfolioOpening(Body):
    """A portfolio to open."""

    portfolio_id: Annotated[
        str,
        fits(wrong_id),
        Field(json_schema_extra={"minLength": 1, "maxLength": 100, "pattern": r"^(?!\.{1,2}$)[A-Za-z0-9_.:-]+$"}),
    ]
    portfolio_name: Annotated[Text, fits(wrong_name), Field(json_schema_extra={"minLength": 1, "pattern": r"\S"})]
    cash_balance: Annotated[Number, fits(wrong_opening_cash)] = ZERO
    """Opening cash, 0 or more."""


class PositionUpdateBody(Body):
    """One update of a position (seed 004 ``PositionUpdate``)."""

    transaction_type: TransactionType
    quantity_change: Annotated[Number, fits(wrong_amount)]
    """The size moved, always positive."""
    instrument_id: Annotated[str | None, _of_its_kind(wrong_instrument)] = None
    """For DEP and WD: absent or `CASH`."""
    price: Annotated[Number | None, _of_its_kind(wrong_price)] = None
    """For DEP and WD: absent or 1."""


def _asked(body: PositionUpdateBody) -> PositionUpdate:
    """Return the update as the domain takes it."""
    return PositionUpdate(
        transaction_type=body.transaction_type,
        quantity_change=body.quantity_change,
        instrument_id=body.instrument_id,
        price=body.price,
    )


Updates = Annotated[
    list[Annotated[PositionUpdateBody, AfterValidator(_asked)]], Field(min_length=1, max_length=MAX_UPDATES)
]


class PortfolioUpdate(Body):
    """Updates of positions at one time, all or none, applied in order (seed 004 ``PortfolioUpdate``)."""

    portfolio_id: Annotated[str | None, AfterValidator(_same_as_path)] = None
    """Absent, or the one of the path."""
    updates: Updates
    timestamp: Annotated[Moment, AfterValidator(_not_ahead)]
    """When it happened; at most 5 minutes ahead of the clock."""

    @property
    def asked(self) -> tuple[PositionUpdate, ...]:
        """The updates as the domain takes them, which is what validation has made of them."""
        return tuple(cast(list[PositionUpdate], self.updates))


def _state(portfolio: Portfolio) -> bytes:
    return state_json(value(portfolio))


_OPENING = {"portfolio_id": "ACC-1", "portfolio_name": "Growth", "cash_balance": 1000.5}
_DEPOSIT = {"transaction_type": "DEP", "quantity_change": 250.25}
_UPDATE = {"updates": [_DEPOSIT], "timestamp": "2025-06-21T10:00:00Z"}


def routes(store: EventStore, clock: Callable[[], datetime]) -> APIRouter:
    """Return the router of these commands over this store."""
    router = APIRouter(route_class=Route, tags=["portfolios"])

    @router.post(
        "/api/v1/portfolio/{portfolio_id}/update",
        summary="Update a portfolio",
        description="Applies all updates in order, or none of them.",
        response_model=PortfolioState,
        responses={
            200: answered(
                "The portfolio afterwards", "X-Position", "ETag", "Idempotency-Replayed", updated=PORTFOLIO_STATE
            ),
            **problems(*COMMAND_PROBLEMS, "not-found", "rule-violated", not_found="portfolio ACC-1 does not exist"),
        },
        openapi_extra={
            "requestBody": {
                "content": {
                    "application/json": {
                        "examples": examples(
                            deposit=_UPDATE,
                            withdrawal_with_exact_text={
                                "updates": [
                                    {"transaction_type": "WD", "quantity_change": "0.10", "instrument_id": "CASH"}
                                ],
                                "timestamp": "2025-06-21T12:00:00+02:00",
                            },
                            invalid_negative_size={
                                "updates": [{"transaction_type": "DEP", "quantity_change": -5}],
                                "timestamp": "2025-06-21T10:00:00Z",
                            },
                        )
                    }
                }
            }
        },
    )
    async def update_portfolio(
        call: Calling, portfolio_id: Annotated[str, Path(description="Id of the portfolio.")], body: PortfolioUpdate
    ) -> Response:
        if wrong_id(portfolio_id):
            raise NotFound(f"portfolio {portfolio_id[:100]!a} does not exist")
        command = UpdatePortfolio(
            portfolio_id=portfolio_id,
            updates=body.asked,
            timestamp=body.timestamp,
        )
        return await call.answer(lambda context: command.handle(store, context, now=clock()), _state)

    @router.post(
        "/api/v1/portfolios",
        status_code=201,
        summary="Open a portfolio",
        description="Opens a portfolio under an id that is not taken, with its opening cash.",
        response_model=PortfolioState,
        responses={
            201: answered(
                "The new portfolio", "X-Position", "ETag", "Location", "Idempotency-Replayed", opened=PORTFOLIO_STATE
            ),
            **problems(
                *COMMAND_PROBLEMS, "not-found", "already-exists", already_exists="portfolio ACC-1 already exists"
            ),
        },
        openapi_extra={
            "requestBody": {
                "content": {
                    "application/json": {
                        "examples": examples(
                            with_cash=_OPENING,
                            without_cash={"portfolio_id": "ACC-2", "portfolio_name": "Income"},
                            invalid_id={"portfolio_id": "not an id", "portfolio_name": "Income"},
                        )
                    }
                }
            }
        },
    )
    async def open_portfolio(call: Calling, body: PortfolioOpening) -> Response:
        command = OpenPortfolio(
            portfolio_id=body.portfolio_id, portfolio_name=body.portfolio_name, cash_balance=body.cash_balance
        )
        return await call.answer(
            lambda context: command.handle(store, context, now=clock()),
            _state,
            status=201,
            headers={"Location": f"/api/v1/portfolio/{quote(body.portfolio_id)}/state"},
        )

    return router
