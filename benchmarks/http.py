"""Commands and queries over HTTP on the real servers, against the framework alone on the same machine."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.client import Load, connect, get, header, load, post
from benchmarks.harness import Place, Result, percentile

SECONDS = 6.0
PORTFOLIOS = 1000
POSITIONS = 50
INSTRUMENTS = 1000
_STATES = ">= 4,000/s, P99 < 10 ms"
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
        async with asyncio.TaskGroup() as tasks:
            opening = [tasks.create_task(_open(port, range(first, PORTFOLIOS, 4))) for first in range(4)]
        connection, position = await connect(port), max(task.result() for task in opening)
        for view in ("state", "analytics", "transactions"):
            path = f"/api/v1/portfolio/P0/{view}?at_least={position}"
            answer = await connection.ask(get(path, Prefer="wait=30"))
            assert answer[9:12] == b"200", answer
        connection.close()
        yield port


async def _open(port: int, numbers: Iterable[int]) -> int:
    """Open these portfolios with fifty positions each; return the log position reached."""
    connection, answer = await connect(port), b""
    for number in numbers:
        body = f'{{"portfolio_id":"P{number}","portfolio_name":"Portfolio {number}","cash_balance":100000000}}'
        answer = await connection.ask(post("/api/v1/portfolios", body.encode()))
        assert answer[9:12] == b"201", answer
        trades = [_trade(held(number, place), place, 1000) for place in range(POSITIONS)]
        answer = await connection.ask(post(f"/api/v1/portfolio/P{number}/update", _update(trades)))
        assert answer[9:12] == b"200", answer
    connection.close()
    return int(header(answer, "X-Position"))


def held(portfolio: int, place: int) -> str:
    """Return the instrument that this portfolio holds at this place."""
    return f"US{(portfolio * 37 + place * 19) % INSTRUMENTS:010d}"


def _trade(instrument: str, tick: int, quantity: int = 1) -> str:
    price = f"{20 + tick % 97}.{tick % 89:02d}"
    return f'{{"transaction_type":"BUY","instrument_id":"{instrument}","quantity_change":{quantity},"price":{price}}}'


def _update(trades: list[str]) -> bytes:
    return f'{{"timestamp":"2025-06-21T10:00:00Z","updates":[{",".join(trades)}]}}'.encode()


def state(connection: int, number: int) -> bytes:
    return get(f"/api/v1/portfolio/P{(connection * 61 + number * 7) % PORTFOLIOS}/state")


def deposit(connection: int, number: int) -> bytes:
    return post(f"/api/v1/portfolio/P{(connection * 61 + number * 7) % PORTFOLIOS}/update", BODY)


def trade(connection: int, number: int) -> bytes:
    """Buy one share of something held, at another price: a new price for everyone who holds it."""
    portfolio = (connection * 61 + number * 7) % PORTFOLIOS
    body = _update([_trade(held(portfolio, number % POSITIONS), connection + number)])
    return post(f"/api/v1/portfolio/P{portfolio}/update", body)


def upload(connection: int, number: int) -> bytes:
    """Give a hundred instruments new prices."""
    names = (f"US{(number * 100 + each) % INSTRUMENTS:010d}" for each in range(100))
    prices = ",".join(f'"{name}":{30 + (number + each) % 50}.25' for each, name in enumerate(names))
    return post("/api/v1/prices", f'{{"as_of":"2025-06-21T10:00:00Z","prices":{{{prices}}}}}'.encode())


async def run(place: Place) -> list[Result]:
    """Return the HTTP figures."""
    floor_port = free_port()
    async with process(floor_port, "-m", "benchmarks.floor", str(floor_port)):
        floor_get = await load(floor_port, 16, SECONDS / 2, lambda _c, _n: get("/get"))
        floor_post = await load(floor_port, 16, SECONDS / 2, lambda _c, _n: post("/post", BODY))
    async with serving(place) as port:
        await load(port, 16, 1.0, trade)
        deposits = await load(port, 16, SECONDS / 2, deposit)
        await _caught_up(port)
        trades = await load(port, 16, SECONDS, trade)
        await _caught_up(port)
        cash = asyncio.create_task(load(port, 2, SECONDS, deposit, pause=0.01))
        calm = await load(port, 16, SECONDS, state)
        await cash
        writer = asyncio.create_task(load(port, 2, SECONDS, trade, pause=0.01))
        prices = asyncio.create_task(load(port, 1, SECONDS, upload, pause=0.5))
        queries = await load(port, 16, SECONDS, state)
        done = [deposits, trades, calm, cash.result(), queries, await writer, await prices]
        await _caught_up(port)
        views = await _commit_to_view(port)
    assert all(set(each.statuses) == {200} for each in done), [each.statuses for each in done]
    note = "baseline: a constant by the same framework and server"
    many = f"{PORTFOLIOS:,} portfolios of {POSITIONS}"
    state_name = f"HTTP state, {many}, 200 trades/s and 200 prices/s meanwhile"
    reached = ">= 2,000/s, P99 < 25 ms"
    return [
        _result(f"HTTP command (a deposit), {many}", deposits, floor_post.rate, reached, note),
        _result(f"HTTP command (a trade), {many}", trades, floor_post.rate, reached, note),
        _result(f"HTTP state, {many}, 200 deposits/s meanwhile", calm, floor_get.rate, _STATES, note),
        _result(state_name, queries, floor_get.rate, _STATES, note),
        views,
    ]


async def _caught_up(port: int) -> None:
    """Wait until every view has everything."""
    connection = await connect(port)
    head = int(header(await connection.ask(deposit(0, 0)), "X-Position"))
    for view in ("state", "analytics", "transactions"):
        answer = await connection.ask(get(f"/api/v1/portfolio/P0/{view}?at_least={head}", Prefer="wait=30"))
        assert answer[9:12] == b"200", answer
    connection.close()


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
            answer = await connection.ask(trade(number, count))
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
