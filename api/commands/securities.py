"""Routes of the command on securities (contract "002": names for people)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Self

import msgspec
from fastapi import Depends, Path
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.bodies import Body, Text, fits
from api.commands.calls import Calling
from api.documented import COMMAND_PROBLEMS, answered, examples, problems
from api.problems import Misfit, RequestProblem, unfit
from api.routing import Router
from api.shown import SECURITY_NAMED, NamedSecurity
from domain.base import Event
from domain.portfolio.rules import wrong_instrument_id
from domain.securities import Security, wrong_name, wrong_ticker
from read_side.securities import security_json
from write_side.event_store import EventStore
from write_side.securities import NameSecurity


class SecurityNames(Body):
    """What people call a security."""

    ticker: Annotated[Text, fits(wrong_ticker), Field(json_schema_extra={"minLength": 1, "pattern": r"\S"})]
    """1 to 20 characters; white space around it does not count."""
    name: Annotated[Text, fits(wrong_name), Field(json_schema_extra={"minLength": 1, "pattern": r"\S"})]
    """1 to 200 characters; white space around it does not count."""


class Target(msgspec.Struct, frozen=True):
    """The security that is named."""

    security_id: str

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return what the path says; raises ``RequestProblem`` (422), so that its fault is told with the body's."""
        security_id: str = request.scope["path_params"]["security_id"]
        if fault := wrong_instrument_id(security_id):
            raise RequestProblem(unfit(Misfit("parameter", "security_id", fault)))
        return cls(security_id)


async def _target(
    security_id: Annotated[
        str,
        Path(
            min_length=1,
            max_length=24,
            pattern=r"^[A-Za-z0-9_.:-]+$",
            description="Id of the security: the `instrument_id` of positions and prices.",
            examples=["AAPL"],
        ),
    ],
) -> None:
    """What FastAPI documents of ``Target``."""


async def _body(security: Security, _: Sequence[Event]) -> bytes:
    return security_json(security)


def routes(store: EventStore, clock: Callable[[], datetime]) -> Router:
    """Return the router of this command over this store."""
    router = Router("securities")

    @router.put(
        "/api/v1/securities/{security_id}",
        summary="Name a security",
        description="Gives it ticker and name, whether it had others or none; the same again change nothing.",
        response_model=NamedSecurity,
        responses={
            200: answered("The security", "X-Position", "ETag", "Idempotency-Replayed", named=SECURITY_NAMED),
            **problems(*COMMAND_PROBLEMS, "not-found"),
        },
        openapi_extra={
            "requestBody": {
                "content": {
                    "application/json": {
                        "examples": examples(
                            names={"ticker": "AAPL", "name": "Apple Inc."},
                            other_names={"ticker": "BRK B", "name": "Berkshire Hathaway Inc. Class B"},
                            invalid_without_ticker={"name": "Apple Inc."},
                        )
                    }
                }
            }
        },
    )
    async def name_security(
        call: Calling, target: Annotated[Target, Depends(_target)], body: SecurityNames
    ) -> Response:
        command = NameSecurity(security_id=target.security_id, ticker=body.ticker, name=body.name)
        return await call.answer(lambda context: command.handle(store, context, now=clock()), _body, positioned=True)

    return router
