"""API keys at the door: who comes in, what each route needs, and what is answered to those who do not get in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx2
import pytest
import structlog
from starlette.routing import Mount, Route, WebSocketRoute

from api.app import Application, create_app
from api.middleware import MAX_BODY
from api.security.admission import guard
from api.security.keys import Entry, collected, entry_of
from api.security.routes import OPEN, OPERATORS, QUESTIONS, needed
from tests.api.asking import is_problem, moving, opening
from tests.api.doubles import Behind

TOKENS = {name: f"flk_{name}" for name in ("reader", "writer", "operator", "desk")}
SCOPES = {"reader": ["read"], "writer": ["write"], "operator": ["admin"], "desk": ["read", "write"]}
UPDATE = "/api/v1/portfolio/ACC-1/update"
STATE = "/api/v1/portfolio/ACC-1/state"

OPEN_ROUTES = """
    GET /healthz, GET /health/live, GET /readyz, GET /health/ready, GET /health/health, GET /docs,
    GET /openapi.json, GET /problems, GET /problems/{code}
"""
READ = """
    GET /api/v1/portfolio/{portfolio_id}/state, GET /api/v1/portfolio/{portfolio_id}/positions,
    GET /api/v1/portfolio/{portfolio_id}/weights, GET /api/v1/portfolio/{portfolio_id}/analytics,
    GET /api/v1/portfolio/{portfolio_id}/performance, GET /api/v1/portfolio/{portfolio_id}/transactions,
    GET /api/v1/portfolios, GET /api/v1/prices, GET /api/v1/securities, GET /api/v1/securities/{security_id},
    GET /portfolio/{user_id}, GET /transactions, GET /api/v1/models, GET /api/v1/models/{model_id},
    GET /api/v1/rebalances, GET /api/v1/rebalances/{rebalance_id}, POST /api/v1/rebalances/search,
    GET /api/v1/rebalances/{rebalance_id}/verification, GET /api/v1/rebalances/{rebalance_id}/orders,
    GET /api/v1/operations/{operation_id}, GET /api/v1/executions, GET /api/v1/executions/failed,
    GET /api/v1/executions/{execution_id}, GET /api/v1/batches, GET /api/v1/batches/{batch_id},
    GET /api/v1/work/parked, GET /metrics
"""
WRITE = """
    POST /api/v1/portfolios, POST /api/v1/portfolio/{portfolio_id}/update,
    PUT /api/v1/portfolio/{portfolio_id}/status, POST /api/v1/prices, PUT /api/v1/securities/{security_id},
    POST /portfolio, POST /rebalance, POST /api/v1/models, PUT /api/v1/models/{model_id},
    DELETE /api/v1/models/{model_id}, POST /api/v1/models/{model_id}/positions,
    PUT /api/v1/models/{model_id}/positions/{security_id}, DELETE /api/v1/models/{model_id}/positions/{security_id},
    POST /api/v1/models/{model_id}/portfolios, DELETE /api/v1/models/{model_id}/portfolios/{portfolio_id},
    POST /api/v1/rebalance/portfolio/{portfolio_id}, POST /api/v1/rebalance/model/{model_id},
    DELETE /api/v1/rebalances/{rebalance_id}, POST /api/v1/rebalances/{rebalance_id}/orders,
    POST /api/v1/rebalances/{rebalance_id}/orders/cancel, POST /api/v1/executions, POST /api/v1/executions/send
"""
ADMIN = """
    POST /api/v1/work/parked/{policy}/{position}/retry, POST /api/v1/executions/retry,
    POST /api/v1/executions/{execution_id}/resend, POST /api/v1/executions/{execution_id}/book,
    POST /api/v1/batches/{batch_id}/retry, POST /api/v1/batches/{batch_id}/cancel
