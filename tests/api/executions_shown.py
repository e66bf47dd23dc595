"""The queries on executions and batches over a desk in memory, and what their errors look like."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from fastapi import FastAPI

import api.queries.batch
import api.queries.execution
from api.app import Deps, create_app
from projections.batch import BATCH_PROJECTOR
from projections.execution import EXECUTION_PROJECTOR
from read_side.batch import Batches
from read_side.execution import Executions
from tests.api.doubles import AtOnce, Parts
from tests.api.folded import FoldedViews
from tests.domain.executions import NOW
from tests.projections.executing import Desk


def app_over(desk: Desk) -> FastAPI:
    """Return an application that has these queries alone."""
    views, signals = FoldedViews(desk.events, (EXECUTION_PROJECTOR, BATCH_PROJECTOR)), AtOnce()
    app = create_app(Deps(clock=lambda: NOW, health=Parts()))
    batches = Batches(views, signals)
    app.router.routes.extend(api.queries.execution.routes(Executions(views, signals, batches)).routes)
    app.router.routes.extend(api.queries.batch.routes(batches).routes)
    return app


@asynccontextmanager
async def client_of(desk: Desk) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=app_over(desk), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://foliolog") as client:
        yield client


def is_refused(answer: httpx2.Response, status: int, message: str) -> dict[str, Any]:
    """Check that the answer is the seed's error with this message, whole; return its details."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body: dict[str, Any] = answer.json()
    assert list(body) == ["message", "status", "timestamp", "details"]
    assert (body["message"], body["status"], body["timestamp"]) == (message, status, "2025-06-21T10:00:00Z")
    details: dict[str, Any] = body["details"]
    return details
