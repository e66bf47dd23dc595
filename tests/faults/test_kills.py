"""kill -9 of every part under load: every acknowledged command is there, once, and the views agree."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

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
        running = asyncio.create_task(traffic.run())
        await traffic.until(ROUND)
        assert await asyncio.to_thread(app.stop) == 0
        # Eight requests were in flight. One may meet a kept connection just as the server closes it, unanswered.
        assert traffic.cut <= 1
        await asyncio.to_thread(app.start)
        await traffic.until(2 * ROUND)
        traffic.stopping = True
        await running
        await traffic.check()


async def test_a_stop_does_not_wait_for_servers_that_are_being_restarted(tmp_path: Path) -> None:
    with application(tmp_path) as app:
        os.kill(app.child("bin/postgres -D"), signal.SIGKILL)
        assert await asyncio.wait_for(asyncio.to_thread(app.stop), 30) == 0
