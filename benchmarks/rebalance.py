"""Rebalances over HTTP on the real servers: one portfolio, a model of a thousand, and others asking meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import msgspec

from benchmarks.client import Connection, connect, get, header, load, post
from benchmarks.harness import Place, Result, percentile
from benchmarks.http import free_port, process

PORTFOLIOS = 1_000
POSITIONS = 100
SMALL = 10
"""Portfolios of each of the small models."""
SECONDS = 5.0
AT = "2025-06-21T10:00:00Z"
SECURITIES = [f"SECURITY{number:016d}" for number in range(POSITIONS)]


def _price(number: int) -> str:
    return f"{12 + number * 3}.{(number * 37) % 100:02d}"


@asynccontextmanager
async def serving(place: Place) -> AsyncIterator[tuple[int, str, list[str]]]:
    """Run the whole application; yield its port, the model of all portfolios, and a hundred small models."""
    port = free_port()
    arguments = ("-m", "api", "serve", "--port", str(port), "--data-dir", str(place.folder / "rebalanced"))
    async with process(port, *arguments, LOG_LEVEL="warning"):
        connection = await connect(port)
        prices = ",".join(f'"{name}":{_price(number)}' for number, name in enumerate(SECURITIES))
        await _told(connection, "/api/v1/prices", f'{{"as_of":"{AT}","prices":{{{prices}}}}}', 200)
        async with asyncio.TaskGroup() as tasks:
            for first in range(4):
                tasks.create_task(_open(port, range(first, PORTFOLIOS, 4)))
        connection.close()
        connection = await connect(port)  # a connection that rests for some seconds is closed by the server
        large = await _model(connection, "All", range(PORTFOLIOS))
        small = [await _model(connection, f"Small {n}", range(n * SMALL, (n + 1) * SMALL)) for n in range(100)]
        yield port, large, small
        connection.close()


async def _told(connection: Connection, path: str, body: str, status: int) -> bytes:
    answer = await connection.ask(post(path, body.encode()))
    assert int(answer[9:12]) == status, answer[:2000]
    return answer


async def _open(port: int, numbers: Iterable[int]) -> None:
    """Open these portfolios with a hundred positions each, which are off their targets by up to a fifth."""
    connection = await connect(port)
    for number in numbers:
        opening = f'{{"portfolio_id":"P{number}","portfolio_name":"P{number}","cash_balance":{50_000 + number}}}'
        await _told(connection, "/api/v1/portfolios", opening, 201)
        worth = 8_000 + 10 * number
        updates = ",".join(
            f'{{"transaction_type":"IN","instrument_id":"{name}","price":{_price(place)},'
            f'"quantity_change":{1 + worth * (80 + (number * 31 + place * 17) % 41) // (100 * (12 + place * 3))}}}'
            for place, name in enumerate(SECURITIES)
        )
        await _told(
            connection, f"/api/v1/portfolio/P{number}/update", f'{{"timestamp":"{AT}","updates":[{updates}]}}', 200
        )
    connection.close()


async def _model(connection: Connection, name: str, portfolios: Iterable[int]) -> str:
    positions = ",".join(
        f'{{"security_id":"{security}","target":0.92,"low_drift":0.4,"high_drift":0.4}}' for security in SECURITIES
    )
    followers = ",".join(f'"P{number}"' for number in portfolios)
    body = f'{{"name":"{name}","positions":[{positions}],"portfolios":[{followers}]}}'
    answer = await _told(connection, "/api/v1/models", body, 201)
    model_id: str = msgspec.json.decode(answer.partition(b"\r\n\r\n")[2])["model_id"]
    return model_id


async def run(place: Place) -> list[Result]:
    """Return the figures of rebalances over HTTP."""
    async with serving(place) as (port, large, small):
        path = f"model_id={large}&preview=true"
        single = await load(
            port, 16, SECONDS, lambda c, n: post(f"/api/v1/rebalance/portfolio/P{c * 61 + n % 61}?{path}", b"")
        )
        assert set(single.statuses) == {200}, single.statuses
        runs = [await _run(port, large, body, expected) for body, expected in ((b"", 0), (b"", 0))]
        bound = await _run(port, large, b'{"min_cash":{"percent":8.2}}', 0)
        quiet = await _others(port, [])
        busy = await _others(port, small)
    each = 1 / single.rate * PORTFOLIOS
    return [
        Result(
            name=f"preview of one portfolio of {POSITIONS} positions, 16 connections",
            value=single.rate, unit="requests/s",
            p50_ms=percentile(single.latencies, 0.5), p99_ms=percentile(single.latencies, 0.99),
        ),
        Result(
            name=f"one model call, {PORTFOLIOS:,} portfolios of {POSITIONS} positions, recorded",
            value=min(runs), unit="s", baseline=each, ratio=min(runs) / each,
            note="baseline: as many previews one by one over 16 connections",
        ),
        Result(
            name="the same, 8.2 % must stay in cash, which binds for most",
            value=bound, unit="s", baseline=each, ratio=bound / each,
            note="baseline: the same",
        ),
        Result(
            name=f"another request while 100 models of {SMALL} portfolios are rebalanced at once",
            value=percentile(busy, 0.99), unit="ms (P99)", baseline=percentile(quiet, 0.99),
            ratio=percentile(busy, 0.99) / percentile(quiet, 0.99),
            p50_ms=percentile(busy, 0.5), p99_ms=percentile(busy, 0.99),
            target="loop lag < 10 ms", note="baseline: the same request when nothing else is asked",
        ),
    ]  # fmt: skip


async def _run(port: int, model_id: str, options: bytes, failures: int) -> float:
    """Rebalance all portfolios of a model; return the seconds it took."""
    connection = await connect(port)
    began = time.perf_counter()
    answer = await connection.ask(post(f"/api/v1/rebalance/model/{model_id}", options))
    took = time.perf_counter() - began
    assert answer[9:12] == b"200", answer[:2000]
    results = msgspec.json.decode(answer.partition(b"\r\n\r\n")[2])
    failed = [result for result in results if "error" in result]
    assert len(results) == PORTFOLIOS
    assert len(failed) == failures, failed[:1]
    head = header(answer, "X-Position")
    seen = await connection.ask(get(f"/api/v1/rebalances?limit=1&at_least={head}", Prefer="wait=30"))
    assert seen[9:12] == b"200", seen
    connection.close()
    return took


async def _others(port: int, models: list[str]) -> list[float]:
    """Return the seconds of small requests, one after the other, while these models are rebalanced at once."""
    latencies: list[float] = []
    done = asyncio.Event()

    async def ask() -> None:
        connection = await connect(port)
        stop = time.perf_counter() + SECONDS
        while not done.is_set() if models else time.perf_counter() < stop:
            began = time.perf_counter()
            answer = await connection.ask(get("/health/live"))
            latencies.append(time.perf_counter() - began)
            assert answer[9:12] == b"200", answer
            await asyncio.sleep(0.002)
        connection.close()

    async def rebalance(model_id: str) -> None:
        connection = await connect(port)
        answer = await connection.ask(post(f"/api/v1/rebalance/model/{model_id}?preview=true", b""))
        assert answer[9:12] == b"200", answer[:2000]
        connection.close()

    asking = asyncio.create_task(ask())
    await asyncio.gather(*(rebalance(model_id) for model_id in models))
    done.set()
    await asking
    return latencies
