"""The whole application on a benchmark's own servers, and what its processes cost: CPU seconds and memory."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import psycopg

from benchmarks.client import connect, get
from benchmarks.harness import Place
from benchmarks.http import free_port, start

T = TypeVar("T")
ROLES = ("http", "projector", "worker")
PAUSE = 0.002
"""Seconds between two requests of those that others make."""
_TICKS = os.sysconf("SC_CLK_TCK")
_BEHIND = """
select least((select min(position) from app.policies), (select min(position) from app.checkpoints)),
       (select coalesce(max(notification_id), 0) from es.stored_events)
"""


@dataclass(frozen=True)
class Process:
    """A process by its id, as the kernel counts for it."""

    pid: int

    @property
    def cpu(self) -> float:
        """Seconds of CPU that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    @property
    def resident(self) -> float:
        """MiB of memory that it has now."""
        return self._status("VmRSS")

    @property
    def peak(self) -> float:
        """MiB of memory that it has had at most since ``forget_peak``."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """Let the peak begin anew."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def _status(self, name: str) -> float:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) / 1024


@dataclass(frozen=True)
class Served:
    """An application that runs: its port, and its processes by role."""

    port: int
    roles: dict[str, Process]

    @property
    def http(self) -> Process:
        """The one that answers."""
        return self.roles["http"]

    def cpu(self) -> dict[str, float]:
        """Return the seconds of CPU that each has used."""
        return {role: process.cpu for role, process in self.roles.items()}


@dataclass(frozen=True, kw_only=True)
class Watched(Generic[T]):
    """What some work has taken: seconds, and of the process that does it CPU seconds and MiB at most."""

    result: T
    seconds: float
    cpu: float
    peak: float
    others: list[float]
    """Seconds of each of the other requests meanwhile, which the CPU seconds include."""


@asynccontextmanager
async def served(place: Place, **environment: str) -> AsyncIterator[Served]:
    """Run the application with all its roles on the benchmark's database."""
    port = free_port()
    database = {"DATABASE_URL": place.database_url, "LOG_LEVEL": "warning"}
    redis = {"REDIS_URL": place.redis_url} if place.redis_url else {}
    arguments = ("-m", "api", "serve", "--port", str(port), "--data-dir", str(place.folder / "served"))
    parent = start(*arguments, **{**database, **redis, **environment})
    try:
        await _answers(port)
        connection = await connect(port)  # which waits in the socket that the parent has made until somebody answers
        await connection.ask(get("/health/live"))
        connection.close()
        yield Served(port, _children(parent.pid))
    finally:
        parent.terminate()
        await asyncio.to_thread(parent.wait, 60)


@asynccontextmanager
async def beside(port: int, *arguments: str) -> AsyncIterator[Process]:
    """Run another Python process that listens on this port."""
    process = start(*arguments)
    try:
        await _answers(port)
        yield Process(process.pid)
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 30)


async def settled(place: Place, seconds: float = 300) -> int:
    """Wait until every view and every policy has passed the end of the log; return the position of that."""
    async with asyncio.timeout(seconds), await psycopg.AsyncConnection.connect(place.database_url) as connection:
        await connection.set_autocommit(True)
        while True:
            row = await (await connection.execute(_BEHIND)).fetchone()
            assert row is not None
            if row[0] is not None and row[0] >= row[1]:
                return int(row[1])
            await asyncio.sleep(0.05)


async def watched(application: Served, work: Coroutine[Any, Any, T]) -> Watched[T]:
    """Have this done, ask for a state again and again meanwhile, and look at the process that does both."""
    process = application.http
    process.forget_peak()
    used, began = process.cpu, time.perf_counter()
    working = asyncio.create_task(work)
    others = await _others(application, working)
    result = await working
    took = time.perf_counter() - began
    return Watched(result=result, seconds=took, cpu=process.cpu - used, peak=process.peak, others=others)


async def _others(application: Served, until: asyncio.Task[Any]) -> list[float]:
    """Return the seconds of requests for a state, one after the other, until this is done."""
    connection, latencies = await connect(application.port), []
    while not until.done():
        began = time.perf_counter()
        answer = await connection.ask(get("/api/v1/portfolio/P0/state"))
        latencies.append(time.perf_counter() - began)
        assert answer[9:12] == b"200", answer[:500]
        await asyncio.sleep(PAUSE)
    connection.close()
    return latencies


async def _answers(port: int) -> None:
    for _ in range(600):
        try:
            (await connect(port)).close()
            return
        except OSError:
            await asyncio.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")


def _children(parent: int) -> dict[str, Process]:
    found: dict[str, Process] = {}
    for pid in map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split()):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        found |= {role: Process(pid) for role in ROLES if role in command}
    return found
