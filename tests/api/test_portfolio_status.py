"""Statuses over HTTP: which updates each takes, where it leads, and that a change of it is a command like any other.

Some of the answers stand byte for byte in ``tests/wire/004-status.http``.
"""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from domain.portfolio import Status, StatusChanged
from tests.api.asking import is_problem, opening, pointers, pricing, trade, updating
from tests.api.doubles import Behind

PORTFOLIO = "/api/v1/portfolio/ACC-1"
STATE, UPDATE, STATUS = f"{PORTFOLIO}/state", f"{PORTFOLIO}/update", f"{PORTFOLIO}/status"
EVERY_KIND = {
    "BUY": trade("BUY", 1, "AAPL", 1),
    "SELL": trade("SELL", 1, "AAPL", 1),
    "SHORT": trade("SHORT", 1, "TSLA", 1),
    "COVER": trade("COVER", 1, "TSLA", 1),
    "DEP": trade("DEP", 1),
    "WD": trade("WD", 1),
    "IN": trade("IN", 1, "AAPL", 1),
    "OUT": trade("OUT", 1, "AAPL"),
    "DIVIDEND": trade("DIVIDEND", 1, "AAPL", 1),
    "FEE": trade("FEE", 1),
}
REFUSED = {
    "ACTIVE": set(),
    "SUSPENDED": {"BUY", "SELL", "SHORT", "COVER"},
    "LIQUIDATING": {"BUY", "SHORT", "IN", "DEP"},
    "CLOSED": set(EVERY_KIND),
}


async def opened(client: httpx2.AsyncClient, status: str = "ACTIVE", cash: int = 0) -> None:
    """Open ACC-1 in this status; it is flat where it is closed, and else is long AAPL and short TSLA."""
    await client.post("/api/v1/portfolios", json=opening(cash_balance=cash))
    if status != "CLOSED":
        held = updating(trade("BUY", 9, "AAPL", 10), trade("SHORT", 9, "TSLA", 10))
        assert (await client.post(UPDATE, json=held)).status_code == 200
    assert (await client.put(STATUS, json={"status": status})).status_code == 200


@pytest.mark.parametrize("kind", EVERY_KIND)
@pytest.mark.parametrize("status", list(Status))
async def test_each_status_takes_its_updates(client: httpx2.AsyncClient, status: str, kind: str) -> None:
    await opened(client, status)
    answer = await client.post(UPDATE, json=updating(EVERY_KIND[kind]))
    if kind not in REFUSED[status]:
        assert answer.status_code == 200, answer.text
        assert answer.json()["status"] == status
        return
    detail = is_problem(answer, 409, "rule-violated")["detail"]
    assert f"portfolio ACC-1 is {status}: it does not take {kind}" in detail


@pytest.mark.parametrize(
    ("amount", "status"), [("0.01", 200), ("70.0000000000000001", 200), ("70.0000000000000002", 409)]
)
async def test_liquidating_takes_deposits_up_to_the_overdraft(
    client: httpx2.AsyncClient, amount: str, status: int
) -> None:
    await opened(client, "LIQUIDATING", cash=30)
    await client.post(UPDATE, json=updating(trade("WD", "100.0000000000000001")))
    answer = await client.post(UPDATE, json=updating(trade("DEP", amount)))
    assert answer.status_code == status
    if status == 409:
        detail = is_problem(answer, 409, "rule-violated")["detail"]
        assert "DEP of 70.0000000000000002, its overdraft is 70.0000000000000001" in detail


@pytest.mark.parametrize("to", ["ACTIVE", "SUSPENDED", "LIQUIDATING"])
@pytest.mark.parametrize("status", ["ACTIVE", "SUSPENDED", "LIQUIDATING"])
async def test_the_three_live_ones_go_to_each_other(
    client: httpx2.AsyncClient, behind: Behind, status: str, to: str
) -> None:
    await opened(client, status)
    before = len(behind.log.events)
    answer = await client.put(STATUS, json={"status": to})
    assert (answer.status_code, answer.json()["status"]) == (200, to)
    assert len(behind.log.events) == before + (status != to)
    assert answer.headers["x-position"] == str(len(behind.log.events))
    state = await client.get(STATE, params={"at_least": answer.headers["x-position"]})
    assert (state.content, state.headers["etag"]) == (answer.content, answer.headers["etag"])


