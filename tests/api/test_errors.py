"""Every error is a problem (RFC 9457), whoever raises it; nothing of the inside leaves the process."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx2
import pytest
import structlog
from fastapi import FastAPI
from starlette.responses import JSONResponse, Response

import domain.errors
from api.app import create_app
from api.errors import OwnBody, of_ours
from api.middleware import MAX_BODY
from api.problems import CATALOGUE, Problem
from domain.errors import Broken, FoliologError, OutcomeUnknown, Overloaded, StoreUnavailable
from tests.api.asking import JSON, is_problem, moving, opening, pointers
from tests.api.doubles import Behind

UPDATE = "/api/v1/portfolio/ACC-1/update"


@pytest.mark.parametrize("path", ["/", "/nothing", "/api/v1/portfolios/", "/api/v1/portfolio/a/b/state", "/n%C3%B6%22"])
async def test_an_unknown_path_is_a_problem(client: httpx2.AsyncClient, path: str) -> None:
    is_problem(await client.get(path), 404, "unknown-path")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/api/v1/portfolios", "GET, HEAD, POST"),
        ("POST", "/api/v1/portfolio/ACC-1/state", "GET, HEAD"),
        ("GET", UPDATE, "POST"),
        ("TRACE", UPDATE, "POST"),
        ("PATCH", "/healthz", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_names_all_right_ones(
    client: httpx2.AsyncClient, method: str, path: str, allow: str
) -> None:
    answer = await client.request(method, path)
    is_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == allow


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json",
     "", "application/json; charset=latin-1", "text/json"],
)  # fmt: skip
async def test_another_content_type_is_refused(client: httpx2.AsyncClient, content_type: str) -> None:
    answer = await client.post(UPDATE, content=json.dumps(moving(1)), headers={"Content-Type": content_type})
    is_problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "application/json"},
        {"Content-Type": "Application/JSON; charset=UTF-8"},
        {"Content-Type": "application/merge-patch+json"},
    ],
)
async def test_json_and_no_content_type_are_taken(client: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    answer = await client.post("/api/v1/portfolios", content=json.dumps(opening()), headers=headers)
    assert answer.status_code == 201


async def test_a_body_too_large_by_its_length_is_not_read(client: httpx2.AsyncClient) -> None:
    answer = await client.post(UPDATE, content=b" " * (MAX_BODY + 1), headers=JSON)
    is_problem(answer, 413, "body-too-large")


async def test_a_body_of_no_declared_length_ends_at_the_limit(client: httpx2.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b" " * 65536

    is_problem(await client.post(UPDATE, content=endless(), headers=JSON), 413, "body-too-large")


async def test_a_body_of_exactly_the_limit_is_taken(client: httpx2.AsyncClient) -> None:
    body = json.dumps(opening()).encode()
    answer = await client.post("/api/v1/portfolios", content=body + b" " * (MAX_BODY - len(body)), headers=JSON)
    assert answer.status_code == 201


@pytest.mark.parametrize("body", [b"", b"{", b'{"a":NaN}', b'{"a":1,"a":2}', b"\xff", b"[" * 100_000])
async def test_a_body_that_is_not_json_is_400(client: httpx2.AsyncClient, body: bytes) -> None:
    is_problem(await client.post(UPDATE, content=body, headers=JSON), 400, "not-json")


@pytest.mark.parametrize(("body", "places"), [(b"[]", [""]), (b"null", [""]), (b"1", [""]), (b'"x"', [""]),
                                              (b"{}", ["/updates", "/timestamp"])])  # fmt: skip
async def test_json_of_another_shape_is_422(client: httpx2.AsyncClient, body: bytes, places: list[str]) -> None:
    problem = is_problem(await client.post(UPDATE, content=body, headers=JSON), 422, "invalid-request")
    assert pointers(problem) == places


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (StoreUnavailable("gone"), "store-unavailable"),
        (OutcomeUnknown("lost"), "outcome-unknown"),
        (Overloaded("full"), "overloaded"),
    ],
)
async def test_what_may_succeed_later_says_when(
    client: httpx2.AsyncClient, behind: Behind, failure: FoliologError, code: str
) -> None:
    behind.log.failure = failure
    answer = await client.post("/api/v1/portfolios", json=opening())
    is_problem(answer, 503, code)
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize("failure", [RuntimeError("secret of the inside"), Broken("secret of the inside")])
async def test_a_defect_is_500_and_tells_nothing_but_the_correlation_id(
    client: httpx2.AsyncClient, behind: Behind, failure: Exception
) -> None:
    behind.log.failure = failure
    answer = await client.post("/api/v1/portfolios", json=opening(), headers={"X-Correlation-ID": "abc-1"})
    problem = is_problem(answer, 500, "internal-error")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert "abc-1" in problem["detail"]
    assert answer.headers["x-correlation-id"] == "abc-1"


def test_every_error_of_the_domain_is_answered_by_a_kind_in_the_catalogue() -> None:
    kinds = [
        kind for kind in vars(domain.errors).values() if isinstance(kind, type) and issubclass(kind, FoliologError)
    ]
    for kind in kinds:
        error = kind.__new__(kind)
        error.faults, error.current = (), 1  # type: ignore[attr-defined]
        problem = of_ours(error)
        abstract = kind in {FoliologError, domain.errors.Refused, Broken}
        assert abstract == (problem is None), kind
        assert problem is None or problem.code == kind.code, kind


async def test_the_catalogue_explains_every_code(client: httpx2.AsyncClient) -> None:
    for code, kind in CATALOGUE.items():
        answer = await client.get(f"/problems/{code}")
        assert answer.json() == {
            "type": f"/problems/{code}",
            "code": code,
            "status": kind.status,
            "title": kind.title,
            "description": kind.description,
        }
    assert len((await client.get("/problems")).json()["items"]) == len(CATALOGUE)
    is_problem(await client.get("/problems/oops"), 404, "not-found")


async def test_paths_with_an_error_body_of_their_own_wear_it(behind: Behind) -> None:
    def envelope(problem: Problem) -> Response:
        return JSONResponse({"success": False, "message": problem.code}, problem.status)

    app: FastAPI = create_app(behind.deps(), own_bodies=[OwnBody(("/ledger",), envelope)])
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://foliolog") as client:
        answer = await client.get("/ledger/ACC-1")
        assert (answer.status_code, answer.json()) == (404, {"success": False, "message": "unknown-path"})
        is_problem(await client.get("/ledgers"), 404, "unknown-path")
        is_problem(await client.get("/api/v1/ledger"), 404, "unknown-path")


async def test_a_caller_who_leaves_while_sending_is_no_failure_of_ours(app: FastAPI, behind: Behind) -> None:
    async def leaving() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def nobody(message: object) -> None:
        raise AssertionError(f"{message} is told to nobody")

    path = "/api/v1/portfolios"
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": []}
    with structlog.testing.capture_logs() as lines:
        await app(scope, leaving, nobody)
    assert [(line["event"], line["status"]) for line in lines] == [("request", 499)]
    assert behind.log.events == []
