"""Routes of the commands on portfolios (seed 004)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

import structlog
from starlette.responses import Response

from api.commands.calls import Call, Calling
from api.commands.portfolio.bodies import PortfolioOpening, PortfolioUpdate, StatusChange
from api.documented import COMMAND_PROBLEMS, answered, examples, problems
from api.routing import PortfolioId, Router
from api.shown import PORTFOLIO_OPENED, PORTFOLIO_STATE, PortfolioState
from domain.base import Event
from domain.errors import NotFound, NotYet
from domain.portfolio import Portfolio, wrong_id
from domain.prices import with_quotes
from read_side.rendering import state_json
from read_side.valuing import Valuer
from write_side.event_store import EventStore
from write_side.portfolio import ChangeStatus, OpenPortfolio, UpdatePortfolio
from write_side.ports import Prices

_PATIENCE = 2.0
"""Seconds to wait for prices before an accepted command is answered with those that are known."""
_IMPATIENCE = 0.5
"""The same before a command is stored, while others of its portfolio wait for it."""
_AT = "2025-06-21T10:00:00Z"
_BUY = {"transaction_type": "BUY", "quantity_change": 500, "instrument_id": "AAPL", "price": 147.75}
_DEPOSIT = {"transaction_type": "DEP", "quantity_change": 250.25}
_WITHDRAWAL = {"transaction_type": "WD", "quantity_change": "0.10", "instrument_id": "CASH"}
_DIVIDEND = {"transaction_type": "DIVIDEND", "quantity_change": 500, "instrument_id": "AAPL", "price": 0.26}
_UPDATES = {
    "purchase": {"updates": [_BUY], "timestamp": _AT},
    "deposit_and_withdrawal": {"updates": [_DEPOSIT, _WITHDRAWAL], "timestamp": "2025-06-21T12:00:00+02:00"},
    "dividend_and_fee": {"updates": [_DIVIDEND, {"transaction_type": "FEE", "quantity_change": 25}], "timestamp": _AT},
    "invalid_negative_size": {"updates": [{"transaction_type": "DEP", "quantity_change": -5}], "timestamp": _AT},
}
_OPENINGS = {
    "with_cash": {"portfolio_id": "ACC-1", "portfolio_name": "Growth", "cash_balance": 100000},
    "without_cash": {"portfolio_id": "ACC-2", "portfolio_name": "Income"},
    "invalid_id": {"portfolio_id": "not an id", "portfolio_name": "Income"},
}
_STATUSES = {
    "suspended": {"status": "SUSPENDED"},
    "active_again": {"status": "ACTIVE"},
    "invalid_case": {"status": "active"},
}

log = structlog.get_logger(__name__)


def routes(store: EventStore, prices: Prices, clock: Callable[[], datetime]) -> Router:
    """Return the router of these commands over this store; their answers are valued at these prices."""
    router = Router("portfolios")
    valuer = Valuer()

    async def render(portfolio: Portfolio, events: Sequence[Event], known: Awaitable[None]) -> bytes:
        try:
            await known
        except NotYet as behind:
            log.warning("answered with older prices", portfolio_id=portfolio.portfolio_id, because=str(behind))
        return state_json(*valuer.value(portfolio, with_quotes(prices.book, events)))

    def rendering(call: Call) -> Callable[[Portfolio, Sequence[Event]], Awaitable[bytes]]:
        """Return what renders the answer, once every price is known that the caller may have been told of.

        Under an idempotency key that is before the command is stored, and its position not known yet.
        """
        if call.key is None:
            return lambda portfolio, events: render(portfolio, events, prices.reach(store.reached, _PATIENCE))
        return lambda portfolio, events: render(portfolio, events, prices.catch_up(_IMPATIENCE))

    @router.post(
        "/api/v1/portfolio/{portfolio_id}/update",
        summary="Update a portfolio",
        description=(
            "Applies all updates in order, or none of them: BUY, SELL, SHORT, COVER, DEP, WD, IN, OUT, DIVIDEND, FEE."
        ),
        response_model=PortfolioState,
        responses={
            200: answered(
                "The portfolio afterwards", "X-Position", "ETag", "Idempotency-Replayed", updated=PORTFOLIO_STATE
            ),
            **problems(
                *COMMAND_PROBLEMS,
                "not-found",
                "rule-violated",
                not_found="portfolio ACC-1 does not exist",
                rule_violated="update 0: SELL of 600 AAPL: only 500 are held",
            ),
        },
        openapi_extra=_body(_UPDATES),
    )
    async def update_portfolio(call: Calling, portfolio_id: PortfolioId, body: PortfolioUpdate) -> Response:
        _check(portfolio_id)
        command = UpdatePortfolio(portfolio_id=portfolio_id, updates=body.asked, timestamp=body.timestamp)
        return await call.answer(lambda context: command.handle(store, context, now=clock()), rendering(call))

    @router.post(
        "/api/v1/portfolios",
        status_code=201,
        summary="Open a portfolio",
        description="Opens a portfolio under an id that is not taken, with its opening cash.",
        response_model=PortfolioState,
        responses={
            201: answered(
                "The new portfolio", "X-Position", "ETag", "Location", "Idempotency-Replayed", opened=PORTFOLIO_OPENED
            ),
            **problems(
                *COMMAND_PROBLEMS, "not-found", "already-exists", already_exists="portfolio ACC-1 already exists"
            ),
        },
        openapi_extra=_body(_OPENINGS),
    )
    async def open_portfolio(call: Calling, body: PortfolioOpening) -> Response:
        command = OpenPortfolio(
            portfolio_id=body.portfolio_id, portfolio_name=body.portfolio_name, cash_balance=body.cash_balance
        )
        return await call.answer(
            lambda context: command.handle(store, context, now=clock()),
            rendering(call),
            status=201,
            headers={"Location": f"/api/v1/portfolio/{quote(body.portfolio_id)}/state"},
        )

    @router.put(
        "/api/v1/portfolio/{portfolio_id}/status",
        summary="Change the status of a portfolio",
        description=(
            "ACTIVE takes every update, SUSPENDED no trades, LIQUIDATING what reduces it, CLOSED nothing. CLOSED is "
            "for ever, and only for a portfolio without positions and cash."
        ),
        response_model=PortfolioState,
        responses={
            200: answered(
                "The portfolio afterwards", "X-Position", "ETag", "Idempotency-Replayed", changed=PORTFOLIO_STATE
            ),
            **problems(*COMMAND_PROBLEMS, "not-found", "rule-violated", not_found="portfolio ACC-1 does not exist"),
        },
        openapi_extra=_body(_STATUSES),
    )
    async def change_portfolio_status(call: Calling, portfolio_id: PortfolioId, body: StatusChange) -> Response:
        _check(portfolio_id)
        command = ChangeStatus(portfolio_id=portfolio_id, status=body.status)
        return await call.answer(lambda context: command.handle(store, context, now=clock()), rendering(call))

    return router


def _check(portfolio_id: str) -> None:
    if wrong_id(portfolio_id):
        raise NotFound(f"portfolio {portfolio_id[:100]!a} does not exist")


def _body(named: dict[str, Any]) -> dict[str, Any]:
    """Return the examples of a request's body for the OpenAPI document."""
    return {"requestBody": {"content": {"application/json": {"examples": examples(**named)}}}}
