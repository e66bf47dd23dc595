"""The HTTP application: all routes over what they need, one layer around them, one OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

import api.commands.portfolio
import api.queries.portfolio
import api.queries.problems
import api.queries.reference
import api.queries.system
from api.documented import tidied
from api.errors import Answers, OwnBody
from api.metrics import HttpMetrics, InFlight
from api.middleware import Http
from api.queries.system import Health
from read_side.portfolio import Portfolios
from write_side.event_store import EventStore

VERSION = "0.1.0"
DESCRIPTION = (
    "Portfolios on one event log. A command answers with the log position it reached (`X-Position`); a query given "
    "that position as `at_least` has seen it. Numbers are exact: JSON numbers with all their digits. Errors are "
    "problem details (RFC 9457)."
)


@dataclass(frozen=True, kw_only=True)
class Deps:
    """What the routes need. Without a ``store`` there are no commands, without ``portfolios`` no queries (roles)."""

    clock: Callable[[], datetime]
    health: Health
    store: EventStore | None = None
    portfolios: Portfolios | None = None
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    in_flight: InFlight = field(default_factory=InFlight)
    log_all: bool = False
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None


class Application(FastAPI):
    """FastAPI with one layer of ours in place of its five, and with our errors in its OpenAPI document."""

    def __init__(self, *, layer: Callable[[ASGIApp], ASGIApp], **options: Any) -> None:
        self._layer = layer
        super().__init__(**options)

    def build_middleware_stack(self) -> ASGIApp:
        """Return the layer around the routes; the exit stack is what FastAPI's own routes want to find."""
        return self._layer(AsyncExitStackMiddleware(self.router))

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, made once."""
        if self.openapi_schema is None:
            tidied(super().openapi())
        return super().openapi()


def create_app(deps: Deps, *, own_bodies: Sequence[OwnBody] = ()) -> Application:
    """Return the application; nothing runs yet. ``own_bodies`` are the paths whose errors have a body of their own."""
    app = Application(
        layer=lambda inner: Http(
            inner,
            answers=Answers(own_bodies),
            metrics=HttpMetrics(deps.registry, deps.in_flight),
            in_flight=deps.in_flight,
            log_all=deps.log_all,
        ),
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
    return app


def _routers(deps: Deps, app: Application) -> list[APIRouter]:
    """Return all routers, those asked most first: a request is matched against one route after the other."""
    routers = []
    if deps.portfolios is not None:
        routers.append(api.queries.portfolio.routes(deps.portfolios))
    if deps.store is not None:
        routers.append(api.commands.portfolio.routes(deps.store, deps.clock))
    routers.append(api.queries.system.routes(deps.health, deps.registry))
    routers.append(api.queries.problems.routes())
    routers.append(api.queries.reference.routes(app.openapi))
    return routers
