"""Uploads of 10,000 prices into the whole application: how soon they are answered, and seen by who holds what moved."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from statistics import median

import msgspec
import psycopg

from benchmarks.client import Connection, connect, get, header, post
from benchmarks.harness import Place, Result, percentile
from benchmarks.http import free_port, process

PORTFOLIOS = 1_000
POSITIONS = 50
INSTRUMENTS = 10_000
ROUNDS = 3
"""Uploads on the first day, and then so many later days."""
RATE = 200
QUIET = 4.0
"""Seconds of reads before the uploads."""
FIRST = date(2025, 6, 2)


async def run(place: Place) -> list[Result]:
    """Return the times of an upload, from its sending, and of reads meanwhile."""
    plain = await _plain_insert(place)
    async with _serving(place) as port:
        await _upload(port, FIRST, 0)
        async with _reads(port) as before:
            await asyncio.sleep(QUIET)
        async with _reads(port) as same_meanwhile:
            same = [await _upload(port, FIRST, tick) for tick in range(1, 1 + ROUNDS)]
        async with _reads(port) as later_meanwhile:
            later = [await _upload(port, FIRST + timedelta(days=day), ROUNDS + day) for day in range(1, 1 + ROUNDS)]
        await _check_days(port, later[-1].position)
    return [
        _time("upload of 10,000 prices: answered", [each.answered for each in same + later], plain),
        _time("  ... seen in the state of a holder", [each.state for each in same + later], plain),
        _time("  ... in the analytics, same day", [each.analytics for each in same], plain),
        _time(f"  ... in the analytics, closing {PORTFOLIOS:,} days", [each.analytics for each in later], plain),
        _meanwhile(f"GET /state, {RATE}/s, uploads of the same day meanwhile", same_meanwhile, before),
        _meanwhile(f"GET /state, {RATE}/s, uploads of later days meanwhile", later_meanwhile, before),
    ]


def _time(name: str, seconds: list[float], plain: float) -> Result:
    value = median(seconds) * 1000
    note = "baseline: insert of the same 10,000 rows, one commit"
    return Result(name=name, value=value, unit="ms", baseline=plain, ratio=value / plain, note=note)


def _meanwhile(name: str, reads: list[float], before: list[float]) -> Result:
    value, baseline = percentile(reads, 0.99), percentile(before, 0.99)
    return Result(
        name=name,
        value=value,
        unit="ms (P99)",
        baseline=baseline,
        ratio=value / baseline,
        p50_ms=percentile(reads, 0.5),
        p99_ms=value,
        note="baseline: the same reads before",
    )


async def _plain_insert(place: Place) -> float:
    """Return the median milliseconds of an insert of 10,000 (instrument, price) rows with its commit."""
    names, took = [f"US{number:010d}" for number in range(INSTRUMENTS)], []
    async with await psycopg.AsyncConnection.connect(place.database_url, autocommit=True) as connection:
        await connection.execute("create table plain_prices (day int, instrument text, price numeric)")
        await connection.execute("alter table plain_prices add primary key (day, instrument)")
        for day in range(5):
            prices = [Decimal(_price(number, day)) for number in range(INSTRUMENTS)]
            began = time.perf_counter()
            await connection.execute(
                "insert into plain_prices select %b, * from unnest(%b::text[], %b::numeric[])", (day, names, prices)
            )
            took.append(time.perf_counter() - began)
        await connection.execute("drop table plain_prices")
    return median(took) * 1000


# --- the application and what is in it -------------------------------------------------------------------------------


@asynccontextmanager
async def _serving(place: Place) -> AsyncIterator[int]:
    """Run the application on the servers of this place, with all portfolios in it and in its views."""
    port = free_port()
    arguments = ("-m", "api", "serve", "--port", str(port), "--data-dir", str(place.folder / "prices-served"))
    addresses = {"DATABASE_URL": place.database_url, "REDIS_URL": place.redis_url or ""}
    async with process(port, *arguments, LOG_LEVEL="warning", **addresses):
        async with asyncio.TaskGroup() as tasks:
            opening = [tasks.create_task(_open(port, range(first, PORTFOLIOS, 4))) for first in range(4)]
        connection, position = await connect(port), max(task.result() for task in opening)
        for what in ("state", "analytics", "transactions"):
            await _seen(connection, what, position)
        connection.close()
        yield port


async def _open(port: int, numbers: Iterable[int]) -> int:
    """Open these portfolios with fifty positions each; return the log position reached."""
    connection, answer = await connect(port), b""
    for number in numbers:
        opening = {"portfolio_id": f"P{number}", "portfolio_name": f"Portfolio {number}", "cash_balance": 10**8}
        await _accepted(connection, post("/api/v1/portfolios", msgspec.json.encode(opening)))
        buys = [
            {"transaction_type": "BUY", "instrument_id": name, "quantity_change": 10 + index, "price": _price(index, 0)}
            for index, name in enumerate(_held(number))
        ]
        update = msgspec.json.encode({"timestamp": f"{FIRST}T09:00:00Z", "updates": buys})
        answer = await _accepted(connection, post(f"/api/v1/portfolio/P{number}/update", update))
    connection.close()
    return int(header(answer, "X-Position"))


def _held(portfolio: int) -> list[str]:
    """Return what the portfolio holds: every instrument is held by five."""
    first = portfolio * POSITIONS
    return [f"US{(first + each) % INSTRUMENTS:010d}" for each in range(POSITIONS)]


def _price(instrument: int, tick: int) -> str:
    return f"{20 + (instrument * 7 + tick * 3) % 180}.{(instrument + tick) % 100:02d}"


async def _accepted(connection: Connection, request: bytes) -> bytes:
    answer = await connection.ask(request)
    assert answer[9:12] in (b"200", b"201"), answer
    return answer


async def _seen(connection: Connection, what: str, position: int, portfolio: int = 0) -> float:
    """Return when a read of a holder that must include this position was answered."""
    path = f"/api/v1/portfolio/P{portfolio}/{what}?at_least={position}"
    await _accepted(connection, get(path, Prefer="wait=30"))
    return time.perf_counter()


# --- uploads and reads -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Upload:
    """Seconds from the sending to its answer, and to the answers of reads that include it; and its position."""

    answered: float
    state: float
    analytics: float
    position: int


async def _upload(port: int, day: date, tick: int) -> _Upload:
    """Give every instrument a new price of this day; return when it was answered and seen."""
    prices = {f"US{number:010d}": _price(number, tick) for number in range(INSTRUMENTS)}
    as_of = f"{day}T16:00:{tick % 60:02d}Z"
    request = post("/api/v1/prices", msgspec.json.encode({"as_of": as_of, "prices": prices}))
    first, second = await connect(port), await connect(port)
    began = time.perf_counter()
    answer = await _accepted(first, request)
    answered, position = time.perf_counter(), int(header(answer, "X-Position"))
    state, analytics = await asyncio.gather(
        _seen(first, "state", position, tick), _seen(second, "analytics", position, tick)
    )
    first.close()
    second.close()
    return _Upload(answered - began, state - began, analytics - began, position)


async def _check_days(port: int, position: int) -> None:
    """Make sure that the later days were closed for the last portfolio as for the first."""
    connection = await connect(port)
    for portfolio in (0, PORTFOLIOS - 1):
        path = f"/api/v1/portfolio/P{portfolio}/performance?at_least={position}"
        answer = await _accepted(connection, get(path))
        series = msgspec.json.decode(answer.partition(b"\r\n\r\n")[2])["series"]
        assert len(series) == 1 + ROUNDS, series
    connection.close()


@dataclass
class _Reader:
    """Reads states at a steady pace over one connection; a late one counts from when it was due."""

    connection: Connection
    latencies: list[float]
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, number: int, readers: int) -> None:
        due, count = time.perf_counter() + number / RATE, 0
        while not self.stop.is_set():
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            portfolio = (number * 61 + count * 7) % PORTFOLIOS
            await _accepted(self.connection, get(f"/api/v1/portfolio/P{portfolio}/state"))
            self.latencies.append(time.perf_counter() - due)
            due, count = due + readers / RATE, count + 1
        self.connection.close()


@asynccontextmanager
async def _reads(port: int, readers: int = 10) -> AsyncIterator[list[float]]:
    """Read states meanwhile; yield the list into which the seconds of each come."""
    latencies: list[float] = []
    made = [_Reader(await connect(port), latencies) for _ in range(readers)]
    async with asyncio.TaskGroup() as tasks:
        for number, reader in enumerate(made):
            tasks.create_task(reader.read(number, readers))
        yield latencies
        for reader in made:
            reader.stop.set()
