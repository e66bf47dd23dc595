"""Processes that send batches as `./run send-executions` does and can be killed; forked, since to start one takes long.

`python -m tests.faults.senders DATA_DIR` forks one for every line that it reads, and tells its process id.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.journeys.office import LONG, Office
from tests.servers.application import ROOT, Application


@dataclass(frozen=True)
class Senders:
    """What forks them."""

    _process: Process

    async def begin(self) -> int:
        """Let one begin to send; return its process id."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        async with asyncio.timeout(LONG):
            return int(await self._process.stdout.readline())


@asynccontextmanager
async def senders(app: Application, office: Office) -> AsyncIterator[Senders]:
    """Have processes that send what this application has recorded to this office."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.senders", str(app.data_dir)),
        cwd=ROOT,
        env={**os.environ, **office.environment},
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
    )
    try:
        yield Senders(process)
    finally:
        await process.communicate(b"")  # it ends with its input


def _send(data_dir: Path) -> None:
    """Send once, as the command does, in this process, which then ends."""
    from api.cli.sending import send_executions

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(2, 1)
    try:
        send_executions(data_dir=data_dir)
    finally:
        os._exit(0)


def _main(data_dir: Path) -> None:
    importlib.import_module("api.bootstrap")  # takes long, and only once for all
    importlib.import_module("api.cli.sending")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they have ended
    for _ in sys.stdin:
        if pid := os.fork():
            sys.stdout.write(f"{pid}\n")
            sys.stdout.flush()
        else:
            _send(data_dir)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
