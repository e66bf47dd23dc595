"""The Trade Service and PostgreSQL fail while executions are reported: rows say so, and nothing is lost or twice."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from api.embedded import running
from domain.execution import ExecutionBooked, ExecutionRecorded
from samples.trade_service.server import TradeService, trade_service
from tests.faults.brake import brake, counted, streams
from tests.journeys.desk import asked, told
from tests.journeys.fills import Fill, expected, fills, opened
from tests.journeys.office import SEND, Office, at, sent
from tests.servers.application import Application, application, role

EXECUTIONS: Final = "/api/v1/executions"
FAILED: Final = f"{EXECUTIONS}/failed?limit=1000"
POSTMASTER: Final = "bin/postgres -D"
CLIENTS, ROWS, ALL = 8, 20, 2_400
MODES: Final = {
    "slow": ("no answer within 6 s$", 2),
    "dead": ("RemoteProtocolError|ReadError", 2),
    "cut": ("RemoteProtocolError|ReadError", 2),
    "error": ("answered 500$", 2),
    "bad-request": ("answered 400, expected 200$", 1),
    "busy": ("answered 429, expected 200$", 1),
    "not-found": ("it knows no such execution$", 1),
    "garbage": ("the answer is not JSON", 1),
    "odd": ("Trade Service at GET /api/v2/executions: ", 1),
    "empty": ("it knows no such execution: executions is empty$", 1),
    "null-portfolio": ("the answer names no portfolio$", 1),
    "empty-id": ("portfolioId ", 1),
    "bad-id": ("portfolioId ", 1),
}
"""How the Trade Service fails: what the row says of it, and how often it is asked."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("allocation")


@pytest.fixture(scope="module")
def office(folder: Path) -> Office:
    return Office(folder / "office")


@pytest.fixture(scope="module")
def trades() -> Iterator[TradeService]:
    with trade_service() as service:
        yield service


@pytest.fixture(scope="module")
def given(office: Office, trades: TradeService) -> dict[str, str]:
    """The settings of an application that asks this Trade Service, patiently, and sends to this office."""
    patience = {"TRADE_TIMEOUT": "60", "TRADE_RETRIES": "1", "TRADE_RETRY_DELAY_MS": "10", "REQUEST_TIMEOUT": "120"}
    return {"TRADE_SERVICE_URL": trades.url, "TRADE_BREAKER_FAILURES": "1000", **patience, **office.environment}


@pytest.fixture(scope="module")
def app(folder: Path, given: dict[str, str]) -> Iterator[Application]:
    with application(folder, **given) as app:
        yield app


@pytest.fixture
def hasty(app: Application, folder: Path, given: dict[str, str]) -> Iterator[Application]:
    """One more process that answers HTTP, which waits 0.5 s for a call and 2 s for all calls of a request."""
    with beside(app, folder / "hasty", given, TRADE_TIMEOUT="0.5", REQUEST_TIMEOUT="2") as found:
        yield found


@pytest.fixture
def limited(app: Application, folder: Path, given: dict[str, str]) -> Iterator[Application]:
    """One more process that answers HTTP, which waits 6 s for a call."""
    with beside(app, folder / "limited", given, TRADE_TIMEOUT="6") as found:
        yield found


def beside(app: Application, folder: Path, given: dict[str, str], **limits: str) -> AbstractContextManager[Application]:
    """Run one more process that answers HTTP, with these limits, on the servers of the application."""
    addresses = running(app.data_dir)
    assert addresses is not None
    servers = {"DATABASE_URL": str(addresses.database_url), "REDIS_URL": str(addresses.redis_url)}
    return role("http", folder, **servers, **given | limits)


@pytest.fixture
async def http(app: Application) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=app.url, timeout=120) as http:
        yield http


