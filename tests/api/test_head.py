"""HEAD is answered as GET is, without the body: balancers and proxies ask by it."""

from __future__ import annotations

from dataclasses import replace

import httpx2
import pytest
from fastapi import FastAPI
from starlette.routing import Route

from api.app import Application, create_app
from api.queries.system import Part, State
from api.security.keys import collected, entry_of
from tests.api.asking import opening
from tests.api.connecting import Answer, Line, connected, request
from tests.api.doubles import Behind

HEADERS = ["X-Correlation-ID: one"]


def asked(app: Application) -> list[str]:
    """Return the paths of all routes that take GET."""
    return [route.path for route in app.routes if isinstance(route, Route) and "GET" in (route.methods or ())]


async def both(line: Line, path: str, *headers: str) -> tuple[Answer, Answer]:
    """Return the answers to GET and to HEAD."""
    await line.send(request("GET", path, headers=[*HEADERS, *headers]))
    got = await line.answer()
    await line.send(request("HEAD", path, headers=[*HEADERS, *headers]))
    return got, await line.answer(bodiless=True)


async def test_every_path_that_takes_get_takes_head(app: Application, client: httpx2.AsyncClient) -> None:
    await client.post("/api/v1/portfolios", json=opening())
    seen = set()
    async with connected(app) as line:
        for path in asked(app):
            got, headed = await both(line, path.replace("{portfolio_id}", "ACC-1"))
            seen.add(got.status)
            if path == "/metrics":  # it counts the questions too
                got.headers["content-length"] = headed.headers["content-length"]
            assert (headed.status, headed.headers) == (got.status, got.headers), path
        assert (await both(line, "/healthz"))[0].body == b'{"status":"alive"}'
    assert {200, 404} <= seen


async def test_head_tells_version_and_length(app: Application, client: httpx2.AsyncClient) -> None:
    opened = await client.post("/api/v1/portfolios", json=opening())
    async with connected(app) as line:
        _, headed = await both(line, "/api/v1/portfolio/ACC-1/state")
    assert headed.status == 200
    assert headed.headers["etag"] == opened.headers["etag"]
    assert headed.headers["content-length"] == str(len(opened.content))


async def test_a_process_that_is_not_ready_tells_head_so(app: Application, behind: Behind) -> None:
    behind.health.told = [Part("event log", State.DOWN)]
    async with connected(app) as line:
        got, headed = await both(line, "/readyz")
    assert got.status == headed.status == 503
    assert got.headers == headed.headers


@pytest.mark.parametrize("path", ["/api/v1/portfolio/ACC-1/update", "/portfolio"])
async def test_head_of_what_has_no_get_is_405(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.head(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_head_needs_the_scope_of_get(behind: Behind) -> None:
    entries = [("keys", entry_of(f"flk_{scope}", scope, [scope])) for scope in ("read", "write")]
    app = create_app(replace(behind.deps(), keys=collected(entries)))
    async with connected(app) as line:
        for key, open_status, status in [("", 200, 401), ("flk_read", 200, 200), ("flk_write", 200, 403)]:
            bearer = [f"Authorization: Bearer {key}"] if key else []
            assert [answer.status for answer in await both(line, "/healthz", *bearer)] == [open_status] * 2
            assert [answer.status for answer in await both(line, "/api/v1/portfolios", *bearer)] == [status] * 2


async def test_head_is_counted_as_itself(client: httpx2.AsyncClient) -> None:
    await client.head("/healthz")
    text = (await client.get("/metrics")).text
    assert 'foliolog_http_requests_total{method="HEAD",route="/healthz",status="200"} 1.0' in text


def test_the_document_does_not_list_head(app: FastAPI) -> None:
    assert "head" not in {method for methods in app.openapi()["paths"].values() for method in methods}
