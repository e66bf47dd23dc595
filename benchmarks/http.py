"""Commands and queries over HTTP on the real servers, against the framework alone on the same machine."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.client import Load, connect, get, header, load, post
from benchmarks.harness import Place, Result, percentile

SECONDS = 6.0
PORTFOLIOS = 1000
BODY = b'{"timestamp":"2025-06-21T10:00:00Z","updates":[{"transaction_type":"DEP","quantity_change":10.25}]}'


def free_port() -> int:
    """Return a port that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(*arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    """Start a Python process in the project's root."""
    root = Path(__file__).parent.parent
    return subprocess.Popen([sys.executable, *arguments], cwd=root, env={**os.environ, **environment}, stdout=2)


@asynccontextmanager
async def process(port: int, *arguments: str, **environment: str) -> AsyncIterator[None]:
    """Run a Python process that listens on this port; it is stopped at the end."""
    server = start(*arguments, **environment)
    try:
        for _ in range(600):
            try:
                (await connect(port)).close()
                break
            except OSError:
                await asyncio.sleep(0.05)
        yield
    finally:
        server.terminate()
        await asyncio.to_thread(server.wait, 30)


@asynccontextmanager
async def serving(place: Place) -> AsyncIterator[int]:
    """Run the whole application with servers of its own; yield its port."""
    port = free_port()
    arguments = ("-m", "api", "serve", "--port", str(port), "--data-dir", str(place.folder / "served"))
    async with process(port, *arguments, LOG_LEVEL="warning"):
        connection, answer = await connect(port), b""
        for number in range(PORTFOLIOS):
            body = f'{{"portfolio_id":"P{number}","portfolio_name":"Portfolio {number}","cash_balance":1000000}}'
            answer = await connection.ask(post("/api/v1/portfolios", body.encode()))
            assert answer[9:12] == b"201", answer
        await connection.ask(get(f"/api/v1/portfolio/P0/state?at_least={header(answer, 'X-Position')}"))
        connection.close()
        yield port


def state(connection: int, number: int) -> bytes:
    return get(f"/api/v1/portfolio/P{(connection * 61 + number * 7) % PORTFOLIOS}/state")


def update(connection: int, number: int) -> bytes:
    return post(f"/api/v1/portfolio/P{(connection * 61 + number * 7) % PORTFOLIOS}/update", BODY)


async def run(place: Place) -> list[Result]:
    """Return the three HTTP figures."""
    floor_port = free_port()
    async with process(floor_port, "-m", "benchmarks.floor", str(floor_port)):
        floor_get = await load(floor_port, 16, SECONDS / 2, lambda _c, _n: get("/get"))
        floor_post = await load(floor_port, 16, SECONDS / 2, lambda _c, _n: post("/post", BODY))
    async with serving(place) as port:
        await load(port, 16, 1.0, update)
        commands = await load(port, 16, SECONDS, update)
        writer = asyncio.create_task(load(port, 2, SECONDS, update, pause=0.01))
        queries = await load(port, 16, SECONDS, state)
        background = await writer
        views = await _commit_to_view(port)
    assert set(commands.statuses) == set(queries.statuses) == set(background.statuses) == {200}
    note = "baseline: a constant by the same framework and server"
    return [
        _result("HTTP command (/update), 16 connections", commands, floor_post.rate, ">= 2,000/s, P99 < 25 ms", note),
        _result("HTTP state, 16 connections, 200 updates/s", queries, floor_get.rate, ">= 4,000/s, P99 < 10 ms", note),
        views,
    ]


def _result(name: str, done: Load, floor: float, target: str, note: str) -> Result:
    return Result(
        name=name,
        value=done.rate,
        unit="requests/s",
        baseline=floor,
        ratio=done.rate / floor,
        p50_ms=percentile(done.latencies, 0.5),
        p99_ms=percentile(done.latencies, 0.99),
        target=target,
        note=note,
    )


async def _commit_to_view(port: int, rate: int = 500, seconds: float = SECONDS) -> Result:
    """At a steady rate of commands: from a command's answer to a read that must see it, by HTTP.

    The baseline is the same read without a position to wait for.
    """
    waited: list[float] = []
    plain: list[float] = []
    connections = 10
    stop = time.perf_counter() + seconds

    async def one(number: int) -> None:
        connection = await connect(port)
        count = 0
        while (began := time.perf_counter()) < stop:
            answer = await connection.ask(update(number, count))
            path = f"/api/v1/portfolio/P{(number * 61 + count * 7) % PORTFOLIOS}/state"
            committed = time.perf_counter()
            seen = await connection.ask(get(f"{path}?at_least={header(answer, 'X-Position')}"))
            waited.append(time.perf_counter() - committed)
            assert seen[9:12] == b"200", seen
            again = time.perf_counter()
            await connection.ask(get(path))
            plain.append(time.perf_counter() - again)
            count += 1
            await asyncio.sleep(max(0.0, connections / rate - (time.perf_counter() - began)))
        connection.close()

    async with asyncio.TaskGroup() as tasks:
        for number in range(connections):
            tasks.create_task(one(number))
    value, baseline = percentile(waited, 0.99), percentile(plain, 0.99)
    return Result(
        name=f"commit -> view readable, {len(waited) / seconds:.0f} commands/s",
        value=value,
        unit="ms (P99)",
        baseline=baseline,
        ratio=value / baseline,
        p50_ms=percentile(waited, 0.5),
        p99_ms=value,
        target="P99 < 15 ms",
        note="baseline: the same read without waiting",
    )
