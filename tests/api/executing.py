"""The routes of commands on executions over a log in memory, and short names for what tests send them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx2
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from api.app import Application
from api.commands.execution import routes
from api.errors import Answers
from api.metrics import HttpMetrics, InFlight
from api.middleware import Http
from api.seed_001 import of_seed_001
from domain.batch import Batch, BatchSequence, Quantity
from domain.portfolio import Portfolio
from tests.domain.executions import NOW, SECURITY
from tests.write_side.reporting import AskedLog, Desk, in_memory
from tests.write_side.stores import by

PATH = "/api/v1/executions"
EXISTS = "execution already exists"


@dataclass
class Reported:
    """Everything behind the routes, and a client of them."""

    client: httpx2.AsyncClient
    desk: Desk
    log: AskedLog

    async def post(self, *rows: Any, **request: Any) -> httpx2.Response:
        return await self.client.post(PATH, json=list(rows), **request)

    async def open(self, portfolio_id: str = "ACC-1", cash: str = "100000") -> None:
        opened = Portfolio.open(portfolio_id, portfolio_id, Decimal(cash), NOW)
        await self.desk.store.record(opened, context=by())

    async def started(self, count: int = 1) -> Batch:
        """Start the next batch, with everything so far; nobody sends it."""
        sequence = await self.desk.store.load(BatchSequence, BatchSequence.KEY) or BatchSequence.begin(NOW)
        head = await self.log.head()
        batch = sequence.start(head, count=count, quantity=Quantity.QUANTITY, by_cli=True, at=NOW)
        await self.desk.store.record(sequence, batch, context=by())
        return batch

    async def sent(self, **rejected: int) -> Batch:
        """Send everything so far in one batch, of which these are rejected, by reason."""
        batch = await self.started()
        sequence = await self.desk.store.load(BatchSequence, BatchSequence.KEY)
        assert sequence is not None
        batch.send(NOW, rejected={reason: [execution_id] for reason, execution_id in rejected.items()})
        sequence.settle(batch.batch_id, NOW)
        await self.desk.store.record(batch, sequence, context=by())
        return batch


@asynccontextmanager
async def reporting() -> AsyncIterator[Reported]:
    """Serve these routes alone, within the layer of the application."""
    desk, log = in_memory()
    app = Application(layer=_layer)
    app.state.clock = lambda: NOW
    app.router.routes[:] = routes(desk.recording, lambda: NOW).routes
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://foliolog") as client:
        yield Reported(client, desk, log)


def _layer(inner: ASGIApp) -> ASGIApp:
    in_flight = InFlight()
    metrics = HttpMetrics(CollectorRegistry(), in_flight)
    return Http(inner, answers=Answers((of_seed_001(lambda: NOW),)), metrics=metrics, in_flight=in_flight)


def row(service_id: Any = 4711, **members: Any) -> dict[str, Any]:
    """A good row but for these members."""
    return {
        "executionServiceId": service_id,
        "isOpen": False,
        "executionStatus": "FILLED",
        "tradeType": "BUY",
        "destination": "NYSE",
        "securityId": SECURITY,
        "ticker": "TECH",
        "quantity": 100,
        "limitPrice": None,
        "receivedTimestamp": "2025-06-18T13:59:58Z",
        "sentTimestamp": "2025-06-18T10:00:00-04:00",
        "lastFillTimestamp": None,
        "quantityFilled": 100,
        "totalAmount": 5712.35,
        "averagePrice": 57.1235,
        **members,
    }


def without(name: str, **members: Any) -> dict[str, Any]:
    """A good row without this member."""
    return {each: value for each, value in row(**members).items() if each != name}


def created(service_id: int, execution_id: int) -> dict[str, Any]:
    return {"executionServiceId": service_id, "status": "created", "executionId": execution_id}


def error(service_id: int, message: str) -> dict[str, Any]:
    return {"executionServiceId": service_id, "status": "error", "error": message}


def is_refused(answer: httpx2.Response, status: int, message: str) -> dict[str, Any]:
    """Check that the answer is this error in the seed's own body; return its details."""
    body = answer.json()
    assert (answer.status_code, body.get("message"), body.get("status")) == (status, message, status), answer.text
    assert (list(body), body["timestamp"]) == (["message", "status", "timestamp", "details"], "2025-06-21T10:00:00Z")
    details: dict[str, Any] = body["details"]
    return details