async def report(http: httpx2.AsyncClient, sent: Sequence[Fill], status: int) -> tuple[list[dict[str, Any]], str]:
    """Report executions; return what becomes of the rows, and the position."""
    answer = await asked(http, "POST", EXECUTIONS, [fill.row for fill in sent], status=status)
    body = told(answer)
    results: list[dict[str, Any]] = body["results"]
    assert [result["executionServiceId"] for result in results] == [fill.service_id for fill in sent]
    counted = [body[f"{name}Count"] for name in ("processed", "skipped", "error")]
    assert counted == [sum(each["status"] == name for each in results) for name in ("created", "skipped", "error")]
    return results, answer.headers["X-Position"]


async def failed(http: httpx2.AsyncClient, position: str) -> dict[int, dict[str, Any]]:
    """Return the executions that are kept because their look-up failed."""
    items = told(await asked(http, "GET", FAILED, headers=at(position)))["items"]
    return {each["executionServiceId"]: each for each in items}


async def settled(http: httpx2.AsyncClient, office: Office, found: dict[int, Fill], position: int | str) -> None:
    """Check that all these executions are in one file each and in the ledger, and are booked."""
    lines = office.lines()
    assert {number: lines.get(number) for number in found} == {
        number: fill.line(number) for number, fill in found.items()
    }
    assert set(found) <= set(office.booked())
    assert (await asked(http, "GET", "/api/v1/work/parked", headers=at(position))).json()["items"] == []
    head = (await sent(http)).headers["X-Position"]
    for name in {fill.portfolio_id for fill in found.values()}:
        state = told(await asked(http, "GET", f"/api/v1/portfolio/{name}/state", headers=at(head)))
        held = {each["instrument_id"]: each["quantity"] for each in state["positions"]}
        cash, positions = expected([fill for fill in found.values() if fill.portfolio_id == name])
        assert held.pop("CASH") == cash
        assert held == positions


async def test_rows_whose_portfolio_is_not_found_out_are_kept_and_taken_up_once(
    limited: Application, http: httpx2.AsyncClient, office: Office, trades: TradeService
) -> None:
    await opened(http, ["T0"])
    found: dict[int, Fill] = {}
    kept = {mode: Fill(4_000 + number, "T0", named=False) for number, mode in enumerate(MODES)}
    for number, (mode, fill) in enumerate(kept.items()):
        trades.switch(mode, **({"seconds": 3600} if mode == "slow" else {}))
        named = Fill(5_000 + number, "T0")
        base = limited.url if mode == "slow" else http.base_url
        async with httpx2.AsyncClient(base_url=base, timeout=120) as asking:
            (alone,), _ = await report(asking, [fill], 400)
            (wrong, right), position = await report(asking, [fill, named], 207)
        reason, times = MODES[mode]
        for row in (alone, wrong):
            assert row["status"] == "error"
            assert re.match("failed to get portfolio ID: Trade Service at GET /api/v2/executions: ", row["error"])
            assert re.search(reason, row["error"])
            assert "executionId" not in row
        assert trades.calls.by_id[fill.service_id] == 2 * times
        found[right["executionId"]] = named
        shown = (await failed(http, position))[fill.service_id]
        assert (shown["attempts"], shown["error"]) == (2, wrong["error"].removeprefix("failed to get portfolio ID: "))
    trades.switch("ok")
    trades.put(*({"executionServiceId": each.service_id, "portfolioId": "T0"} for each in kept.values()))
    first, *others = kept.values()
    (again,), _ = await report(http, [first], 201)
    found[again["executionId"]] = first
    (skipped,), _ = await report(http, [first], 201)
    assert (skipped["status"], skipped["executionId"]) == ("skipped", again["executionId"])
    assert skipped["error"] == "execution already exists"
    retried = await asked(http, "POST", f"{EXECUTIONS}/retry", status=200)
    results = told(retried)["results"]
    assert {each["executionServiceId"] for each in results} == {each.service_id for each in others}
    by_service = {fill.service_id: fill for fill in others}
    found |= {each["executionId"]: by_service[each["executionServiceId"]] for each in results}
    assert await failed(http, retried.headers["X-Position"]) == {}
    assert told(await sent(http))["processedCount"] == len(found) == 2 * len(MODES)
    await settled(http, office, found, retried.headers["X-Position"])


