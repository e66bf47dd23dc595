"""kill -9 of every part under load: every acknowledged command is there, once, and the views agree."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from domain.portfolio import CashDeposited
from tests.faults.brake import brake
from tests.faults.traffic import Traffic
from tests.servers.application import Application, application

ROUND = 150


def kill_all(app: Application) -> None:
    app.kill()
    app.start()


def kill_below(word: str) -> Callable[[Application], None]:
    """Return what kills the first process under the application whose command line has this word."""

    def kill(app: Application) -> None:
        os.kill(app.child(word), signal.SIGKILL)

    return kill


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(kill_all, id="the application"),
        pytest.param(kill_below("bin/postgres -D"), id="the postmaster"),
        pytest.param(kill_below("--role http"), id="the http process"),
        pytest.param(kill_below("--role projector"), id="the projector"),
        pytest.param(kill_below("valkey-server"), id="valkey"),
    ],
)
async def test_every_acknowledged_command_is_there_once_after_kill_9_of(
    fault: Callable[[Application], None], tmp_path: Path
) -> None:
    with application(tmp_path) as app:
        traffic = Traffic(app.url)
        await traffic.open()
        running = asyncio.create_task(traffic.run())
        for round_ in range(1, 3):
            await traffic.until(round_ * ROUND)
            await asyncio.to_thread(fault, app)
        await traffic.until(3 * ROUND)
        traffic.stopping = True
        await running
        await traffic.check()


async def test_sigterm_finishes_what_is_in_flight_and_loses_nothing_accepted(tmp_path: Path) -> None:
    with application(tmp_path) as app:
        traffic = Traffic(app.url)
        await traffic.open()
        async with brake(app, CashDeposited.TOPIC, ROUND) as held:
            running = asyncio.create_task(traffic.run())
            await held.reached()
            await in_flight(app, traffic.clients)
            stopping = asyncio.create_task(asyncio.to_thread(app.stop))
            await refused(app)
            await held.let_go()
            assert await stopping == 0
            assert traffic.cut == 0
            await asyncio.to_thread(app.start)
        await traffic.until(2 * ROUND)
        traffic.stopping = True
        await running
        await traffic.check()


async def in_flight(app: Application, count: int) -> None:
    """Return once so many requests are being answered, beside the one that asks for that."""
    async with asyncio.timeout(60), httpx2.AsyncClient(base_url=app.url, timeout=60) as http:
        while True:
            answer = await http.get("/metrics")
            [told] = re.findall(r"^foliolog_http_requests_in_flight (\d+)", answer.text, re.MULTILINE)
            if int(told) > count:
                return
            await asyncio.sleep(0.01)


async def refused(app: Application) -> None:
    """Return once nobody listens at its port."""
    async with asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", app.port)
            except ConnectionRefusedError:
                return
            except ConnectionResetError:
                continue
            writer.transport.abort()
            await asyncio.sleep(0.01)


async def test_a_stop_does_not_wait_for_servers_that_are_being_restarted(tmp_path: Path) -> None:
    with application(tmp_path) as app:
        os.kill(app.child("bin/postgres -D"), signal.SIGKILL)
        assert await asyncio.to_thread(app.stop) == 0
