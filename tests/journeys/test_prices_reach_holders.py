"""Prices reach everyone who holds: at their position, the newest alone, however many clients bring them at once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest

from api.numbers import loads
from tests.api.asking import opening, pricing, trade, updating
from tests.journeys.market import INSTRUMENTS, PORTFOLIOS, Book, Market, cents, moment, random_update
from tests.servers.application import Application, application

WAITING = {"Prefer": "wait=30"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    with application(tmp_path_factory.mktemp("prices")) as app:
        yield app


@pytest.fixture
async def http(app: Application) -> AsyncIterator[httpx2.AsyncClient]:
    limits = httpx2.Limits(max_connections=64)
    async with httpx2.AsyncClient(base_url=app.url, timeout=60, limits=limits) as http:
        yield http


async def test_a_trade_of_one_is_the_price_of_all_at_its_position(http: httpx2.AsyncClient) -> None:
    market = Market(http)
    for name in ("ONE", "OTHER", "SHORT"):
        await market.ask("POST", "/api/v1/portfolios", opening(name), 201)
        held = trade("SHORT" if name == "SHORT" else "BUY", 3, "OURS", 10)
        await market.ask("POST", f"/api/v1/portfolio/{name}/update", updating(held, timestamp=moment(0)))
    for number in range(1, 50):
        new = updating(trade("BUY", 1, "OURS", number), timestamp=moment(number))
        traded = await market.ask("POST", "/api/v1/portfolio/ONE/update", new)
        query = {"at_least": traded.headers["X-Position"]}
        for name, quantity in (("OTHER", 3), ("SHORT", -3), ("ONE", 3 + number)):
            answer = await http.get(f"/api/v1/portfolio/{name}/state", params=query, headers=WAITING)
            state = loads(answer.content)
            assert state["positions"][0]["market_value"] == quantity * number
            assert state["last_updated"] == state["positions"][0]["last_updated"] == moment(number)
            if name == "ONE":
                assert answer.content == traded.content
    older = updating(trade("BUY", 1, "OURS", 1000), timestamp=moment(1))
    traded = await market.ask("POST", "/api/v1/portfolio/ONE/update", older)
    query = {"at_least": traded.headers["X-Position"]}
    answer = await http.get("/api/v1/portfolio/OTHER/state", params=query, headers=WAITING)
    assert loads(answer.content)["positions"][0]["market_value"] == 3 * 49


async def test_every_answer_of_an_update_is_the_state_at_its_position(http: httpx2.AsyncClient) -> None:
    choose, market = random.Random(7), Market(http)
    await market.ask("POST", "/api/v1/portfolios", opening("BYTES", cash_balance=10), 201)
    for number in range(300):
        if choose.random() < 0.4:
            prices = {choose.choice(INSTRUMENTS): choose.randrange(1, 100)}
            await market.ask("POST", "/api/v1/prices", pricing(prices, moment(choose.randrange(30))))
            continue
        body = random_update(choose)
        headers = {"Idempotency-Key": f"bytes-{number}"} if number % 3 == 0 else {}
        answer = await http.post("/api/v1/portfolio/BYTES/update", json=body, headers=headers)
        if answer.status_code == 409:
            continue
        query = {"at_least": answer.headers["X-Position"]}
        state = await http.get("/api/v1/portfolio/BYTES/state", params=query, headers=WAITING)
        assert (state.content, state.headers["ETag"]) == (answer.content, answer.headers["ETag"]), body
        positions = await http.get("/api/v1/portfolio/BYTES/positions", params=query, headers=WAITING)
        weights = await http.get("/api/v1/portfolio/BYTES/weights", params=query, headers=WAITING)
        assert b'"positions":' + positions.content + b',"weights":' + weights.content + b"," in state.content
        if number % 20 == 0:
            then = await http.get("/api/v1/portfolio/BYTES/state?version=" + answer.headers["ETag"].strip('"'))
            assert then.content == answer.content


async def test_the_newest_price_wins_whoever_uploads_and_no_state_goes_back(http: httpx2.AsyncClient) -> None:
    market = Market(http, instruments=("N1", "N2", "N3", "N4", "N5"))
    await market.open()
    async with asyncio.TaskGroup() as readers:
        for name in PORTFOLIOS:
            readers.create_task(market.read_on(name))
        first = 0
        while min(len(market.reads[name]) for name in PORTFOLIOS) <= 10:
            async with asyncio.TaskGroup() as tasks:
                for number in range(first, first := first + 8):
                    tasks.create_task(market.upload_on(number, 40))
                    tasks.create_task(market.trade_on(number, 40))
        market.stopping = True
    await market.check()
    query = {"limit": 1000, "at_least": market.reached}
    listed = await http.get("/api/v1/prices", params=query, headers=WAITING)
    shown = {item["instrument_id"]: (item["as_of"], item["price"]) for item in loads(listed.content)["items"]}
    for name, won in Book(sorted(market.calls)).prices.items():
        assert shown[name][0] == won[-1].as_of
        assert cents(won[-1].price * 10**6) == shown[name][1] * 10**6
        assert won[-1].as_of == max(price.as_of for price in won)