async def test_a_request_is_answered_within_its_time_however_slow_the_trade_service_is(
    hasty: Application, http: httpx2.AsyncClient, office: Office, trades: TradeService
) -> None:
    await opened(http, ["T1"])
    trades.switch("slow", seconds=3600)
    slow = [Fill(6_000 + number, "T1", named=False) for number in range(99)]
    async with httpx2.AsyncClient(base_url=hasty.url, timeout=120) as soon:
        results, position = await report(soon, [*slow, Fill(6_099, "T1")], 207)
        again = await failed(http, position)
        attempts = {each["attempts"] for each in again.values()}
        while attempts == {1}:  # until there was time for one
            over = await asked(soon, "POST", f"{EXECUTIONS}/retry", status=207)
            assert told(over)["errorCount"] == 99
            again = await failed(http, over.headers["X-Position"])
            assert again.keys() == {each.service_id for each in slow}
            attempts = {each["attempts"] for each in again.values()}
    assert attempts == {1, 2}  # time did not reach all
    assert {each["status"] for each in results[:99]} == {"error"}
    late = [each for each in results if each.get("error", "").endswith("no answer within the 2 s of a request")]
    assert late
    trades.switch("error-first", calls=1)
    trades.put(*({"executionServiceId": each.service_id, "portfolioId": "T1"} for each in slow))
    retried = await asked(http, "POST", f"{EXECUTIONS}/retry", status=200)
    found = {each["executionId"]: slow[each["executionServiceId"] - 6_000] for each in told(retried)["results"]}
    found[results[99]["executionId"]] = Fill(6_099, "T1")
    assert told(await sent(http))["processedCount"] == len(found) == 100
    await settled(http, office, found, retried.headers["X-Position"])


async def test_what_was_answered_201_is_there_once_after_kill_9_of_postgresql(
    app: Application, http: httpx2.AsyncClient, office: Office, trades: TradeService
) -> None:
    portfolios = [f"K{number}" for number in range(4)]
    await opened(http, portfolios)
    every = {fill.service_id: fill for fill in fills(10_000, ALL, portfolios)}
    trades.switch("ok")
    trades.put(*({"executionServiceId": each.service_id, "portfolioId": each.portfolio_id} for each in every.values()))
    rows = list(every.values())
    requests = iter([rows[begin : begin + ROWS] for begin in range(0, ALL, ROWS)])
    told_ids: dict[int, int] = {}

    async def post(part: Sequence[Fill]) -> httpx2.Response:
        while True:
            try:
                answer = await http.post(EXECUTIONS, json=[fill.row for fill in part])
            except httpx2.TransportError:
                continue
            if answer.status_code != 503:
                return answer
            await asyncio.sleep(0.05)

    async def client() -> None:
        for part in requests:
            answer = await post(part)
            assert answer.status_code == 201, answer.text
            told_ids.update({each["executionServiceId"]: each["executionId"] for each in told(answer)["results"]})

    async def sender() -> None:
        while len(told_ids) < ALL:
            assert (await http.post(SEND)).status_code in (200, 409, 503)

    before = await counted(app, ExecutionRecorded.TOPIC)
    async with brake(app, ExecutionRecorded.TOPIC, before + 500, before + 1_500) as held:
        posting = asyncio.gather(*(client() for _ in range(CLIENTS)), sender())
        for _ in range(2):
            await held.reached()
            os.kill(await asyncio.to_thread(app.child, POSTMASTER), signal.SIGKILL)
            await held.let_go()
    await posting
    position = (await sent(http)).headers["X-Position"]
    found = {execution_id: every[service_id] for service_id, execution_id in told_ids.items()}
    assert len(found) == ALL
    await settled(http, office, found, position)
    recorded = await streams(app, "execution")
    once = [ExecutionRecorded.TOPIC, ExecutionBooked.TOPIC]
    assert all(recorded[f"execution/{service_id}"] == once for service_id in every)
