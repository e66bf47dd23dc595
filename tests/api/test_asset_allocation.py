"""The routes of seed 000: its envelope, the order of its checks, and rebalances that are booked by who follows the log.

What a body may be is in ``test_asset_allocation_bodies.py``; the seed's own examples stand byte for byte in
``tests/wire/000-rebalancer.http``.
"""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from domain.errors import FoliologError, OutcomeUnknown, Overloaded, StoreUnavailable
from domain.portfolio import AllocationSet, PortfolioOpened, RebalanceRequested
from tests.api.allocating import NEW, SEED, allocate, is_refused, rebalance
from tests.api.asking import JSON, moving, opening
from tests.api.doubles import Behind
from tests.api.memory_log import NOW
from write_side.asset_allocation import BookRebalances
from write_side.event_store import EventStore
from write_side.log import Context


async def book(behind: Behind, up_to_version: int = 10**6) -> None:
    """Do what the worker does that follows the log."""
    command = BookRebalances(user_id="1", up_to_version=up_to_version)
    await command.handle(EventStore(behind.log), Context(actor="worker", correlation_id="c"), now=NOW)


async def transactions(client: httpx2.AsyncClient) -> list[tuple[str, str, Any]]:
    told = (await client.get("/transactions", params={"user_id": "1"})).json()["data"]
    assert all(list(each) == ["user_id", "action", "asset", "rebalance_percent"] for each in told)
    return [(each["action"], each["asset"], each["rebalance_percent"]) for each in told]


async def test_an_unknown_user_gets_a_portfolio_that_everybody_sees(client: httpx2.AsyncClient, behind: Behind) -> None:
    answer = await allocate(client)
    assert (answer.status_code, answer.headers["x-position"], answer.headers["etag"]) == (201, "2", '"2"')
    assert [type(event) for event in behind.log.events] == [PortfolioOpened, AllocationSet]
    state = (await client.get("/api/v1/portfolio/1/state")).json()
    assert (state["portfolio_name"], state["cash_balance"], state["status"]) == ("1", 0, "ACTIVE")
    assert (await client.post("/api/v1/portfolios", json=opening("1"))).status_code == 409


async def test_a_known_portfolio_is_given_an_allocation_and_another(client: httpx2.AsyncClient) -> None:
    await client.post("/api/v1/portfolios", json=opening("1", cash_balance=5))
    assert (await client.get("/portfolio/1")).status_code == 404
    assert (await allocate(client)).headers["etag"] == '"2"'
    assert (await allocate(client, gold=100)).headers["etag"] == '"3"'
    again = await allocate(client, gold=100, art=0)
    assert (again.status_code, again.headers["etag"], again.headers["x-position"]) == (201, '"3"', "3")
    await client.post("/api/v1/portfolio/1/update", json=moving(1))
    read = await client.get("/portfolio/1", params={"at_least": 4})
    assert (read.json()["data"], read.headers["etag"]) == (
        {"user_id": "1", "allocation": {"gold": 100}, "pending": 0},
        '"4"',
    )
    state = await client.get("/api/v1/portfolio/1/state")
    assert (state.json()["cash_balance"], state.headers["etag"]) == (6, '"4"')


async def test_a_target_is_reached_and_a_market_is_brought_back(client: httpx2.AsyncClient, behind: Behind) -> None:
    await allocate(client)
    await rebalance(client)
    await rebalance(client, "market", stocks=60, bonds=35, gold=5)
    stored = (await client.get("/portfolio/1")).json()["data"]
    assert (stored["allocation"], stored["pending"]) == (SEED, 2)
    await book(behind, 3)
    assert await transactions(client) == [("BUY", "stocks", 10), ("SELL", "bonds", 10)]
    await book(behind)
    assert (await transactions(client))[2:] == [("BUY", "stocks", 10), ("SELL", "bonds", 15), ("BUY", "gold", 5)]
    settled = await client.get("/portfolio/1", params={"settled": "true", "at_least": 4}, headers={"Prefer": "wait=0"})
    assert settled.json()["data"] == {"user_id": "1", "allocation": NEW, "pending": 0}
    assert list(settled.json()["data"]["allocation"]) == list(NEW)
    assert settled.headers["etag"] == '"6"'


async def test_a_b_a_b_are_four_rebalances(client: httpx2.AsyncClient, behind: Behind) -> None:
    await allocate(client)
    for target in ({"a": 100}, {"b": 100}, {"a": 100}, {"b": 100}, {"b": 100}):
        assert (await rebalance(client, None, **target)).status_code == 201
    assert [type(event) for event in behind.log.events].count(RebalanceRequested) == 4
    await book(behind)
    assert [asset for action, asset, _ in await transactions(client) if action == "BUY"] == ["a", "b", "a", "b"]
    is_refused(await rebalance(client, b=100), 400, "New allocation is the same as current allocation")


async def test_an_allocation_between_counts_at_once_and_ends_what_was_the_same(
    client: httpx2.AsyncClient, behind: Behind
) -> None:
    await allocate(client)
    await rebalance(client)
    await allocate(client, gold=100)
    assert (await rebalance(client)).headers["etag"] == '"5"'
    await book(behind, 3)
    assert (await client.get("/portfolio/1")).json()["data"]["allocation"] == {"gold": 100}
    await book(behind)
    assert (await client.get("/portfolio/1")).json()["data"]["allocation"] == NEW


async def test_a_closed_portfolio_is_refused(client: httpx2.AsyncClient) -> None:
    await client.post("/api/v1/portfolios", json=opening("1"))
    await client.put("/api/v1/portfolio/1/status", json={"status": "CLOSED"})
    is_refused(await allocate(client), 400, "portfolio is closed")
    is_refused(await rebalance(client), 404, "User not found")
    await allocate(client, "2")
    await client.put("/api/v1/portfolio/2/status", json={"status": "CLOSED"})
    closed = await client.post("/rebalance", json={"user_id": "2", "new_allocation": NEW})
    is_refused(closed, 400, "portfolio is closed")


