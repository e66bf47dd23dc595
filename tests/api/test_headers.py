"""Headers: correlation, idempotency, conditions, how new an answer must be, and what every answer carries."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from tests.api.asking import is_problem, moving, opening, pointers, raw
from tests.api.doubles import Behind

STATE = "/api/v1/portfolio/ACC-1/state"
UPDATE = "/api/v1/portfolio/ACC-1/update"


@pytest.mark.parametrize("path", [STATE, "/healthz", "/nothing", "/docs"])
async def test_every_answer_carries_the_correlation_id_and_is_not_stored(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers={"X-Correlation-ID": "abc-1"})
    assert answer.headers.get_list("x-correlation-id") == ["abc-1"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("given", [None, "", "a b", "x" * 129, "a\tb", "é"])
async def test_a_correlation_id_that_is_none_is_replaced(client: httpx2.AsyncClient, given: str | None) -> None:
    headers = {} if given is None else raw({"X-Correlation-ID": given})
    answers = [(await client.get("/healthz", headers=headers)).headers["x-correlation-id"] for _ in range(2)]
    assert all(len(answer) == 32 for answer in answers)
    assert answers[0] != answers[1]


@pytest.mark.parametrize("user", ["", " ", "x" * 101, "a\tb"])
async def test_a_caller_without_a_name_that_can_be_written_is_refused(client: httpx2.AsyncClient, user: str) -> None:
    answer = await client.post("/api/v1/portfolios", json=opening(), headers={"X-User": user})
    problem = is_problem(answer, 422, "invalid-request")
    assert [fault["header"] for fault in problem["errors"]] == ["X-User"]


async def test_the_same_key_gives_the_first_answer_again(client: httpx2.AsyncClient, behind: Behind) -> None:
    await client.post("/api/v1/portfolios", json=opening())
    headers = {"Idempotency-Key": "key-1"}
    first = await client.post(UPDATE, json=moving(5), headers=headers)
    await client.post(UPDATE, json=moving(7))
    again = await client.post(UPDATE, json=moving(5), headers={**headers, "If-Match": '"1"'})
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    for name in ("etag", "x-position"):
        assert again.headers[name] == first.headers[name]
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert len(behind.log.events) == 3


async def test_an_opening_again_says_where_again(client: httpx2.AsyncClient) -> None:
    headers = {"Idempotency-Key": "key-1"}
    first = await client.post("/api/v1/portfolios", json=opening(), headers=headers)
    again = await client.post("/api/v1/portfolios", json=opening(), headers=headers)
    assert again.status_code == first.status_code == 201
    assert again.headers["location"] == first.headers["location"]


@pytest.mark.parametrize(
    ("path", "body"), [(UPDATE, moving(6)), (f"{UPDATE}?x=1", moving(5)), ("/api/v1/portfolio/ACC-2/update", moving(5))]
)
async def test_the_same_key_with_anything_else_is_422(
    client: httpx2.AsyncClient, path: str, body: dict[str, object]
) -> None:
    for portfolio_id in ("ACC-1", "ACC-2"):
        await client.post("/api/v1/portfolios", json=opening(portfolio_id))
    headers = {"Idempotency-Key": "key-1"}
    assert (await client.post(UPDATE, json=moving(5), headers=headers)).status_code == 200
    is_problem(await client.post(path, json=body, headers=headers), 422, "idempotency-key-reused")
    other = await client.post(path, json=body, headers={**headers, "X-User": "someone else"})
    assert other.status_code == 200


async def test_a_refusal_is_not_remembered(client: httpx2.AsyncClient) -> None:
    headers = {"Idempotency-Key": "key-1"}
    is_problem(await client.post(UPDATE, json=moving(5), headers=headers), 404, "not-found")
    await client.post("/api/v1/portfolios", json=opening())
    assert (await client.post(UPDATE, json=moving(5), headers=headers)).status_code == 200


async def test_a_key_in_flight_is_409(client: httpx2.AsyncClient, behind: Behind) -> None:
    behind.log.gate = asyncio.Event()
    headers = {"Idempotency-Key": "key-1"}
    first = asyncio.create_task(client.post("/api/v1/portfolios", json=opening(), headers=headers))
    await behind.log.waiting.wait()
    second = await client.post("/api/v1/portfolios", json=opening(), headers=headers)
    is_problem(second, 409, "idempotency-key-in-flight")
    behind.log.gate.set()
    assert (await first).status_code == 201


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a\tb", "é"])
async def test_a_key_that_is_none_is_422(client: httpx2.AsyncClient, behind: Behind, key: str) -> None:
    answer = await client.post("/api/v1/portfolios", json=opening(), headers=raw({"Idempotency-Key": key}))
    problem = is_problem(answer, 422, "invalid-request")
    assert [fault["header"] for fault in problem["errors"]] == ["Idempotency-Key"]
    assert behind.log.events == []


async def test_a_key_of_255_characters_is_one(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/api/v1/portfolios", json=opening(), headers={"Idempotency-Key": "x" * 255})
    assert answer.status_code == 201


@pytest.mark.parametrize("condition", ['"1"', "*", ' "1" '])
async def test_a_condition_that_holds_lets_the_command_pass(client: httpx2.AsyncClient, condition: str) -> None:
    await client.post("/api/v1/portfolios", json=opening())
    assert (await client.post(UPDATE, json=moving(1), headers={"If-Match": condition})).headers["etag"] == '"2"'


@pytest.mark.parametrize(
    "condition", ['"2"', '"999999999999999999"', '"99999999999999999999"', '"a"', '"0"', '"01"', '"-1"', '""']
)
async def test_a_stale_condition_is_412_and_tells_the_current_version(
    client: httpx2.AsyncClient, condition: str
) -> None:
    await client.post("/api/v1/portfolios", json=opening())
    answer = await client.post(UPDATE, json=moving(1), headers={"If-Match": condition})
    is_problem(answer, 412, "stale-version")
    assert answer.headers["etag"] == '"1"'


@pytest.mark.parametrize("condition", ["1", "", 'W/"1"', '"1", "2"', '"1"x', "**"])
async def test_a_malformed_condition_is_400(client: httpx2.AsyncClient, condition: str) -> None:
    await client.post("/api/v1/portfolios", json=opening())
    answer = await client.post(UPDATE, json=moving(1), headers={"If-Match": condition})
    is_problem(answer, 400, "malformed-if-match")


async def test_a_condition_given_twice_is_malformed(client: httpx2.AsyncClient) -> None:
    answer = await client.post(UPDATE, json=moving(1), headers=[("If-Match", '"1"'), ("If-Match", '"2"')])
    is_problem(answer, 400, "malformed-if-match")


async def test_any_version_of_something_missing_is_404(client: httpx2.AsyncClient, behind: Behind) -> None:
    headers = {"If-Match": "*"}
    is_problem(await client.post(UPDATE, json=moving(1), headers=headers), 404, "not-found")
    is_problem(await client.post("/api/v1/portfolios", json=opening(), headers=headers), 404, "not-found")
    is_problem(
        await client.post("/api/v1/portfolios", json=opening(), headers={"If-Match": '"1"'}), 412, "stale-version"
    )
    assert behind.log.events == []


@pytest.mark.parametrize(
    ("query", "header", "asked"),
    [("", "", 0), ("?at_least=7", "", 7), ("", "9", 9), ("?at_least=7", "9", 9), ("?at_least=9", "7", 9),
     ("?at_least=1&at_least=3", "", 3), ("?at_least=007", "", 7)],
)  # fmt: skip
async def test_the_larger_position_is_waited_for(
    client: httpx2.AsyncClient, behind: Behind, query: str, header: str, asked: int
) -> None:
    headers = {"X-Min-Position": header} if header else {}
    answer = await client.get(f"{STATE}{query}", headers=headers)
    assert behind.portfolios.asked == [(asked, 2.0)]
    if asked:
        is_problem(answer, 503, "projection-behind")
        assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("prefer", "wait"),
    [("wait=5", 5), ("respond-async, wait=5", 5), ("Wait = 5", 5), ('wait="5"', 5), ("wait=5; foo=1", 5), ("wait=0", 0),
     ("wait=3600", 30), ("wait=1, wait=9", 1),
     ("", 2), ("wait", 2), ("wait=", 2), ("wait=-1", 2), ("wait=1.5", 2), ("wait=soon", 2), ("wait=1e9", 2),
     ("wait=" + "9" * 10, 30), (";;=,", 2), ("await=5", 2)],
)  # fmt: skip
async def test_how_long_is_a_preference_and_a_malformed_one_is_ignored(
    client: httpx2.AsyncClient, behind: Behind, prefer: str, wait: float
) -> None:
    await client.get(STATE, headers={"Prefer": prefer})
    assert behind.portfolios.asked == [(0, wait)]


@pytest.mark.parametrize("position", ["x", "-1", "", "1.0", "9" * 41, "\u0661"])
async def test_a_position_that_is_none_is_422(client: httpx2.AsyncClient, position: str) -> None:
    answer = await client.get(STATE, params={"at_least": position}, headers=raw({"X-Min-Position": position}))
    assert pointers(is_problem(answer, 422, "invalid-request")) == ["at_least", "X-Min-Position"]
