"""Sixteen clients sell the last share at once, over two processes on one database: one of them has it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from api.numbers import loads
from tests.api.asking import is_problem, opening, pricing, trade, updating
from tests.journeys.market import PORTFOLIOS, Market, moment
from tests.servers.application import projector, role

CLIENTS = 16
AT = {"timestamp": "2025-06-20T10:00:00Z"}


@pytest.fixture
def two(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The addresses of two processes that answer HTTP, on one database with one projector."""
    given = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    with ExitStack() as stack:
        one, other = (stack.enter_context(role("http", tmp_path / f"{number}", **given)) for number in (1, 2))
        stack.enter_context(projector(**given))
        yield one.url, other.url


async def test_one_of_sixteen_sells_the_last_share(two: tuple[str, str]) -> None:
    async with httpx2.AsyncClient(base_url=two[0], timeout=60) as http:
        for round_ in range(10):
            path = f"/api/v1/portfolio/LAST-{round_}"
            assert (await http.post("/api/v1/portfolios", json=opening(f"LAST-{round_}"))).status_code == 201
            assert (
                await http.post(f"{path}/update", json=updating(trade("IN", 1, "LAST", 5), **AT))
            ).status_code == 200
            sale = updating(trade("SELL", 1, "LAST", 7), **AT)
            answers = await asyncio.gather(
                *(http.post(f"{two[client % 2]}{path}/update", json=sale) for client in range(CLIENTS))
            )
            sold = [answer for answer in answers if answer.status_code == 200]
            assert len(sold) == 1
            assert (sold[0].headers["ETag"], loads(sold[0].content)["cash_balance"]) == ('"3"', 7)
            for answer in answers:
                if answer is not sold[0]:
                    detail = is_problem(answer, 409, "rule-violated")["detail"]
                    assert detail == "update 0: SELL of 1 LAST: only 0 are held"
            query = {"at_least": sold[0].headers["X-Position"]}
            for url in two:
                state = await http.get(f"{url}{path}/state", params=query, headers={"Prefer": "wait=30"})
                assert (state.content, state.headers["ETag"]) == (sold[0].content, '"3"')
            listed = (await http.get(f"{path}/transactions", params=query, headers={"Prefer": "wait=30"})).json()
            assert [item["transaction_type"] for item in listed["items"]] == ["SELL", "IN"]


async def test_two_processes_show_one_market(two: tuple[str, str]) -> None:
    async with (
        httpx2.AsyncClient(base_url=two[0], timeout=60) as one,
        httpx2.AsyncClient(base_url=two[1], timeout=60) as other,
    ):
        market = Market(one)
        await market.open()
        elsewhere = Market(other, calls=market.calls)
        async with asyncio.TaskGroup() as readers:
            for name in PORTFOLIOS[:2]:
                readers.create_task(market.read_on(name))
            async with asyncio.TaskGroup() as tasks:
                for number in range(4):
                    for process in (market, elsewhere):
                        tasks.create_task(process.upload_on(number, 30))
                        tasks.create_task(process.trade_on(number, 30))
            market.stopping = True
        market.reached = elsewhere.reached = max(market.reached, elsewhere.reached)
        await market.check()
        await elsewhere.check()


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("", id="without a key"),
        pytest.param("k", id="under a key"),
    ],
)
async def test_an_answer_shows_the_prices_that_another_process_took_before(two: tuple[str, str], key: str) -> None:
    async with httpx2.AsyncClient(base_url=two[0], timeout=60) as http:
        await http.post("/api/v1/portfolios", json=opening("BOTH"))
        path, update = "/api/v1/portfolio/BOTH", updating(trade("IN", 1, "BOTH", 1), **AT)
        for number in range(1, 20):
            prices = pricing({"BOTH": number}, moment(number))
            assert (await http.post(f"{two[1]}/api/v1/prices", json=prices)).status_code == 200
            headers = {"Idempotency-Key": f"{key}{number}"} if key else {}
            answer = await http.post(f"{path}/update", json=update, headers=headers)
            for url in two:
                query = {"at_least": answer.headers["X-Position"]}
                state = await http.get(f"{url}{path}/state", params=query, headers={"Prefer": "wait=30"})
                assert state.content == answer.content
