"""The routes of securities: names are given and changed by one PUT, and found again."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.api.asking import is_problem, pointers
from tests.api.doubles import Behind

SECURITIES = "/api/v1/securities"
AAPL = f"{SECURITIES}/AAPL"
APPLE = {"ticker": "AAPL", "name": "Apple Inc."}


async def test_names_are_given_changed_and_read(client: httpx2.AsyncClient, behind: Behind) -> None:
    first = await client.put(AAPL, json={"ticker": " AAPL ", "name": "Apple Computer"})
    assert (first.status_code, first.headers["etag"], first.headers["x-position"]) == (200, '"1"', "1")
    assert first.text == '{"security_id":"AAPL","ticker":"AAPL","name":"Apple Computer","position":1}'
    second = await client.put(AAPL, json=APPLE)
    assert second.text == '{"security_id":"AAPL","ticker":"AAPL","name":"Apple Inc.","position":2}'
    again = await client.put(AAPL, json=APPLE)
    assert (again.status_code, again.content, again.headers["etag"]) == (200, second.content, '"2"')
    assert len(behind.log.events) == 2
    read = await client.get(AAPL, params={"at_least": 2})
    assert read.text == '{"security_id":"AAPL","ticker":"AAPL","name":"Apple Inc."}'
    assert read.headers["etag"] == '"2"'


async def test_the_same_again_under_a_key_is_the_first_answer(client: httpx2.AsyncClient, behind: Behind) -> None:
    headers = {"Idempotency-Key": "k"}
    first = await client.put(AAPL, json=APPLE, headers=headers)
    await client.put(AAPL, json={**APPLE, "name": "Other"})
    again = await client.put(AAPL, json=APPLE, headers=headers)
    assert (again.content, again.headers["etag"]) == (first.content, '"1"')
    assert again.headers["idempotency-replayed"] == "true"
    assert len(behind.log.events) == 2
    is_problem(await client.put(f"{SECURITIES}/X", json=APPLE, headers=headers), 422, "idempotency-key-reused")


async def test_a_condition_is_kept(client: httpx2.AsyncClient) -> None:
    is_problem(await client.put(AAPL, json=APPLE, headers={"If-Match": "*"}), 404, "not-found")
    is_problem(await client.put(AAPL, json=APPLE, headers={"If-Match": '"1"'}), 412, "stale-version")
    await client.put(AAPL, json=APPLE)
    stale = await client.put(AAPL, json={**APPLE, "name": "Other"}, headers={"If-Match": '"2"'})
    is_problem(stale, 412, "stale-version")
    assert stale.headers["etag"] == '"1"'
    for condition, version in (('"1"', '"2"'), ("*", '"3"')):
        done = await client.put(AAPL, json={**APPLE, "name": condition}, headers={"If-Match": condition})
        assert done.headers["etag"] == version


@pytest.mark.parametrize(
    ("security_id", "body", "places"),
    [
        ("AAPL", {}, ["/ticker", "/name"]),
        ("AAPL", {"ticker": " ", "name": "x" * 201, "isin": "?"}, ["/ticker", "/name", "/isin"]),
        ("AAPL", {"ticker": "x" * 21, "name": "a\u0000b"}, ["/ticker", "/name"]),
        ("AAPL", {"ticker": 1, "name": None}, ["/ticker", "/name"]),
        ("CASH", APPLE, ["security_id"]),
        ("x" * 25, {"ticker": "", "name": "x"}, ["security_id", "/ticker"]),
    ],
)
async def test_what_does_not_fit_names_every_fault(
    client: httpx2.AsyncClient, behind: Behind, security_id: str, body: dict[str, Any], places: list[str]
) -> None:
    problem = is_problem(await client.put(f"{SECURITIES}/{security_id}", json=body), 422, "invalid-request")
    assert pointers(problem) == places
    assert behind.log.events == []


@pytest.mark.parametrize("security_id", ["NONE", "a%20b", "%00", "x" * 25, "%F0%9F%98%80"])
async def test_a_security_without_a_name_is_404(client: httpx2.AsyncClient, security_id: str) -> None:
    is_problem(await client.get(f"{SECURITIES}/{security_id}"), 404, "not-found")


async def test_securities_are_listed_newest_first_and_found_by_what_they_are_called(client: httpx2.AsyncClient) -> None:
    for number in range(3):
        await client.put(f"{SECURITIES}/S{number}", json={"ticker": f"T{number}", "name": f"Größe {number}"})
    await client.put(f"{SECURITIES}/S0", json={"ticker": "T0", "name": "Other"})
    page = (await client.get(SECURITIES, params={"limit": 2})).json()
    assert [item["security_id"] for item in page["items"]] == ["S2", "S1"]
    rest = (await client.get(SECURITIES, params={"cursor": page["next"]})).json()
    assert rest == {"items": [{"security_id": "S0", "ticker": "T0", "name": "Other"}], "next": None}
    for search, found in [("t1", ["S1"]), ("GRÖSSE", ["S2", "S1"]), ("s0", ["S0"]), ("none", [])]:
        items = (await client.get(SECURITIES, params={"search": search})).json()["items"]
        assert [item["security_id"] for item in items] == found, search


@pytest.mark.parametrize(("query", "places"), [("limit=0&search=%00", ["search", "limit"]), ("cursor=x", ["cursor"])])
async def test_a_query_that_does_not_fit_names_every_parameter(
    client: httpx2.AsyncClient, query: str, places: list[str]
) -> None:
    assert pointers(is_problem(await client.get(f"{SECURITIES}?{query}"), 422, "invalid-request")) == places
