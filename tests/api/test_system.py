"""What who runs it can ask: alive, ready, metrics, the reference; and what the log tells."""

from __future__ import annotations

import io
import json
import logging

import httpx2
import pytest
import structlog
from fastapi import FastAPI

from api.logs import configure
from api.metrics import InFlight
from api.queries.system import Part, State
from tests.api.asking import is_problem, opening
from tests.api.doubles import Behind


async def test_it_is_alive_whatever_else_is_down(client: httpx2.AsyncClient, behind: Behind) -> None:
    behind.health.told = [Part("event log", State.DOWN)]
    assert (await client.get("/healthz")).json() == {"status": "alive"}


@pytest.mark.parametrize(
    ("states", "status"), [([State.UP, State.UP], "ready"), ([State.UP, State.DEGRADED], "degraded")]
)
async def test_ready_names_every_part(
    client: httpx2.AsyncClient, behind: Behind, states: list[State], status: str
) -> None:
    behind.health.told = [Part("event log", states[0], {"position": 7}), Part("hot copy", states[1])]
    answer = await client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": status,
        "parts": [{"name": "event log", "state": "up", "position": 7}, {"name": "hot copy", "state": states[1]}],
    }


async def test_a_part_that_is_down_makes_it_unready(client: httpx2.AsyncClient, behind: Behind) -> None:
    behind.health.told = [Part("event log", State.UP), Part("view portfolios", State.DOWN, {"error": "poison at 7"})]
    answer = await client.get("/readyz")
    problem = is_problem(answer, 503, "not-ready")
    assert "view portfolios" in problem["detail"]
    assert problem["parts"][1] == {"name": "view portfolios", "state": "down", "error": "poison at 7"}


async def test_requests_are_counted_by_route_not_by_path(client: httpx2.AsyncClient) -> None:
    for number in range(3):
        await client.get(f"/api/v1/portfolio/{number}/state")
    await client.get("/nothing/7")
    await client.request("BREW", "/nothing/8")
    text = (await client.get("/metrics")).text
    state = 'method="GET",route="/api/v1/portfolio/{portfolio_id}/state"'
    assert f'foliolog_http_requests_total{{{state},status="404"}} 3.0' in text
    assert f"foliolog_http_request_duration_seconds_count{{{state}}} 3.0" in text
    assert 'foliolog_http_requests_total{method="other",route="unknown",status="404"} 1.0' in text
    assert "foliolog_http_requests_in_flight 1.0" in text
    assert "/nothing" not in text


async def test_the_reference_needs_nothing_from_elsewhere(client: httpx2.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "/api/v1/portfolio/{portfolio_id}/update" in page.text
    assert "://" not in page.text
    assert "<script" not in page.text


async def test_who_stops_waits_for_what_is_in_flight() -> None:
    in_flight = InFlight()
    await in_flight.drained()
    in_flight.enter()
    in_flight.enter()
    in_flight.leave()
    assert in_flight.count == 1
    in_flight.leave()
    await in_flight.drained()


async def test_a_failure_is_logged_with_its_correlation_id_and_reason(
    client: httpx2.AsyncClient, behind: Behind
) -> None:
    behind.log.failure = RuntimeError("reason of the inside")
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        await client.post("/api/v1/portfolios", json=opening(), headers={"X-Correlation-ID": "abc-1"})
        await client.get("/healthz")
    failed, access = lines
    assert (failed["event"], failed["correlation_id"], failed["exc_info"]) == ("request failed", "abc-1", True)
    assert (access["event"], access["status"], access["route"]) == ("request", 500, "/api/v1/portfolios")


def test_the_log_is_json_lines_the_libraries_too(app: FastAPI) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    out = io.StringIO()
    try:
        configure("INFO", "json", stream=out)
        structlog.get_logger("mine").info("one", amount=1)
        logging.getLogger("theirs").warning("two %s", 2)
        structlog.get_logger("mine").debug("three")
        try:
            raise ValueError("oops")
        except ValueError:
            logging.getLogger("theirs").exception("four")
    finally:
        root.handlers, root.level = handlers, level
        structlog.reset_defaults()
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["one", "two 2", "four"]
    assert "ValueError: oops" in lines[2]["exception"]
    assert all(line["timestamp"].endswith("Z") for line in lines)
