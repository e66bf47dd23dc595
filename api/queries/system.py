"""Routes for who runs it: alive, ready, metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Protocol, Self

import msgspec
from fastapi import Depends
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from api.documented import problems
from api.problems import Problem, RequestProblem
from api.routing import Router
from api.security.callers import is_stranger


class State(StrEnum):
    """How a part is."""

    UP = "up"
    DEGRADED = "degraded"
    """It is not there and the rest does without."""
    DOWN = "down"
    """It is not there and the rest cannot do without."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the running system; ``members`` are whatever is to be told about it (position, lag, error)."""

    name: str
    state: State
    members: Mapping[str, Any] = field(default_factory=dict)


class Health(Protocol):
    """Looks at every part this process needs; never raises, and takes no longer than a probe waits."""

    async def parts(self) -> Sequence[Part]:
        """Return all parts: the event log, the migrations, each view with its lag, the hot copy."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: a ``stranger`` has brought no API key where there are some."""

    stranger: bool

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return who has sent this request."""
        return cls(is_stranger(request.scope))


def _no_parameters() -> None:
    """What FastAPI documents of ``Asker``."""


Asking = Annotated[Asker, Depends(_no_parameters)]


def routes(health: Health, registry: CollectorRegistry) -> Router:
    """Return the router of these."""
    router = Router("system")

    async def get_alive() -> Response:
        return Response(b'{"status":"alive"}', media_type="application/json")

    async def get_ready(asker: Asking) -> Response:
        parts = await health.parts()
        told = [{"name": part.name, "state": part.state, **part.members} for part in parts]
        if asker.stranger:  # an error can name a portfolio, or a server
            told = [{name: value for name, value in part.items() if name != "error"} for part in told]
        down = [part.name for part in parts if part.state is State.DOWN]
        if down:
            raise RequestProblem(
                Problem(
                    code="not-ready",
                    detail=f"not ready: {', '.join(down)}",
                    headers={"Retry-After": "1"},
                    members={"parts": told},
                )
            )
        degraded = any(part.state is State.DEGRADED for part in parts)
        body = msgspec.json.encode({"status": "degraded" if degraded else "ready", "parts": told})
        return Response(body, media_type="application/json")

    for path in _ALIVE:
        router.add_api_route(
            path,
            get_alive,
            operation_id=_named("alive", path),
            summary="Alive",
            description="The process answers.",
            responses={200: _json("It is alive", {"type": "object", "properties": {"status": {"const": "alive"}}})},
        )
    for path in _HEALTH:
        router.add_api_route(
            path,
            get_ready,
            operation_id=_named("ready", path),
            summary="Ready",
            description="Every part and its state. A part that is only degraded leaves the process ready.",
            responses={
                200: _json("It is ready; `degraded` when it does without a part", _READY),
                **problems("not-ready", "internal-error"),
            },
        )

    @router.get(
        "/metrics",
        summary="Metrics",
        description="Metrics for Prometheus.",
        responses={200: {"description": "Metrics", "content": {"text/plain": {"schema": {"type": "string"}}}}},
        response_class=Response,
    )
    async def get_metrics() -> Response:
        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return router


_ALIVE = ("/healthz", "/health/live")
_HEALTH = ("/readyz", "/health/ready", "/health/health")
"""The same under the names of seeds 001 and 002."""


def _named(what: str, path: str) -> str:
    return f"get_{what}" if path.endswith("z") else f"get_{path.strip('/').replace('/', '_')}"


_READY: dict[str, Any] = {
    "type": "object",
    "required": ["status", "parts"],
    "properties": {
        "status": {"type": "string", "enum": ["ready", "degraded"]},
        "parts": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "state"],
                "properties": {
                    "name": {"type": "string"},
                    "state": {"type": "string", "enum": [str(state) for state in State]},
                },
            },
        },
    },
}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
