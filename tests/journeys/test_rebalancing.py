"""Rebalancing as its users see it, over HTTP on real servers: from a model to trades that are booked, and again."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import httpx2
import pytest

from tests.api.asking import is_problem, opening, pricing, trade, updating
from tests.journeys import hard
from tests.journeys.desk import LONG, asked, judged, modelled, once_there, prices_of, stocked, told, until_answered
from tests.servers.application import Application, application

PRICES: Final = prices_of(8)
ONE, OTHER, NOBODY = "LOOP-1", "LOOP-2", "NOBODY"
LATER: Final = {"Prefer": "respond-async"}
WAITING: Final = {"Prefer": "wait=30"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    with application(tmp_path_factory.mktemp("rebalancing")) as app:
        yield app


@pytest.fixture
async def http(app: Application) -> AsyncIterator[httpx2.AsyncClient]:
    limits = httpx2.Limits(max_connections=200)
    async with httpx2.AsyncClient(base_url=app.url, timeout=300, limits=limits) as http:
        yield http


def seen(answer: httpx2.Response) -> dict[str, str]:
    """Return the headers of a query that is to include what this command did."""
    return {"X-Min-Position": answer.headers["X-Position"], "Prefer": "wait=30"}


def without_ids(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result without what a preview has not, and without its time."""
    return {
        name: each for name, each in result.items() if name not in {"rebalance_id", "run_id", "version", "created_at"}
    }


async def test_from_a_model_to_trades_that_are_booked(http: httpx2.AsyncClient) -> None:
    await stocked(http, [ONE, OTHER], PRICES)
    made = await asked(http, "POST", "/api/v1/models", modelled("Loop", list(PRICES), [ONE, NOBODY, OTHER]))
    model, of_one = made.json(), f"/api/v1/rebalance/portfolio/{ONE}"

    before = told(await asked(http, "GET", "/api/v1/rebalances", headers=seen(made)))
    preview = told(await asked(http, "POST", f"{of_one}?preview=true", headers=seen(made)))
    judged(preview, PRICES)
    assert (preview["rebalance_id"], preview["run_id"], preview["version"]) == (None, None, None)
    assert told(await asked(http, "GET", "/api/v1/rebalances", headers=seen(made))) == before

    alone = await asked(http, "POST", of_one)
    assert without_ids(told(alone)) == without_ids(preview)
    ran = await asked(http, "POST", f"/api/v1/rebalance/model/{model['model_id']}")
    first, none, last = told(ran)
    assert without_ids(first) == without_ids(preview)
    judged(last, PRICES)
    assert (none["portfolio_id"], none["error"]["status"], none["error"]["code"]) == (NOBODY, 404, "not-found")

    history = await asked(http, "GET", "/api/v1/rebalances", headers=seen(ran))
    assert history.headers["X-Total-Count"] == str(len(before) + 3)
    assert told(history)[2:] == [told(alone), *before]
    assert sorted(each["rebalance_id"] for each in told(history)[:2]) == sorted(
        (first["rebalance_id"], last["rebalance_id"])
    )
    found = await asked(http, "POST", "/api/v1/rebalances/search", {"portfolios": [ONE, NOBODY]}, headers=seen(ran))
    assert [each["rebalance_id"] for each in told(found)] == [first["rebalance_id"], told(alone)["rebalance_id"]]
    for each in told(history)[:3]:
        path = f"/api/v1/rebalances/{each['rebalance_id']}"
        assert told(await asked(http, "GET", path)) == {**each, "orders": None}
        verified = (await asked(http, "GET", f"{path}/verification")).json()
        assert (verified["valid"], verified["faults"]) == (True, [])
    shown = (await asked(http, "GET", f"/api/v1/models/{model['model_id']}", headers=seen(ran))).json()
    assert (shown["version"], shown["last_rebalance_date"]) == (1, first["created_at"])

    await booked(http, first)
    for path in (of_one, f"/api/v1/rebalance/model/{model['model_id']}"):
        again = told(await asked(http, "POST", path))
        again = again[0] if isinstance(again, list) else again
        judged(again, PRICES)
        assert again["transactions"] == []
        assert again["cash_before"] == again["cash_after"] == first["cash_after"]


async def booked(http: httpx2.AsyncClient, result: dict[str, Any]) -> None:
    """Trade what a rebalance says, at its prices."""
    trades = [
        trade(each["transaction_type"], str(each["quantity"]), each["security_id"], str(each["price"]))
        for each in result["transactions"]
    ]
    assert trades
    await asked(http, "POST", f"/api/v1/portfolio/{result['portfolio_id']}/update", updating(*trades))


