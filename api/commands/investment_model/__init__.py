"""Routes of the commands on investment models (seed 002)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Protocol, Self

import msgspec
import structlog
from fastapi import Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.commands.calls import Call, Calling
from api.commands.investment_model.bodies import (
    MAX_VERSION,
    ModelBody,
    ModelReplacement,
    PortfolioAddition,
    PositionAddition,
    PositionChange,
)
from api.commands.investment_model.documented import (
    ADDITIONS,
    CHANGES,
    FOLLOWERS,
    MISSING,
    NEW_MODELS,
    REPLACEMENTS,
    TAKEN,
    THERE,
    changed,
    request_body,
)
from api.documented import COMMAND_PROBLEMS, answered, headers, problems
from api.problems import Misfit, RequestProblem, unfit
from api.routing import PortfolioId, Router
from api.shown_models import MODEL, ModelShown
from domain.base import Event
from domain.errors import NotFound, NotYet
from domain.investment_model import InvestmentModel, ModelPosition
from read_side.investment_model import model_json
from write_side.event_store import Done, EventStore
from write_side.investment_model import (
    AddPortfolios,
    AddPosition,
    ChangePosition,
    CreateModel,
    DeleteModel,
    RemovePortfolio,
    RemovePosition,
    ReplaceModel,
)
from write_side.log import Context

MODELS = "/api/v1/models"
_IMPATIENCE = 0.5
"""Seconds to wait for the view before a model is answered with the last rebalance that is known of."""
_MODEL_ID = re.compile(r"[0-9a-f]{24}\Z")
_VERSION = re.compile(r"[0-9]{1,18}\Z")

log = structlog.get_logger(__name__)


class Rebalanced(Protocol):
    """Says when models were last rebalanced: ``read_side.investment_model.InvestmentModels``."""

    async def last_rebalance_date(self, model_id: str, *, at_least: int = 0, wait: float = 2.0) -> datetime | None:
        """Return when this model was, None where it never was; raises ``NotYet``, ``StoreUnavailable``."""


class ModelCommand(Protocol):
    """A command on one model."""

    async def handle(self, store: EventStore, context: Context, *, now: datetime) -> Done[InvestmentModel]: ...


class Expected(msgspec.Struct, frozen=True):
    """The version that a DELETE is meant for, in its query; None for any."""

    version: int | None = None

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return what the request says; raises ``RequestProblem`` (422)."""
        text = request.query_params.get("version")
        if text is not None and not _VERSION.match(text):
            raise RequestProblem(unfit(Misfit("parameter", "version", f"{text[:40]!a} is not a version of a model")))
        return cls(None if text is None else int(text))


async def _expected(
    version: Annotated[
        int | None,
        Query(ge=0, le=MAX_VERSION, description="The version of the model that was read; another one is a 409."),
    ] = None,
) -> None:
    """What FastAPI documents of ``Expected``."""


ExpectedVersion = Annotated[Expected, Depends(_expected)]
ModelId = Annotated[str, Path(description="Id of the model.")]
SecurityId = Annotated[str, Path(description="Id of the security.")]


class _Made(msgspec.Struct):
    """What is read of the answer about a new model."""

    model_id: str