"""


def entry(name: str) -> Entry:
    return entry_of(TOKENS[name], name, SCOPES[name])


def bearing(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS[name]}"}


@pytest.fixture
def app(behind: Behind) -> Application:
    """The application where four have keys."""
    return create_app(replace(behind.deps(), keys=collected([(name, entry(name)) for name in TOKENS])))


@pytest.fixture
def desk(client: httpx2.AsyncClient) -> httpx2.AsyncClient:
    """A client whose key is for reading and writing."""
    client.headers.update(bearing("desk"))
    return client


def routes_of(table: str) -> set[str]:
    return {" ".join(line.split()) for line in table.split(",")}


def test_every_route_says_which_scope_it_needs(app: Application) -> None:
    told = {
        "open": routes_of(OPEN_ROUTES),
        "read": routes_of(READ),
        "write": routes_of(WRITE),
        "admin": routes_of(ADMIN),
    }
    found: dict[str, set[str]] = {}
    for route in app.routes:
        assert isinstance(route, Route)
        methods = route.methods or set()
        assert ("HEAD" in methods) is ("GET" in methods), route.path
        name = f"{' '.join(sorted(methods - {'HEAD'}))} {route.path}"
        found.setdefault(needed(route) or "open", set()).add(name)
    assert found == told


def test_what_is_excepted_is_there(app: Application) -> None:
    paths = {route.path for route in app.routes if isinstance(route, Route)}
    operations = {getattr(route, "operation_id", None) for route in app.routes}
    assert OPEN - paths == set()
    assert (OPERATORS | QUESTIONS) - operations == set()


@pytest.mark.parametrize("route", [Mount("/x", routes=[]), WebSocketRoute("/x", lambda socket: socket)])
def test_a_route_that_nothing_guards_ends_the_start(route: Any) -> None:
    with pytest.raises(TypeError, match=r"say in api\.security.routes how keys guard it"):
        guard([route])


async def test_no_route_answers_without_a_key_or_the_scope_it_needs(
    app: Application, client: httpx2.AsyncClient
) -> None:
    for route in app.routes:
        assert isinstance(route, Route)
        path, needs = route.path.replace("{", "").replace("}", ""), needed(route)
        for method in route.methods or ():
            if needs is None:
                assert (await client.request(method, path)).status_code in {200, 404}, path
                continue
            assert (await client.request(method, path)).status_code == 401, path
            for name in ("reader", "writer", "operator"):
                answer = await client.request(method, path, headers=bearing(name))
                assert (answer.status_code == 403) is (SCOPES[name] != [needs]), (name, path)
                assert answer.status_code != 401, (name, path)


@pytest.mark.parametrize("name", ["/nothing", "/", "/api/v1/portfolios/", "/a%2fb", "/healthz/x"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "BREW", "OPTIONS"])
async def test_a_stranger_does_not_learn_which_paths_there_are(
    client: httpx2.AsyncClient, name: str, method: str
) -> None:
    answer = await client.request(method, name)
    assert answer.status_code == 401
    known = await client.request(method, name, headers=bearing("reader"))
    assert known.status_code == 404


@pytest.mark.parametrize(("method", "path"), [("DELETE", STATE), ("HEAD", UPDATE), ("PATCH", "/healthz")])
async def test_methods_are_told_to_who_has_a_key(client: httpx2.AsyncClient, method: str, path: str) -> None:
    assert (await client.request(method, path)).status_code == 401
    assert (await client.request(method, path, headers=bearing("reader"))).status_code == 405


async def test_without_a_key_the_challenge_names_no_error(client: httpx2.AsyncClient) -> None:
    for headers in ({}, {"Authorization": ""}, {"Authorization": "Basic ZGVzazpkZXNr"}):
        answer = await client.get(STATE, headers=headers)
        is_problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == 'Bearer realm="foliolog"'


@pytest.mark.parametrize(
    "token",
    ["flk_other", "flk_desk x", "FLK_DESK", "", "desk", entry("desk").digest.hex(), "flk_desk, Bearer flk_desk"],
)
async def test_a_key_that_is_not_known_is_an_invalid_token(client: httpx2.AsyncClient, token: str) -> None:
    answer = await client.get(STATE, headers={"Authorization": f"Bearer {token}"})
    problem = is_problem(answer, 401, "unauthorized")
    challenge = 'Bearer realm="foliolog"' + (', error="invalid_token"' if token else "")
    assert answer.headers["www-authenticate"] in {challenge, 'Bearer realm="foliolog", error="invalid_token"'}
    assert not token or token not in str(problem)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER ", "bearer  "])
async def test_the_scheme_is_taken_in_any_case(client: httpx2.AsyncClient, scheme: str) -> None:
    answer = await client.get("/api/v1/portfolios", headers={"Authorization": f"{scheme} {TOKENS['reader']}"})
    assert answer.status_code == 200


async def test_beyond_its_scope_a_key_is_told_which_is_needed(client: httpx2.AsyncClient) -> None:
    answer = await client.post(UPDATE, json=moving(1), headers=bearing("reader"))
    problem = is_problem(answer, 403, "forbidden")
    assert problem["detail"] == "this API key (reader) is for read, and this needs write"
    assert answer.headers["www-authenticate"] == ('Bearer realm="foliolog", error="insufficient_scope", scope="write"')
    retry = await client.post("/api/v1/work/parked/x/1/retry", headers=bearing("desk"))
    assert is_problem(retry, 403, "forbidden")["detail"].endswith("is for read and write, and this needs admin")


async def test_under_the_seeds_paths_refusals_wear_their_bodies(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/rebalance", json={})
    assert (answer.status_code, answer.json()["success"]) == (401, False)
    assert set(answer.json()) == {"success", "message"}
    assert answer.headers["www-authenticate"] == 'Bearer realm="foliolog"'
    forbidden = await client.post("/portfolio", json={}, headers=bearing("reader"))
    assert (forbidden.status_code, forbidden.json()["success"]) == (403, False)
    assert 'scope="write"' in forbidden.headers["www-authenticate"]

    answer = await client.post("/api/v1/batches/1/retry")
    assert (answer.status_code, answer.json()["status"], answer.json()["details"]) == (
        401,
        401,
        {"code": "unauthorized"},
    )
    assert answer.headers["www-authenticate"] == 'Bearer realm="foliolog"'
    forbidden = await client.get("/api/v1/executions", headers=bearing("writer"))
    assert (forbidden.status_code, forbidden.json()["details"]) == (403, {"code": "forbidden"})
    assert 'scope="read"' in forbidden.headers["www-authenticate"]


async def test_a_body_is_not_looked_at_before_the_key(client: httpx2.AsyncClient, behind: Behind) -> None:
    headers = {"Content-Type": "text/plain"}
    assert (await client.post(UPDATE, content=b"{", headers=headers)).status_code == 401
    assert (await client.post(UPDATE, content=b" " * (MAX_BODY + 1))).status_code == 401
    assert (await client.post("/api/v1/portfolios", json=opening())).status_code == 401
    assert behind.log.events == []


async def test_the_caller_is_the_name_of_the_key(desk: httpx2.AsyncClient, behind: Behind) -> None:
    for user in ({}, {"X-User": "somebody else"}, {"X-User": "x" * 101}):
        answer = await desk.post("/api/v1/portfolios", json=opening(f"P{len(user.get('X-User', ''))}"), headers=user)
        assert answer.status_code == 201, answer.text
    assert [context.actor for context in behind.log.contexts] == ["desk"] * 3


async def test_idempotency_keys_of_two_callers_do_not_meet(desk: httpx2.AsyncClient) -> None:
    key = {"Idempotency-Key": "key-1"}
    assert (await desk.post("/api/v1/portfolios", json=opening(), headers=key)).status_code == 201
    again = await desk.post("/api/v1/portfolios", json=opening(), headers={**key, "X-User": "other"})
    assert again.headers["idempotency-replayed"] == "true"
    other = await desk.post("/api/v1/portfolios", json=opening("P2"), headers={**key, **bearing("writer")})
    assert other.status_code == 201
    assert "idempotency-replayed" not in other.headers


async def test_two_keys_of_one_name_are_one_caller(behind: Behind) -> None:
    old, new = (entry_of(token, "desk", ["write"]) for token in ("flk_old", "flk_new"))
    app = create_app(replace(behind.deps(), keys=collected([("old", old), ("new", new)])))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://foliolog") as client:
        answers = [
            await client.post(
                "/api/v1/portfolios",
                json=opening(),
                headers={"Idempotency-Key": "key-1", "Authorization": f"Bearer {token}"},
            )
            for token in ("flk_old", "flk_new")
        ]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[1].headers["idempotency-replayed"] == "true"


async def test_the_log_names_the_caller_and_never_the_key(client: httpx2.AsyncClient) -> None:
    with structlog.testing.capture_logs() as lines:
        await client.get("/nothing", headers=bearing("reader"))
        await client.get("/nothing", headers={"Authorization": "Bearer flk_wrong"})
    assert [line.get("caller") for line in lines] == ["reader", None]
    assert "flk_" not in str(lines)


async def test_without_keys_nothing_is_asked_for(behind: Behind) -> None:
    app = create_app(behind.deps())
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://foliolog") as client:
        assert (await client.get("/api/v1/portfolios")).status_code == 200
        headers = {"Authorization": "Bearer flk_of another server"}
        assert (await client.get("/api/v1/portfolios", headers=headers)).status_code == 200


def test_the_document_names_the_scope_of_every_operation(app: Application, behind: Behind) -> None:
    document, open_document = app.openapi(), create_app(behind.deps()).openapi()
    assert document["components"]["securitySchemes"] == open_document["components"]["securitySchemes"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            without = open_document["paths"][path][method]
            if path in OPEN:
                assert operation["security"] == without["security"] == []
                continue
            [needs] = operation["security"]
            assert without["security"] == [needs, {}]
            assert "401" not in without["responses"]
            assert "x-user" not in str(operation["parameters"])
            for status in ("401", "403"):
                told = operation["responses"][status]
                response = document["components"]["responses"][told["$ref"].rpartition("/")[2]]
                assert response["headers"].keys() == {"WWW-Authenticate"}
    assert document["paths"]["/api/v1/batches/{batch_id}/cancel"]["post"]["security"] == [{"bearer": ["admin"]}]
    assert document["paths"][UPDATE.replace("ACC-1", "{portfolio_id}")]["post"]["security"] == [{"bearer": ["write"]}]


@pytest.mark.parametrize(
    ("path", "status"), [("/rebalance", "401"), ("/api/v1/executions", "403"), ("/api/v1/prices", "401")]
)
async def test_refusals_have_the_body_that_is_documented(
    app: Application, client: httpx2.AsyncClient, path: str, status: str
) -> None:
    document = app.openapi()
    told = document["paths"][path]["post"]["responses"][status]
    [(media_type, content)] = document["components"]["responses"][told["$ref"].rpartition("/")[2]]["content"].items()
    answer = await client.post(path, json={}, headers={} if status == "401" else bearing("reader"))
    assert answer.headers["content-type"] == media_type
    [example] = content["examples"].values()
    assert answer.json().keys() == example["value"].keys()


async def test_the_reference_shows_guarded_operations(client: httpx2.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.status_code == 200
    assert "An API key is needed" in page.text