@pytest.mark.parametrize("user_id", ["2", "a%20b", "%00", "..", "x" * 101, "%F0%9F%98%80"])
async def test_nobody_has_no_allocation(client: httpx2.AsyncClient, user_id: str) -> None:
    await allocate(client)
    for query in ("", "settled=true"):
        is_refused(await client.get(f"/transactions?user_id={user_id}&{query}"), 404, "User not found")
        if user_id != "..":
            is_refused(await client.get(f"/portfolio/{user_id}?{query}"), 404, "User not found")


async def test_a_query_says_what_it_needs(client: httpx2.AsyncClient) -> None:
    await allocate(client)
    for query in ("", "?user_id=", "?settled=true"):
        is_refused(await client.get(f"/transactions{query}"), 400, "userId is required")
    is_refused(await client.get("/portfolio/1?settled=yes"), 422, "settled: 'yes' is not true or false")
    assert (await client.get("/portfolio/1?at_least=-1")).status_code == 422
    is_refused(await client.get("/portfolio/1?at_least=9", headers={"Prefer": "wait=0"}), 503, "projection-behind")


async def test_settled_without_a_position_is_about_what_is_pending_now(
    client: httpx2.AsyncClient, behind: Behind
) -> None:
    await allocate(client)
    now = {"Prefer": "wait=0"}
    for path in ("/portfolio/1?settled=true", "/transactions?user_id=1&settled=true"):
        assert (await client.get(path, headers=now)).status_code == 200
    await rebalance(client)
    for path in ("/portfolio/1?settled=true", "/transactions?user_id=1&settled=true"):
        pending = await client.get(path, headers=now)
        is_refused(pending, 503, "rebalance-pending")
        assert pending.headers["retry-after"] == "1"
        assert (await client.get(f"{path}&at_least=2", headers=now)).status_code == 200
        assert (await client.get(path.replace("true", "false"), headers=now)).status_code == 200
    await book(behind)
    assert (await client.get("/portfolio/1?settled=true", headers=now)).json()["data"]["pending"] == 0


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (StoreUnavailable("gone"), "store-unavailable"),
        (OutcomeUnknown("lost"), "outcome-unknown"),
        (Overloaded("full"), "overloaded"),
    ],
)
async def test_what_may_succeed_later_is_503_with_its_code(
    client: httpx2.AsyncClient, behind: Behind, failure: FoliologError, code: str
) -> None:
    behind.log.failure = failure
    answer = await allocate(client)
    is_refused(answer, 503, code)
    assert answer.headers["retry-after"] == "1"
    await allocate(client)
    behind.views.failure = failure
    is_refused(await client.get("/portfolio/1"), 503, code)
    is_refused(await client.get("/transactions?user_id=1"), 503, code)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/portfolio", "POST"),
        ("DELETE", "/rebalance", "POST"),
        ("PUT", "/portfolio/1", "GET, HEAD"),
        ("POST", "/transactions", "GET, HEAD"),
    ],
)
async def test_other_methods_are_not_allowed(client: httpx2.AsyncClient, method: str, path: str, allow: str) -> None:
    answer = await client.request(method, path)
    is_refused(answer, 405, "Method not allowed")
    assert answer.headers["allow"] == allow


async def test_every_other_error_wears_the_envelope_too(client: httpx2.AsyncClient, behind: Behind) -> None:
    is_refused(await client.get("/portfolio/1/x"), 404, "nothing is at /portfolio/1/x")
    text = await client.post("/rebalance", content=b"x", headers={"Content-Type": "text/plain"})
    is_refused(text, 415, "Content-Type is 'text/plain': send application/json")
    large = await client.post("/portfolio", content=b" " * (8 * 1024 * 1024 + 1), headers=JSON)
    assert (large.status_code, large.json()["success"]) == (413, False)
    behind.log.failure = RuntimeError("secret of the inside")
    broken = await allocate(client)
    assert (broken.status_code, broken.json()["success"], "secret" in broken.text) == (500, False, False)
    long_key = await client.post("/portfolio", json={}, headers={"Idempotency-Key": "x" * 256})
    assert (long_key.status_code, long_key.json()["success"]) == (422, False)


async def test_keys_and_conditions_hold_as_everywhere(client: httpx2.AsyncClient, behind: Behind) -> None:
    asked, key = {"user_id": "1", "allocation": SEED}, {"Idempotency-Key": "k"}
    is_refused(await client.post("/portfolio", json=asked, headers={"If-Match": "*"}), 404, "User not found")
    assert (await client.post("/portfolio", json=asked, headers={"If-Match": '"1"'})).status_code == 412
    first = await client.post("/portfolio", json=asked, headers=key)
    await allocate(client, gold=100)
    again = await client.post("/portfolio", json=asked, headers=key)
    assert again.headers["idempotency-replayed"] == "true"
    for name in ("x-position", "etag", "x-allocation-hash"):
        assert again.headers[name] == first.headers[name]
    assert (again.status_code, again.content, len(behind.log.events)) == (201, first.content, 3)
    other = await client.post("/portfolio", json={**asked, "user_id": "2"}, headers=key)
    assert (other.status_code, other.json()["success"]) == (422, False)
    asked = {"user_id": "1", "new_allocation": NEW}
    stale = await client.post("/rebalance", json=asked, headers={"If-Match": '"2"'})
    assert (stale.status_code, stale.json()["success"], stale.headers["etag"]) == (412, False, '"3"')
    assert (await client.post("/rebalance", json=asked, headers={"If-Match": '"3"'})).status_code == 201
