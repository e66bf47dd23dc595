"""The HTTP application: all routes over what they need, one layer around them, one OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.openapi.utils import get_openapi
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

import api.commands.asset_allocation
import api.commands.batch
import api.commands.execution
import api.commands.investment_model
import api.commands.order
import api.commands.portfolio
import api.commands.prices
import api.commands.rebalance
import api.commands.securities
import api.commands.work
import api.queries.analytics
import api.queries.asset_allocation
import api.queries.batch
import api.queries.execution
import api.queries.investment_model
import api.queries.order
import api.queries.portfolio
import api.queries.prices
import api.queries.problems
import api.queries.rebalance
import api.queries.reference
import api.queries.securities
import api.queries.system
import api.queries.transactions
import api.queries.work
from api.commands.investment_model import Rebalanced
from api.documented import tidied, with_whole_examples
from api.envelope import OF_SEED_000
from api.errors import Answers, OwnBody
from api.metrics import HttpMetrics, InFlight
from api.middleware import Http
from api.queries.system import Health
from api.routing import Route, Router
from api.security.admission import guard
from api.security.documented import secured
from api.security.keys import Keys
from api.seed_001 import of_seed_001
from read_side.analytics import Analytics
from read_side.asset_allocation import Allocations
from read_side.batch import Batches
from read_side.execution import Executions
from read_side.investment_model import InvestmentModels
from read_side.order import Orders
from read_side.past import PastStates
from read_side.portfolio import Portfolios
from read_side.prices import Prices
from read_side.rebalance import Rebalances
from read_side.rebalance_verification import Verification
from read_side.securities import Securities
from read_side.states import States
from read_side.transactions import Transactions
from read_side.work import ParkedWork
from write_side.batch import Batches as BatchCommands
from write_side.event_store import EventStore
from write_side.execution import Recording
from write_side.order import OrderDesk
from write_side.ports import Prices as PriceBook
from write_side.rebalance import Runs
from write_side.work import Retries

VERSION = "0.1.0"
DESCRIPTION = (
    "Portfolios on one event log. A command answers with the log position it reached (`X-Position`); a query given "
    "that position as `at_least` has seen it. Numbers are exact: JSON numbers with all their digits. Errors are "
    "problem details (RFC 9457)."
)


@dataclass(frozen=True, kw_only=True)
class Commands:
    """What commands need: the aggregates, prices to value their answers at, and what each vertical has of its own."""

    store: EventStore
    prices: PriceBook
    retries: Retries
    rebalanced: Rebalanced
    runs: Runs
    recording: Recording
    batches: BatchCommands
    desk: OrderDesk


@dataclass(frozen=True, kw_only=True)
class Queries:
    """What is asked."""

    portfolios: Portfolios
    states: States
    past: PastStates
    analytics: Analytics
    prices: Prices
    securities: Securities
    transactions: Transactions
    work: ParkedWork
    allocations: Allocations
    investment_models: InvestmentModels
    rebalances: Rebalances
    verification: Verification
    executions: Executions
    batches: Batches
    orders: Orders


@dataclass(frozen=True, kw_only=True)
class Deps:
    """What the routes need; a role may be without commands or without queries."""

    clock: Callable[[], datetime]
    health: Health
    commands: Commands | None = None
    queries: Queries | None = None
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    in_flight: InFlight = field(default_factory=InFlight)
    log_all: bool = False
    keys: Keys | None = None
    """None: whoever reaches it may do anything."""
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None


class Application(FastAPI):
    """FastAPI with one layer of ours in place of its five, and with our errors in its OpenAPI document."""

    def __init__(self, *, layer: Callable[[ASGIApp], ASGIApp], guarded: bool = False, **options: Any) -> None:
        self._layer = layer
        self._guarded = guarded
        super().__init__(**options)

    def build_middleware_stack(self) -> ASGIApp:
        """Return the layer around the routes; the exit stack is what FastAPI's own routes want to find."""
        return self._layer(AsyncExitStackMiddleware(self.router))

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, made once."""
        if self.openapi_schema is None:
            routes = [route.documented() for route in self.routes if isinstance(route, Route)]
            document = get_openapi(title=self.title, version=self.version, description=self.description, routes=routes)
            tidied(document)
            with_whole_examples(document, routes)
            secured(document, routes, guarded=self._guarded)
            self.openapi_schema = document
        return self.openapi_schema


def create_app(deps: Deps, *, own_bodies: Sequence[OwnBody] = ()) -> Application:
    """Return the application; nothing runs yet. ``own_bodies`` are more paths whose errors have a body of their own."""
    app = Application(
        layer=lambda inner: Http(
            inner,
            answers=Answers((OF_SEED_000, of_seed_001(deps.clock), *own_bodies)),
            metrics=HttpMetrics(deps.registry, deps.in_flight),
            in_flight=deps.in_flight,
            log_all=deps.log_all,
            keys=deps.keys,
        ),
        guarded=deps.keys is not None,
        title="Foliolog",
        version=VERSION,
        description=DESCRIPTION,
        lifespan=deps.lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        strict_content_type=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.clock = deps.clock
    for router in _routers(deps, app):
        app.router.routes.extend(router.routes)
    if deps.keys is not None:
        guard(app.router.routes)
    return app


def _routers(deps: Deps, app: Application) -> list[Router]:
    """Return all routers, those asked most first: a request is matched against one route after the other."""
    asked, told, clock = deps.queries, deps.commands, deps.clock
    routers = []
    if asked is not None:
        routers.append(api.queries.portfolio.routes(asked.portfolios, asked.states, asked.past))
    if told is not None:
        routers.append(api.commands.portfolio.routes(told.store, told.prices, clock))
        routers.append(api.commands.prices.routes(told.store, clock))
        routers.append(api.commands.securities.routes(told.store, clock))
        routers.append(api.commands.asset_allocation.routes(told.store, clock))
        routers.append(api.commands.investment_model.routes(told.store, told.rebalanced, clock))
        routers.append(api.commands.rebalance.routes(told.runs))
        routers.append(api.commands.execution.routes(told.recording, clock))
        routers.append(api.commands.batch.routes(told.batches))
        routers.append(api.commands.order.routes(told.desk))
    if asked is not None:
        routers.append(api.queries.analytics.routes(asked.analytics))
        routers.append(api.queries.transactions.routes(asked.transactions))
        routers.append(api.queries.prices.routes(asked.prices))
        routers.append(api.queries.securities.routes(asked.securities))
        routers.append(api.queries.asset_allocation.routes(asked.allocations))
        routers.append(api.queries.investment_model.routes(asked.investment_models))
        routers.append(api.queries.rebalance.routes(asked.rebalances, asked.verification, asked.orders))
        routers.append(api.queries.execution.routes(asked.executions))
        routers.append(api.queries.batch.routes(asked.batches))
        routers.append(api.queries.order.routes(asked.orders))
    if told is not None:
        routers.append(api.commands.work.routes(told.retries))
    if asked is not None:
        routers.append(api.queries.work.routes(asked.work))
    routers.append(api.queries.system.routes(deps.health, deps.registry))
    routers.append(api.queries.problems.routes())
    routers.append(api.queries.reference.routes(app.openapi))
    return routers