def routes(store: EventStore, rebalanced: Rebalanced, clock: Callable[[], datetime]) -> Router:
    """Return the router of these commands over this store; ``rebalanced`` says what their answers show of the view."""
    router = Router("models")

    async def answer(call: Call, model_id: str, command: ModelCommand) -> Response:
        """Run a command on a model that is to be there, and answer with the model."""
        _check(model_id)
        date = await _last_date(store, rebalanced, model_id)

        async def render(model: InvestmentModel, _: Sequence[Event]) -> bytes:
            return model_json(model, model.positions.values(), date)

        return await call.answer(lambda context: command.handle(store, context, now=clock()), render)

    @router.post(
        MODELS,
        status_code=201,
        summary="Create a model",
        description="Makes an investment model under a name that no other has. Positions with target 0 are dropped.",
        response_model=ModelShown,
        responses={
            201: answered("The new model", "X-Position", "ETag", "Location", "Idempotency-Replayed", created=MODEL),
            **problems(*COMMAND_PROBLEMS, "not-found", "already-exists", already_exists=TAKEN),
        },
        openapi_extra=request_body(NEW_MODELS),
    )
    async def create_model(call: Calling, body: ModelBody) -> Response:
        command = CreateModel(name=body.name, positions=body.asked, portfolios=tuple(body.portfolios))
        answer = await call.answer(lambda context: command.handle(store, context, now=clock()), _new, status=201)
        made = msgspec.json.decode(answer.body, type=_Made)
        answer.headers["Location"] = f"{MODELS}/{made.model_id}"
        return answer

    @router.put(
        f"{MODELS}/{{model_id}}",
        summary="Replace a model",
        description="Gives a model another name, positions and portfolios; the same again change nothing.",
        response_model=ModelShown,
        responses=changed("already-exists", already_exists=TAKEN),
        openapi_extra=request_body(REPLACEMENTS),
    )
    async def replace_model(call: Calling, model_id: ModelId, body: ModelReplacement) -> Response:
        command = ReplaceModel(
            model_id=model_id,
            name=body.name,
            positions=body.asked,
            portfolios=tuple(body.portfolios),
            version=body.version,
        )
        return await answer(call, model_id, command)

    @router.delete(
        f"{MODELS}/{{model_id}}",
        status_code=204,
        summary="Delete a model",
        description="Takes a model away; its name is free then, its rebalances stay.",
        responses={
            204: {"description": "It is gone", "headers": headers("X-Position", "Idempotency-Replayed")},
            **problems(*COMMAND_PROBLEMS, "not-found", "version-conflict", not_found=MISSING),
        },
    )
    async def delete_model(call: Calling, model_id: ModelId, expected: ExpectedVersion) -> Response:
        _check(model_id)
        command = DeleteModel(model_id=model_id, version=expected.version)
        answer = await call.answer(
            lambda context: command.handle(store, context, now=clock()), _nothing, status=204, versioned=False
        )
        del answer.headers["content-type"]
        return answer

    @router.post(
        f"{MODELS}/{{model_id}}/positions",
        summary="Add a position",
        description="Puts a security that is not there into a model; one with target 0 is dropped.",
        response_model=ModelShown,
        responses=changed("already-exists", already_exists=THERE),
        openapi_extra=request_body(ADDITIONS),
    )
    async def add_model_position(call: Calling, model_id: ModelId, body: PositionAddition) -> Response:
        command = AddPosition(model_id=model_id, position=body.position, version=body.version)
        return await answer(call, model_id, command)

    @router.put(
        f"{MODELS}/{{model_id}}/positions/{{security_id}}",
        summary="Change a position",
        description="Gives a security of a model another target and drifts; with target 0 it is taken out.",
        response_model=ModelShown,
        responses=changed(),
        openapi_extra=request_body(CHANGES),
    )
    async def change_model_position(
        call: Calling, model_id: ModelId, security_id: SecurityId, body: PositionChange
    ) -> Response:
        position = ModelPosition(security_id, body.target, body.low_drift, body.high_drift)
        return await answer(call, model_id, ChangePosition(model_id=model_id, position=position, version=body.version))

    @router.delete(
        f"{MODELS}/{{model_id}}/positions/{{security_id}}",
        summary="Remove a position",
        description="Takes a security out of a model.",
        response_model=ModelShown,
        responses=changed(),
    )
    async def remove_model_position(
        call: Calling, model_id: ModelId, security_id: SecurityId, expected: ExpectedVersion
    ) -> Response:
        command = RemovePosition(model_id=model_id, security_id=security_id, version=expected.version)
        return await answer(call, model_id, command)

    @router.post(
        f"{MODELS}/{{model_id}}/portfolios",
        summary="Add portfolios",
        description="Lets portfolios follow a model; those that do already change nothing.",
        response_model=ModelShown,
        responses=changed(),
        openapi_extra=request_body(FOLLOWERS),
    )
    async def add_model_portfolios(call: Calling, model_id: ModelId, body: PortfolioAddition) -> Response:
        command = AddPortfolios(model_id=model_id, portfolios=tuple(body.portfolios), version=body.version)
        return await answer(call, model_id, command)

    @router.delete(
        f"{MODELS}/{{model_id}}/portfolios/{{portfolio_id}}",
        summary="Remove a portfolio",
        description="Lets a portfolio not follow a model any more; one that does not changes nothing.",
        response_model=ModelShown,
        responses=changed("last-portfolio"),
    )
    async def remove_model_portfolio(
        call: Calling, model_id: ModelId, portfolio_id: PortfolioId, expected: ExpectedVersion
    ) -> Response:
        command = RemovePortfolio(model_id=model_id, portfolio_id=portfolio_id, version=expected.version)
        return await answer(call, model_id, command)

    return router


async def _last_date(store: EventStore, rebalanced: Rebalanced, model_id: str) -> datetime | None:
    """Return when the model was last rebalanced, as far as this process can have been told of it.

    It is asked before the command is stored: what cannot be read then has changed nothing.
    """
    try:
        return await rebalanced.last_rebalance_date(model_id, at_least=store.reached, wait=_IMPATIENCE)
    except NotYet as behind:
        log.warning("answered with an older last rebalance", model_id=model_id, because=str(behind))
        return await rebalanced.last_rebalance_date(model_id)


async def _new(model: InvestmentModel, _: Sequence[Event]) -> bytes:
    return model_json(model, model.positions.values(), None)


async def _nothing(_: InvestmentModel, __: Sequence[Event]) -> bytes:
    return b""


def _check(model_id: str) -> None:
    if not _MODEL_ID.match(model_id):
        raise NotFound(f"model {model_id[:100]!a} does not exist")