@pytest.mark.parametrize("status", ["ACTIVE", "SUSPENDED", "LIQUIDATING"])
async def test_it_is_closed_only_when_nothing_is_left(client: httpx2.AsyncClient, status: str) -> None:
    await client.post("/api/v1/portfolios", json=opening())
    one = updating(trade("IN", 1, "AAPL", 1))
    await client.post(UPDATE, json=one)
    await client.put(STATUS, json={"status": status})
    refused = is_problem(await client.put(STATUS, json={"status": "CLOSED"}), 409, "rule-violated")
    assert "has 1 positions and 0 of cash" in refused["detail"]
    await client.post(UPDATE, json=updating(trade("OUT", 1, "AAPL"), trade("WD", "0.0000000000000001")))
    refused = is_problem(await client.put(STATUS, json={"status": "CLOSED"}), 409, "rule-violated")
    assert "has 0 positions and -0.0000000000000001 of cash" in refused["detail"]
    await client.post(UPDATE, json=updating(trade("DEP", "0.0000000000000001")))
    assert (await client.put(STATUS, json={"status": "CLOSED"})).json()["status"] == "CLOSED"


@pytest.mark.parametrize("to", ["ACTIVE", "SUSPENDED", "LIQUIDATING"])
async def test_nothing_leaves_closed(client: httpx2.AsyncClient, behind: Behind, to: str) -> None:
    await opened(client, "CLOSED")
    before = len(behind.log.events)
    is_problem(await client.put(STATUS, json={"status": to}), 409, "rule-violated")
    again = await client.put(STATUS, json={"status": "CLOSED"})
    assert (again.status_code, again.headers["etag"]) == (200, '"2"')
    assert len(behind.log.events) == before


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({}, ["/status"]),
        ({"status": "active"}, ["/status"]),
        ({"status": "Closed"}, ["/status"]),
        ({"status": " ACTIVE"}, ["/status"]),
        ({"status": ""}, ["/status"]),
        ({"status": None}, ["/status"]),
        ({"status": ["ACTIVE"]}, ["/status"]),
        ({"status": "OPEN", "reason": "x"}, ["/status", "/reason"]),
        ([], [""]),
    ],
    ids=str,
)
async def test_a_status_that_is_none_is_422(
    client: httpx2.AsyncClient, behind: Behind, body: Any, places: list[str]
) -> None:
    await client.post("/api/v1/portfolios", json=opening())
    assert pointers(is_problem(await client.put(STATUS, json=body), 422, "invalid-request")) == places
    assert len(behind.log.events) == 1


async def test_conditions_and_keys_hold_as_for_every_command(client: httpx2.AsyncClient, behind: Behind) -> None:
    missing = "/api/v1/portfolio/NONE/status"
    for headers in ({}, {"If-Match": "*"}, {"If-Match": '"1"'}):
        is_problem(await client.put(missing, json={"status": "ACTIVE"}, headers=headers), 404, "not-found")
    await opened(client, "ACTIVE", cash=10)
    suspended = {"status": "SUSPENDED"}
    stale = await client.put(STATUS, json=suspended, headers={"If-Match": '"1"'})
    is_problem(stale, 412, "stale-version")
    assert stale.headers["etag"] == '"3"'
    headers = {"If-Match": '"3"', "Idempotency-Key": "k"}
    first = await client.put(STATUS, json=suspended, headers=headers)
    assert (first.headers["etag"], first.headers["x-position"]) == ('"4"', "4")
    await client.post("/api/v1/prices", json=pricing({"AAPL": 1000}))
    await client.put(STATUS, json={"status": "ACTIVE"})
    again = await client.put(STATUS, json=suspended, headers=headers)
    assert (again.content, again.headers["etag"], again.headers["x-position"]) == (first.content, '"4"', "4")
    assert again.headers["idempotency-replayed"] == "true"
    is_problem(await client.put(STATUS, json={"status": "ACTIVE"}, headers=headers), 422, "idempotency-key-reused")
    assert [type(event) for event in behind.log.events].count(StatusChanged) == 2


async def test_the_same_status_under_a_key_is_remembered_without_an_event(
    client: httpx2.AsyncClient, behind: Behind
) -> None:
    await client.post("/api/v1/portfolios", json=opening())
    headers = {"Idempotency-Key": "k"}
    first = await client.put(STATUS, json={"status": "ACTIVE"}, headers=headers)
    await client.put(STATUS, json={"status": "SUSPENDED"})
    again = await client.put(STATUS, json={"status": "ACTIVE"}, headers=headers)
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    assert (first.headers["etag"], again.headers["etag"]) == ('"1"', '"1"')
    assert (await client.get(STATE)).json()["status"] == "SUSPENDED"
    assert len(behind.log.events) == 2


async def test_a_status_moves_no_figure_and_no_time(client: httpx2.AsyncClient) -> None:
    await opened(client, "ACTIVE", cash=10)
    before = (await client.get(STATE)).json()
    after = (await client.put(STATUS, json={"status": "LIQUIDATING"})).json()
    assert after == before | {"status": "LIQUIDATING"}