async def test_a_rebalance_is_deleted_by_the_version_that_was_read(http: httpx2.AsyncClient) -> None:
    await asked(http, "POST", "/api/v1/portfolios", opening("DELETED", cash_balance=5000))
    await asked(http, "POST", "/api/v1/models", modelled("Deleted", [], ["DELETED"]))
    recorded = await asked(http, "POST", "/api/v1/rebalance/portfolio/DELETED")
    path = f"/api/v1/rebalances/{recorded.json()['rebalance_id']}"
    is_problem(await http.delete(path), 428, "precondition-required")
    is_problem(await http.delete(f"{path}?version=2"), 409, "version-conflict")
    is_problem(await http.delete(path, headers={"If-Match": '"7"'}), 412, "stale-version")
    deleted = await asked(http, "DELETE", f"{path}?version={recorded.json()['version']}", status=204)
    is_problem(await http.get(path, headers=seen(deleted)), 404, "not-found")
    is_problem(await http.delete(f"{path}?version=1"), 404, "not-found")
    assert (
        await asked(http, "POST", "/api/v1/rebalances/search", {"portfolios": ["DELETED"]}, headers=seen(deleted))
    ).json() == []


async def test_a_run_asked_for_later_is_an_operation(http: httpx2.AsyncClient) -> None:
    names = [f"L{number}" for number in range(30)]
    await stocked(http, names, PRICES)
    body = modelled("Later", list(PRICES), [*names[:20], NOBODY, *names[20:]])
    model_id = (await asked(http, "POST", "/api/v1/models", body)).json()["model_id"]
    path, keyed = f"/api/v1/rebalance/model/{model_id}", {**LATER, "Idempotency-Key": "later"}
    accepted = await http.post(path, headers=keyed)
    assert (accepted.status_code, accepted.headers["Preference-Applied"]) == (202, "respond-async")
    assert (await http.post(path, headers=keyed)).content == accepted.content
    end = accepted.json()["position"] + 1 + len(names) + 1
    at_end = {"X-Min-Position": str(end), "Prefer": "wait=30"}
    operation = (await once_there(http, accepted.headers["Location"], at_end)).json()
    assert (operation["status"], operation["total"], operation["done"], operation["failed"]) == ("DONE", 31, 30, 1)
    assert [error["portfolio_id"] for error in operation["errors"]] == [NOBODY]
    found = told(await asked(http, "POST", "/api/v1/rebalances/search", {"portfolios": names}, headers=at_end))
    assert sorted(each["portfolio_id"] for each in found) == sorted(names)
    assert {each["rebalance_id"] for each in found} == set(operation["rebalances"])
    for each in found:
        judged(each, PRICES)
        assert each["run_id"] == operation["operation_id"]


async def test_where_cash_binds_a_solver_has_a_part_in_the_answer(app: Application, http: httpx2.AsyncClient) -> None:
    result = await hard.by_a_solver(http, await hard.hard_model(http))
    certificate = result["certificate"]
    assert " by cvxpy " in certificate["solver"]
    assert certificate["options"] == ["min_cash"]
    assert result["cash_after"] >= hard.KEPT
    assert app.children("write_side.optimiser.worker")
    path = f"/api/v1/rebalances/{result['rebalance_id']}"
    verified = (await asked(http, "GET", f"{path}/verification", headers=WAITING)).json()
    assert (verified["valid"], verified["faults"]) == (True, [])


async def test_an_explanation_is_the_same_when_it_is_told_again(http: httpx2.AsyncClient) -> None:
    (name, price), narrow = next(iter(PRICES.items())), "0.005"
    await asked(http, "POST", "/api/v1/prices", pricing({name: str(price)}))
    await asked(http, "POST", "/api/v1/portfolios", opening("NARROW", cash_balance=str(price * 100)))
    positions = [{"security_id": name, "target": "9.42", "low_drift": narrow, "high_drift": narrow}]
    body = {"name": "Narrow", "positions": positions, "portfolios": ["NARROW"]}
    model_id = (await asked(http, "POST", "/api/v1/models", body)).json()["model_id"]
    path, key = f"/api/v1/rebalance/model/{model_id}", {"Idempotency-Key": "narrow"}
    first = await asked(http, "POST", path, headers=key)
    (none,) = told(first)
    (security,) = none["error"]["securities"]
    assert security["reason"] == "band-narrower-than-one-share"
    assert ["low_drift", "high_drift"] in [list(fix["set"]) for fix in security["fixes"]]
    again = await asked(http, "POST", path, headers=key)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.content == first.content


