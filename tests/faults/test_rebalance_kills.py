"""kill -9 of all that takes part in rebalances: each is recorded once, each request is booked once, in order."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any, Final

import httpx2
import pytest

from domain.portfolio import RebalanceBooked
from domain.rebalance import (
    Options,
    RebalanceRecorded,
    RebalanceRunFinished,
    RebalanceRunPriced,
    RebalanceRunRequested,
)
from tests.api.asking import pricing
from tests.faults.brake import brake, counted, streams
from tests.journeys import hard
from tests.journeys.desk import asked, judged, modelled, once_there, prices_of, stocked, told, until_answered
from tests.servers.application import Application, application

PRICES: Final = prices_of(10)
PORTFOLIOS: Final = [f"P{number}" for number in range(200)]
USERS: Final = 20
REQUESTS: Final = 10
HTTP, WORKER, POSTMASTER, SOLVER = "--role http", "--role worker", "bin/postgres -D", "write_side.optimiser.worker"
A_RUN: Final = [RebalanceRunRequested.TOPIC, RebalanceRunPriced.TOPIC, RebalanceRunFinished.TOPIC]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    with application(tmp_path_factory.mktemp("kills")) as app:
        yield app


@pytest.fixture
async def http(app: Application) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=app.url, timeout=300) as http:
        yield http


@pytest.fixture
async def model(http: httpx2.AsyncClient) -> str:
    """The path of the rebalances of a model that all portfolios follow."""
    if not (listed := (await asked(http, "GET", "/api/v1/models")).json()):
        await stocked(http, PORTFOLIOS, PRICES)
        body = modelled("Many", list(PRICES), PORTFOLIOS)
        listed = [(await asked(http, "POST", "/api/v1/models", body)).json()]
    return f"/api/v1/rebalance/model/{listed[0]['model_id']}"


async def kill(app: Application, word: str) -> None:
    os.kill(await asyncio.to_thread(app.child, word), signal.SIGKILL)


async def test_a_run_of_a_model_goes_on_after_kill_9_of_the_http_process(
    app: Application, http: httpx2.AsyncClient, model: str
) -> None:
    before = await counted(app, RebalanceRecorded.TOPIC)
    runs = await streams(app, "rebalance-run")
    async with brake(app, RebalanceRecorded.TOPIC, before + 60, before + 170) as held:
        for stored in (True, False):
            asking = asyncio.create_task(http.post(model, headers={"Idempotency-Key": "many"}))
            await held.reached()
            await kill(app, HTTP)
            with pytest.raises(httpx2.TransportError):
                await asking
            await held.let_go(stored=stored)
    raised = {name: str(price + 1) for name, price in PRICES.items()}
    uploaded = await until_answered(http, "/api/v1/prices", pricing(raised, "2025-06-22T10:00:00Z"), "raised")
    assert uploaded.status_code == 200
    answer = await until_answered(http, model, None, "many")
    results = told(answer)
    assert [result["portfolio_id"] for result in results] == PORTFOLIOS
    for result in results:
        judged(result, PRICES)
    recorded = await streams(app, "rebalance")
    assert {f"rebalance/{result['rebalance_id']}" for result in results} == recorded.keys()
    assert set(map(tuple, recorded.values())) == {(RebalanceRecorded.TOPIC,)}
    new = {name: topics for name, topics in (await streams(app, "rebalance-run")).items() if name not in runs}
    assert list(new.values()) == [A_RUN]
    again = await until_answered(http, model, None, "many")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.content == answer.content


async def test_an_asynchronous_run_ends_after_kill_9_of_the_worker(
    app: Application, http: httpx2.AsyncClient, model: str
) -> None:
    before, runs = await streams(app, "rebalance"), await streams(app, "rebalance-run")
    async with brake(app, RebalanceRecorded.TOPIC, len(before) + 60, len(before) + 170) as held:
        accepted = await asked(http, "POST", model, status=202, headers={"Prefer": "respond-async"})
        for stored in (False, True):
            await held.reached()
            await kill(app, WORKER)
            await held.let_go(stored=stored)
    end = accepted.json()["position"] + len([RebalanceRunPriced, *PORTFOLIOS, RebalanceRunFinished])
    end_of = {"X-Min-Position": str(end), "Prefer": "wait=30"}
    ended = (await once_there(http, accepted.headers["Location"], end_of)).json()
    count = len(PORTFOLIOS)
    assert (ended["status"], ended["total"], ended["done"], ended["failed"]) == ("DONE", count, count, 0)
    recorded = {name: topics for name, topics in (await streams(app, "rebalance")).items() if name not in before}
    assert {f"rebalance/{each}" for each in ended["rebalances"]} == recorded.keys()
    assert set(map(tuple, recorded.values())) == {(RebalanceRecorded.TOPIC,)}
    assert len(recorded) == count
    new = {name: topics for name, topics in (await streams(app, "rebalance-run")).items() if name not in runs}
    assert list(new.values()) == [A_RUN]


def share(user: int, number: int) -> int:
    """Return the percentage of stocks that a user asks for: each time another one."""
    return 1 + (7 + 31 * number + user) % 97


async def rebalancing(http: httpx2.AsyncClient, user: int, name: str) -> None:
    """Ask for one rebalance after the other, as a client that never gives up."""
    for number in range(REQUESTS + 1):
        stocks = share(user, number)
        path, member = ("/rebalance", "new_allocation") if number else ("/portfolio", "allocation")
        body = {"user_id": name, member: {"stocks": stocks, "bonds": 100 - stocks}}
        answer = await until_answered(http, path, body, f"{name}-{number}")
        assert answer.status_code == 201, answer.text


def expected(user: int, name: str) -> list[dict[str, Any]]:
    """Return the transactions of a user, in booking order."""
    found = []
    for number in range(1, REQUESTS + 1):
        change = share(user, number) - share(user, number - 1)
        actions = ("BUY", "SELL") if change > 0 else ("SELL", "BUY")
        for action, asset in zip(actions, ("stocks", "bonds"), strict=True):
            found.append({"user_id": name, "action": action, "asset": asset, "rebalance_percent": abs(change)})
    return found


async def settled(http: httpx2.AsyncClient, name: str) -> list[dict[str, Any]]:
    """Return the transactions of a user once nothing is pending."""
    answer = await once_there(http, f"/transactions?user_id={name}&settled=true", {"Prefer": "wait=30"})
    transactions: list[dict[str, Any]] = answer.json()["data"]
    return transactions


@pytest.mark.parametrize("killed", [pytest.param(WORKER, id="worker"), pytest.param(POSTMASTER, id="postmaster")])
async def test_each_rebalance_by_asset_class_is_booked_once_in_order_after_kill_9_of_the(
    killed: str, app: Application, http: httpx2.AsyncClient
) -> None:
    names = [f"{'worker' if killed is WORKER else 'postmaster'}-{user}" for user in range(USERS)]
    before = await counted(app, RebalanceBooked.TOPIC)
    async with brake(app, RebalanceBooked.TOPIC, before + 40, before + 130) as held:
        asking = asyncio.gather(*(rebalancing(http, user, name) for user, name in enumerate(names)))
        for stored in (True, False):
            await held.reached()
            await kill(app, killed)
            await held.let_go(stored=stored)
    await asking
    for user, name in enumerate(names):
        assert await settled(http, name) == expected(user, name)
    assert await counted(app, RebalanceBooked.TOPIC) == before + USERS * REQUESTS
    assert (await asked(http, "GET", "/api/v1/work/parked")).json()["items"] == []


async def test_every_answer_is_a_checked_one_while_solvers_are_killed(
    app: Application, http: httpx2.AsyncClient
) -> None:
    path, kept = f"{await hard.hard_model(http)}?preview=true", {"min_cash": str(hard.KEPT)}
    parent, killed = await asyncio.to_thread(app.child, HTTP), set[int]()
    while len(killed) <= 3:
        asking = asyncio.gather(*(http.post(path, json=kept) for _ in range(12)))
        while not asking.done():
            for pid in app.children(SOLVER):
                with suppress(ProcessLookupError):  # it has ended by itself
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
            await asyncio.wait([asking], timeout=0.2)
        for answer in await asking:
            assert answer.status_code == 200, answer.text
            (result,) = told(answer)
            judged(result, hard.PRICES, Options(min_cash=hard.KEPT))
    assert (await hard.by_a_solver(http, path))["certificate"]["solver"]
    assert app.child(HTTP) == parent
