"""Queries on portfolios over HTTP: what a command answers is what is read, parts are parts, and the past stays."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from api.numbers import loads
from api.shown import PORTFOLIO_STATE, POSITIONS, WEIGHTS
from api.shown_analytics import ANALYTICS, PERFORMANCE
from tests.api.asking import is_problem, opening, pointers, pricing, trade, updating
from tests.api.doubles import Behind
from tests.api.memory_log import NOW

PORTFOLIO = "/api/v1/portfolio/ACC-1"
STATE, UPDATE = f"{PORTFOLIO}/state", f"{PORTFOLIO}/update"
OLD, NEW = "2025-06-20T10:00:00Z", "2025-06-21T09:00:00Z"

SAME_AS_READ: dict[str, list[Any]] = {
    "a short and an overdraft": [updating(trade("SHORT", 3, "TSLA", 7), trade("WD", 100_000))],
    "right after prices": [pricing({"AAPL": 3, "X": 1}), updating(trade("BUY", 1, "AAPL", 5), timestamp=OLD)],
    "an older trade than the price": [updating(trade("BUY", 1, "AAPL", 5), trade("IN", 1, "X", 9), timestamp=OLD)],
    "an equally old trade wins": [updating(trade("BUY", 1, "AAPL", 5), timestamp=NEW)],
    "shares moved in are a first price": [updating(trade("IN", 2, "MSFT", 9), trade("IN", 2, "MSFT", 10))],
    "one that cost nothing has no price": [updating(trade("IN", 2, "MSFT", 0))],
    "a trade after shares moved in": [updating(trade("IN", 2, "MSFT", 9), trade("BUY", 1, "MSFT", 2), timestamp=OLD)],
    "several trades of one": [updating(*(trade("BUY", 1, "AAPL", price) for price in (3, 1, 2)))],
    "sold out, and again": [updating(trade("BUY", 1, "AAPL", 5)), updating(trade("SELL", 11, "AAPL", 6)),
                            updating(trade("IN", 1, "AAPL", 4), timestamp=OLD)],
    "a dividend and a fee": [updating(trade("DIVIDEND", 1, "NONE", 1), trade("FEE", "0.005"))],
    "prices of others": [pricing({"AAPL": 8}), pricing({"AAPL": 9}, OLD), updating(trade("DEP", 1))],
}  # fmt: skip


@pytest.mark.parametrize("key", [None, "k"], ids=["", "under a key"])
@pytest.mark.parametrize("story", SAME_AS_READ)
async def test_the_answer_of_an_update_is_the_state_at_its_position(
    client: httpx2.AsyncClient, story: str, key: str | None
) -> None:
    await client.post("/api/v1/portfolios", json=opening(cash_balance=1000))
    await client.post(UPDATE, json=updating(trade("BUY", 10, "AAPL", 4), timestamp=NEW))
    for number, body in enumerate(SAME_AS_READ[story]):
        if "prices" in body:
            assert (await client.post("/api/v1/prices", json=body)).status_code == 200
            continue
        headers = {} if key is None else {"Idempotency-Key": f"{key}{number}"}
        answer = await client.post(UPDATE, json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        state = await client.get(STATE, params={"at_least": answer.headers["x-position"]})
        assert (state.content, state.headers["etag"]) == (answer.content, answer.headers["etag"])
        version = answer.headers["etag"].strip('"')
        then = await client.get(STATE, params={"version": version})
        assert (then.content, then.headers["etag"]) == (answer.content, answer.headers["etag"])


@pytest.mark.parametrize("story", SAME_AS_READ)
async def test_positions_and_weights_are_parts_of_the_state(client: httpx2.AsyncClient, story: str) -> None:
    await client.post("/api/v1/portfolios", json=opening(cash_balance=1000))
    await client.post(UPDATE, json=updating(trade("BUY", 10, "AAPL", 4), timestamp=NEW))
    for body in SAME_AS_READ[story]:
        await client.post("/api/v1/prices" if "prices" in body else UPDATE, json=body)
    state = await client.get(STATE)
    positions, weights = await client.get(f"{PORTFOLIO}/positions"), await client.get(f"{PORTFOLIO}/weights")
    assert b'"positions":' + positions.content + b',"weights":' + weights.content + b"," in state.content
    assert positions.headers["etag"] == weights.headers["etag"] == state.headers["etag"]
    assert loads(weights.content) == {each["instrument_id"]: each["weight"] for each in loads(positions.content)}
    assert list(loads(weights.content))[-1] == "CASH"


async def test_prices_move_figures_and_no_version(client: httpx2.AsyncClient) -> None:
    await client.post("/api/v1/portfolios", json=opening())
    await client.post(UPDATE, json=updating(trade("IN", 2, "AAPL", 0)))
    for price, value in (("0.005", "0.01"), ("0.0025", "0.00"), ("0.0075", "0.02"), ("1e2", "200.00")):
        await client.post("/api/v1/prices", json=pricing({"AAPL": price}))
        state = await client.get(STATE)
        assert state.headers["etag"] == '"2"'
        assert f'"total_value":{value},"cash_balance":0.00,' in state.text


@pytest.mark.parametrize("name", ['a"b\\c/d', "Größe 日本 \U0001f4c8", "  spaces  ", "</script>\u2028'", "x" * 200])
async def test_a_name_comes_back_as_it_was_given(client: httpx2.AsyncClient, name: str) -> None:
    answer = await client.post("/api/v1/portfolios", json=opening(portfolio_name=name))
    assert answer.status_code == 201, answer.text
    for read in (answer, await client.get(STATE), await client.get(STATE, params={"version": 1})):
        assert loads(read.content)["portfolio_name"] == name.strip()
        assert read.content == answer.content


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("version=0", ["version"]), ("version=-1", ["version"]), ("version=", ["version"]), ("version=x", ["version"]),
        ("version=1.0", ["version"]), ("version=1e1", ["version"]), ("version=01", ["version"]),
        (f"version={'9' * 19}", ["version"]), ("at=", ["at"]), ("at=now", ["at"]), ("at=2025-06-21", ["at"]),
        ("at=2025-06-21T10:00:00", ["at"]), ("at=2025-06-21T10:00:00+00:00", ["at"]),
        ("at=2025-06-31T10:00:00Z", ["at"]), ("version=1&at=2025-06-21T10:00:00Z", ["at"]),
        ("version=0&at=x&at_least=y", ["at", "version", "at", "at_least"]),
    ],
)  # fmt: skip
async def test_a_moment_that_is_none_is_422(client: httpx2.AsyncClient, query: str, places: list[str]) -> None:
    await client.post("/api/v1/portfolios", json=opening())
    assert pointers(is_problem(await client.get(f"{STATE}?{query}"), 422, "invalid-request")) == places


async def test_states_of_the_past_stay_as_they_were(client: httpx2.AsyncClient, behind: Behind) -> None:
    behind.now = NOW - timedelta(hours=3)
    is_problem(await client.get(STATE, params={"version": 1}), 404, "not-found")
    told = {1: (await client.post("/api/v1/portfolios", json=opening(cash_balance=100))).content}
    behind.now = NOW - timedelta(hours=2)
    await client.post("/api/v1/prices", json=pricing({"AAPL": 2}, OLD))
    told[2] = (await client.post(UPDATE, json=updating(trade("BUY", 5, "AAPL", 1), timestamp=OLD))).content
    behind.now = NOW - timedelta(hours=1)
    await client.post("/api/v1/prices", json=pricing({"AAPL": 9}, OLD))
    between = (await client.get(STATE)).content
    behind.now = NOW
    told[3] = (await client.post(UPDATE, json=updating(trade("SELL", 1, "AAPL", 3), timestamp=OLD))).content
    await client.post("/api/v1/prices", json=pricing({"AAPL": 50}))
    for version, content in told.items():
        then = await client.get(STATE, params={"version": version})
        assert (then.content, then.headers["etag"]) == (content, f'"{version}"')
    for hours, content in ((3, told[1]), (2.5, told[1]), (2, told[2]), (1, between), (0.001, between)):
        at = (NOW - timedelta(hours=hours)).isoformat()
        assert (await client.get(STATE, params={"at": at})).content == content
    now = await client.get(STATE)
    assert (await client.get(STATE, params={"at": "2999-01-01T00:00:00Z"})).content == now.content
    assert loads(now.content)["total_value"] == 98 + 4 * 50
    for query in ({"version": 4}, {"version": 10**17}, {"at": (NOW - timedelta(hours=3.1)).isoformat()}):
        is_problem(await client.get(STATE, params=query), 404, "not-found")
    missing = await client.get("/api/v1/portfolio/NONE/state", params={"version": 1})
    is_problem(missing, 404, "not-found")
    for query in ({"version": 3}, {"at": NOW.isoformat()}):
        is_problem(await client.get(STATE, params=query | {"at_least": 7}), 503, "projection-behind")


@pytest.mark.parametrize("part", ["state", "positions", "weights", "analytics", "performance", "transactions"])
async def test_every_query_waits_for_its_position_and_knows_who_is_there(client: httpx2.AsyncClient, part: str) -> None:
    await client.post("/api/v1/portfolios", json=opening())
    assert (await client.get(f"{PORTFOLIO}/{part}", params={"at_least": 1})).status_code == 200
    late = await client.get(f"{PORTFOLIO}/{part}", headers={"X-Min-Position": "2", "Prefer": "wait=0"})
    is_problem(late, 503, "projection-behind")
    assert late.headers["retry-after"]
    assert pointers(is_problem(await client.get(f"{PORTFOLIO}/{part}?at_least=x"), 422, "invalid-request")) == [
        "at_least"
    ]
    for none in ("NONE", "acc-1", "a%20b", "%00", "x" * 101):
        is_problem(await client.get(f"/api/v1/portfolio/{none}/{part}"), 404, "not-found")
    is_problem(await client.post(f"{PORTFOLIO}/{part}", json={}), 405, "method-not-allowed")


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("from=x", ["from"]), ("to=", ["to"]), ("from=2025-6-1", ["from"]), ("to=2025-02-30", ["to"]),
        ("from=20250601", ["from"]), ("from=2025-W25", ["from"]), ("to=2025-06-21T10:00:00Z", ["to"]),
        ("from=0000-01-01", ["from"]), ("from=2025-06-22&to=2025-06-21", ["from", "to"]),
        ("from=x&to=y&at_least=z", ["from", "to", "at_least"]),
    ],
)  # fmt: skip
async def test_days_that_are_none_are_422(client: httpx2.AsyncClient, query: str, places: list[str]) -> None:
    await client.post("/api/v1/portfolios", json=opening())
    answer = await client.get(f"{PORTFOLIO}/performance?{query}")
    assert pointers(is_problem(answer, 422, "invalid-request")) == places


@pytest.mark.parametrize(
    ("query", "days"),
    [("", [18, 20, 21]), ("from=2025-06-18&to=2025-06-21", [18, 20, 21]), ("from=2025-06-19", [20, 21]),
     ("to=2025-06-20", [18, 20]), ("from=2025-06-19&to=2025-06-19", []), ("from=2025-06-20&to=2025-06-20", [20]),
     ("from=2025-06-22", []), ("to=0001-01-01", []), ("from=0001-01-01&to=9999-12-31", [18, 20, 21])],
)  # fmt: skip
async def test_the_series_is_of_the_days_asked_for(client: httpx2.AsyncClient, query: str, days: list[int]) -> None:
    await client.post("/api/v1/portfolios", json=opening(cash_balance=100))
    await client.post(UPDATE, json=updating(trade("BUY", 1, "AAPL", 50), timestamp="2025-06-18T23:59:59.999999Z"))
    await client.post("/api/v1/prices", json=pricing({"AAPL": 60}, "2025-06-20T00:00:00Z"))
    await client.post(UPDATE, json=updating(trade("DEP", 1), timestamp="2025-06-21T00:00:00Z"))
    whole, answer = [loads((await client.get(f"{PORTFOLIO}/performance?{each}")).content) for each in ("", query)]
    assert [each["date"] for each in answer["series"]] == [f"2025-06-{day}" for day in days]
    assert answer | {"series": whole["series"]} == whole
    assert [each for each in whole["series"] if each in answer["series"]] == answer["series"]


def shapes(value: Any) -> Iterator[Any]:
    """Yield the names of the members, in order, of all objects in it; weights aside, they are named by instrument."""
    if isinstance(value, dict):
        yield list(value)
        for name, each in value.items():
            if name != "weights":
                yield from shapes(each)
    elif isinstance(value, list):
        for each in value:
            yield from shapes(each)


async def test_the_examples_of_the_document_are_what_is_answered(client: httpx2.AsyncClient, behind: Behind) -> None:
    behind.now = NOW + timedelta(days=3)
    await client.post("/api/v1/portfolios", json=opening(cash_balance=100_000))
    await client.post(UPDATE, json=updating(trade("BUY", 500, "AAPL", 147.75), timestamp="2025-06-20T10:00:00Z"))
    await client.post("/api/v1/prices", json=pricing({"AAPL": 150.25}, "2025-06-23T20:00:00Z"))
    examples = {
        "state": PORTFOLIO_STATE,
        "positions": POSITIONS,
        "weights": WEIGHTS,
        "analytics": ANALYTICS,
        "performance": PERFORMANCE,
    }
    for part, example in examples.items():
        answer = (await client.get(f"{PORTFOLIO}/{part}")).text
        told = loads(re.sub(r'"last_updated":"[^"]*"', '"last_updated":"2025-06-21T10:00:00Z"', answer).encode())
        assert loads(json.dumps(example).encode()) == told
        assert list(shapes(example)) == list(shapes(told)), part