ALLOCATIONS: Final = {
    "A": {"stocks": 70, "bonds": 20, "gold": 10},
    "B": {"stocks": 50, "bonds": 50},
    "Z": {"stocks": 60, "bonds": 30, "gold": 10},
}


async def ask_for(http: httpx2.AsyncClient, user: str, name: str) -> httpx2.Response:
    body = {"user_id": user, "new_allocation": ALLOCATIONS[name]}
    return await asked(http, "POST", "/rebalance", body, status=201)


async def transactions(http: httpx2.AsyncClient, user: str) -> list[tuple[str, str, int]]:
    """Return what was booked for a user, once nothing is pending."""
    answer = await once_there(http, f"/transactions?user_id={user}&settled=true", WAITING)
    return [(each["action"], each["asset"], each["rebalance_percent"]) for each in answer.json()["data"]]


TO_A: Final = [("BUY", "stocks", 10), ("SELL", "bonds", 10)]
A_TO_B: Final = [("SELL", "stocks", 20), ("BUY", "bonds", 30), ("SELL", "gold", 10)]
B_TO_A: Final = [("BUY", "stocks", 20), ("SELL", "bonds", 30), ("BUY", "gold", 10)]


async def test_a_b_a_b_as_fast_as_can_be_are_four_rebalances(http: httpx2.AsyncClient) -> None:
    await asked(http, "POST", "/portfolio", {"user_id": "fast", "allocation": ALLOCATIONS["Z"]})
    hashes = [(await ask_for(http, "fast", name)).headers["X-Allocation-Hash"] for name in "ABAB"]
    assert hashes[:2] == hashes[2:]
    assert len(set(hashes)) == 2
    assert await transactions(http, "fast") == TO_A + A_TO_B + B_TO_A + A_TO_B
    settled = await asked(http, "GET", "/portfolio/fast?settled=true", headers=WAITING)
    assert settled.json()["data"] == {"user_id": "fast", "allocation": ALLOCATIONS["B"], "pending": 0}


async def test_the_same_while_it_is_pending_is_one_rebalance(app: Application, http: httpx2.AsyncClient) -> None:
    await asked(http, "POST", "/portfolio", {"user_id": "often", "allocation": ALLOCATIONS["Z"]})
    app.child("--role worker")
    workers = app.children("--role worker")
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    try:
        answers = await asyncio.gather(*(ask_for(http, "often", "A") for _ in range(8)))
        again = await ask_for(http, "often", "A")
        position = max(int(answer.headers["X-Position"]) for answer in [*answers, again])
        pending = await asked(http, "GET", f"/portfolio/often?at_least={position}", headers=WAITING)
        assert pending.json()["data"] == {"user_id": "often", "allocation": ALLOCATIONS["Z"], "pending": 1}
        waiting = await http.get("/transactions?user_id=often&settled=true", headers={"Prefer": "wait=0"})
        assert (waiting.status_code, waiting.json()) == (503, {"success": False, "message": "rebalance-pending"})
    finally:
        for worker in workers:
            os.kill(worker, signal.SIGCONT)
    assert await transactions(http, "often") == TO_A


async def test_small_requests_are_answered_while_a_hundred_models_are_rebalanced(http: httpx2.AsyncClient) -> None:
    names = [f"H{number}" for number in range(20)]
    await stocked(http, names, PRICES)
    body = modelled("Hundred", list(PRICES), names)
    path = f"/api/v1/rebalance/model/{(await asked(http, 'POST', '/api/v1/models', body)).json()['model_id']}"
    answered: list[str] = []

    def enough() -> bool:
        return answered.count("large") >= 100 and answered[answered.index("large") :].count("small") > 20

    async def large(number: int) -> None:
        for again in itertools.count():
            results = told(await until_answered(http, path, None, f"large-{number}-{again}"))
            assert [result["portfolio_id"] for result in results] == names
            assert all(result["certificate"]["status"] == "OPTIMAL" for result in results)
            answered.append("large")
            if enough():
                break

    async def small(name: str) -> None:
        while not enough():
            moved = await asked(http, "POST", f"/api/v1/portfolio/{name}/update", updating(trade("DEP", "0.01")))
            await asked(http, "GET", f"/api/v1/portfolio/{name}/state", headers=seen(moved))
            answered.append("small")

    async with asyncio.timeout(LONG):
        await asyncio.gather(*(large(number) for number in range(100)), *(small(name) for name in names[:4]))
