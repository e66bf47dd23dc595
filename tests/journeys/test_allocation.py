"""Executions on their way to accounting and into portfolios, over HTTP on real servers: each gets there once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from api.embedded import running
from samples.trade_service.server import TradeService, trade_service
from tests.journeys.desk import asked, told
from tests.journeys.fills import Fill, expected, fills, opened, reported, sums
from tests.journeys.office import SEND, Office, at, ended, newest, refused, sent
from tests.servers.application import ROOT, Application, application, role

CLIENTS, REQUESTS, ROWS = 16, 100, 100
PORTFOLIOS: Final = [f"F{number}" for number in range(20)]
IN_PROGRESS: Final = "^batch process already in progress$"


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
def app(folder: Path, office: Office, trades: TradeService) -> Iterator[Application]:
    with application(folder, TRADE_SERVICE_URL=trades.url, **office.environment) as app:
        yield app


@pytest.fixture
def requests() -> int:
    """How many requests all clients send together."""
    return REQUESTS


@pytest.fixture
async def http(app: Application) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=app.url, timeout=300) as http:
        yield http


async def test_ten_thousand_executions_of_sixteen_clients_go_out_once_and_are_booked_once(
    http: httpx2.AsyncClient, office: Office, trades: TradeService, requests: int
) -> None:
    await opened(http, PORTFOLIOS)
    earlier = await newest(http, 0)
    every = list(fills(1, requests * ROWS, PORTFOLIOS))
    trades.put(*({"executionServiceId": each.service_id, "portfolioId": each.portfolio_id} for each in every))
    parts = iter([every[number * ROWS : (number + 1) * ROWS] for number in range(requests)])
    found: dict[int, Fill] = {}
    positions: list[int] = []
    statuses: Counter[int] = Counter()

    async def report() -> None:
        for part in parts:
            ids, position = await reported(http, part)
            assert not found.keys() & ids
            found.update(ids)
            positions.append(int(position))

    async def send() -> None:
        while len(found) < len(every):
            statuses[(await http.post(SEND)).status_code] += 1

    await asyncio.gather(*(report() for _ in range(CLIENTS)), send(), send())
    assert statuses.keys() <= {200, 409}
    assert statuses[200] > 1
    last = await asked(http, "POST", SEND)

    lines = office.lines()
    assert lines == {execution_id: fill.line(execution_id) for execution_id, fill in found.items()}
    assert office.booked() == sorted(found)
    rows = {number: line.split(",") for number, line in lines.items()}
    posted = {number: (fill.quantity, fill.stored_price) for number, fill in found.items()}
    assert sums({number: (Decimal(row[4]), Decimal(row[5])) for number, row in rows.items()}) == sums(posted)

    answer = await asked(http, "GET", "/api/v1/batches?limit=1000", headers=at(last.headers["X-Position"]))
    batches = told(answer)["items"][::-1]
    assert [batch["id"] for batch in batches] == list(range(1, len(batches) + 1))
    assert [batch["fromPosition"] for batch in batches] == [0, *(batch["toPosition"] for batch in batches[:-1])]
    del batches[:earlier]
    assert {(batch["status"], batch["attempts"], batch["cliExitCode"]) for batch in batches} == {("SENT", 1, 0)}
    assert sum(batch["count"] for batch in batches) == len(every)
    in_order = [(office.files / batch["fileName"]).read_text().splitlines()[1:] for batch in batches]
    assert [int(line.split(",")[2][2:]) for part in in_order for line in part] == sorted(found)

    await booked(http, found, max(positions))
    assert trades.calls.by_id == {each.service_id: 1 for each in every if not each.named}


async def booked(http: httpx2.AsyncClient, found: dict[int, Fill], position: int) -> None:
    """Check that every execution is booked, and all portfolios are exactly what that comes to."""
    parked = await asked(http, "GET", "/api/v1/work/parked", headers=at(position))
    assert parked.json()["items"] == []
    head = (await asked(http, "POST", SEND)).headers["X-Position"]  # nothing to send: where the log ends
    shown: dict[int, Any] = {}
    for offset in range(0, len(found), 1000):
        page = await asked(http, "GET", f"/api/v1/executions?limit=1000&offset={offset}", headers=at(head))
        shown |= {each["id"]: each for each in told(page)["executions"]}
    assert list(shown) == sorted(found, reverse=True)
    for number, fill in found.items():
        each = shown[number]
        assert (each["executionServiceId"], each["portfolioId"]) == (fill.service_id, fill.portfolio_id)
        assert (each["quantity"], each["averagePrice"]) == (fill.quantity, fill.stored_price)
        assert (each["sendStatus"], each["booking"], each["bookingReason"]) == ("SENT", "BOOKED", None)
    for name in PORTFOLIOS:
        state = told(await asked(http, "GET", f"/api/v1/portfolio/{name}/state", headers=at(head)))
        held = {each["instrument_id"]: each["quantity"] for each in state["positions"]}
        cash, positions = expected([fill for fill in found.values() if fill.portfolio_id == name])
        assert state["cash_balance"] == held.pop("CASH") == cash
        assert held == positions


async def test_two_processes_that_send_at_once_send_nothing_twice(
    app: Application, http: httpx2.AsyncClient, office: Office, folder: Path
) -> None:
    addresses = running(app.data_dir)
    assert addresses is not None
    given = {"DATABASE_URL": str(addresses.database_url), "REDIS_URL": str(addresses.redis_url), **office.environment}
    with role("http", folder / "second", **given) as second:
        async with httpx2.AsyncClient(base_url=second.url, timeout=300) as other, office.held() as held:
            ids, _ = await reported(http, [Fill(20_001, "NOBODY"), Fill(20_002, "NOBODY")])
            first = asyncio.create_task(other.post(SEND))
            await held.reached()
            for each in (http, other):
                refused(await each.post(SEND), 409, IN_PROGRESS, "batch-in-progress")
            held.let_go()
            all_sent = told(await first)
            assert (all_sent["processedCount"], all_sent["status"], all_sent["rejectedCount"]) == (2, "success", 0)
            for service_id in range(20_010, 20_020):
                more, _ = await reported(other, [Fill(service_id, "NOBODY")])
                answers = await asyncio.gather(http.post(SEND), other.post(SEND))
                assert {answer.status_code for answer in answers} <= {200, 409}
                counts = [told(answer)["processedCount"] for answer in answers if answer.status_code == 200]
                assert counts.count(1) == 1
                assert sum(counts) == 1
                ids |= more
    lines = office.lines()
    assert {number: lines[number] for number in ids} == {number: fill.line(number) for number, fill in ids.items()}
    assert set(ids) <= set(office.booked())


async def test_a_client_that_leaves_does_not_stop_what_it_has_asked_for(
    http: httpx2.AsyncClient, app: Application, office: Office
) -> None:
    ids, position = await reported(http, [Fill(30_001, "NOBODY")])
    number = await newest(http, int(position)) + 1
    async with office.held() as held:
        _, writer = await asyncio.open_connection("127.0.0.1", app.port)
        writer.write(f"POST {SEND} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".encode())
        await held.reached()
        writer.transport.abort()
        refused(await http.post(SEND), 409, IN_PROGRESS, "batch-in-progress")
        held.let_go()
        await held.gone()
    office.judge(await ended(http, number), ids)


async def test_what_is_asked_for_later_is_looked_at_where_the_answer_says(
    http: httpx2.AsyncClient, office: Office
) -> None:
    ids, _ = await reported(http, [Fill(31_001, "NOBODY"), Fill(31_002, "NOBODY")])
    async with office.held() as held:
        accepted = await asked(http, "POST", SEND, headers={"Prefer": "respond-async"}, status=202)
        assert accepted.headers["Preference-Applied"] == "respond-async"
        assert (told(accepted)["status"], told(accepted)["count"]) == ("RUNNING", 2)
        await held.reached()
        shown = told(await asked(http, "GET", accepted.headers["Location"], headers={"Prefer": "wait=30"}))
        assert (shown["id"], shown["status"]) == (told(accepted)["id"], "RUNNING")
        held.let_go()
    office.judge(await ended(http, shown["id"]), ids)
    nothing = await asked(http, "POST", SEND, headers={"Prefer": "respond-async"}, status=200)
    assert told(nothing)["processedCount"] == 0


async def sender(app: Application, office: Office, *arguments: str) -> asyncio.subprocess.Process:
    """Start the command that sends, beside the application."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "api", "send-executions", "--data-dir", str(app.data_dir), *arguments),
        cwd=ROOT,
        env={**os.environ, **office.environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ran(app: Application, office: Office) -> tuple[int | None, str, str]:
    """Let the command send once; return its exit code, what it has said, and what it has complained about."""
    process = await sender(app, office)
    output, errors = await process.communicate()
    assert b"Traceback" not in errors
    return process.returncode, output.decode(), errors.decode()


async def test_the_command_sends_once_and_says_how_it_went(
    app: Application, http: httpx2.AsyncClient, office: Office
) -> None:
    ids, position = await reported(http, [Fill(32_001, "NOBODY")])
    number = await newest(http, int(position)) + 1
    office.switch("--exit", "1")
    code, said, complaint = await ran(app, office)
    assert (code, said) == (1, "")
    assert f"foliolog: the accounting CLI failed on batch {number}: exit code 1\n" in complaint
    async with office.held() as held:
        sending = asyncio.create_task(http.post(SEND))
        await held.reached()
        code, said, _ = await ran(app, office)
        assert (code, said) == (3, "nothing is sent: batch process already in progress\n")
        held.let_go()
        assert told(await sending)["processedCount"] == 1
    office.judge(await ended(http, number), ids, attempts=3, runs=3)
    ids, _ = await reported(http, [Fill(32_002, "NOBODY")])
    code, said, complaint = await ran(app, office)
    batch = await ended(http, number + 1)
    assert (code, complaint, said) == (
        0,
        "",
        f"batch {number + 1}: 1 execution in {batch['fileName']}, taken by the accounting CLI\n",
    )
    office.judge(batch, ids)


async def test_the_command_sends_again_and_again_until_it_is_asked_to_end(
    app: Application, http: httpx2.AsyncClient, office: Office
) -> None:
    number = await newest(http, int((await sent(http)).headers["X-Position"]))
    process = await sender(app, office, "--every", "1")
    assert process.stdout is not None
    assert await process.stdout.readline() == b"no executions to send\n"
    for service_id in (33_001, 33_002):
        ids, _ = await reported(http, [Fill(service_id, "NOBODY")])
        number += 1
        office.judge(await ended(http, number), ids)
    process.send_signal(signal.SIGTERM)
    output, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")
    assert output.decode().count("1 execution in transactions_") == 2
