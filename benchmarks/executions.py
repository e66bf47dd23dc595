"""Executions over HTTP with everything that follows them, against single requests and a plain insert of the same."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psycopg

from benchmarks.client import Load, connect, get, header, post
from benchmarks.fills import PORTFOLIOS, body, opened, portfolio_of, stored
from benchmarks.harness import Place, Result, percentile
from benchmarks.http import free_port
from benchmarks.served import Served, beside, served, settled, watched

CONNECTIONS = 16
REQUEST = 100
"""Executions of one request, the most that are taken."""
MANY = 20_000
SINGLE = 1_500
LISTED = 100_000
READS = 300
QUIET = 2.0
PATH = "/api/v1/executions"
_TABLE = """
create schema plain; create table plain.executions (id bigserial primary key, "executionServiceId" bigint unique,
"isOpen" boolean, "executionStatus" text, "tradeType" text, destination text, "securityId" text, ticker text,
"portfolioId" text, quantity numeric(18,8), "limitPrice" numeric(18,8), "receivedTimestamp" timestamptz,
"sentTimestamp" timestamptz, "quantityFilled" numeric(18,8), "totalAmount" numeric(18,8), "averagePrice" numeric(18,8))
"""
_COLUMNS = (
    '"executionServiceId", "isOpen", "executionStatus", "tradeType", destination, "securityId", ticker, "portfolioId", '
    'quantity, "limitPrice", "receivedTimestamp", "sentTimestamp", "quantityFilled", "totalAmount", "averagePrice"'
)
_INSERT = (
    f"insert into plain.executions ({_COLUMNS}) select {_COLUMNS} "
    "from jsonb_populate_recordset(null::plain.executions, %s::jsonb)"
)


async def sent(port: int, connections: int, requests: Iterable[bytes]) -> Load:
    """Send these requests, each over whichever connection is free."""
    result, left = Load(), iter(requests)

    async def one() -> None:
        connection = await connect(port)
        for request in left:
            began = time.perf_counter()
            answer = await connection.ask(request)
            result.latencies.append(time.perf_counter() - began)
            result.statuses[int(answer[9:12])] += 1
        connection.close()

    started = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(connections):
            tasks.create_task(one())
    result.seconds = time.perf_counter() - started
    return result


async def run(place: Place) -> list[Result]:
    """Return the figures of executions over HTTP."""
    ids = itertools.count(1)
    asked, owned = _bodies(ids, MANY, REQUEST, owned=False), _bodies(ids, MANY, REQUEST, owned=True)
    alone, owned_alone = _bodies(ids, SINGLE, 1, owned=False), _bodies(ids, SINGLE, 1, owned=True)
    last = next(ids)
    plain = await _plain(place, [body(first, REQUEST, owned=True) for first in range(1, MANY, REQUEST)])
    trade_port = free_port()
    data = place.folder / "trade_service.json"
    _known(data, last)
    trade_service = ("-m", "samples.trade_service", "--port", str(trade_port), "--data", str(data))
    async with (
        beside(trade_port, *trade_service) as trades,
        served(place, TRADE_SERVICE_URL=f"http://127.0.0.1:{trade_port}") as application,
    ):
        await opened(application.port)
        results, warm = [], _bodies(itertools.count(10**9), 20 * REQUEST, REQUEST, owned=True)
        await _accepted(application, warm)
        for name, bodies, single in (
            ("portfolio ids looked up", asked, alone),
            ("own portfolio ids", owned, owned_alone),
        ):
            await settled(place)
            one_by_one = await _accepted(application, single)
            await settled(place)
            quiet = await watched(application, asyncio.sleep(QUIET))
            before, at_trades = application.cpu(), trades.cpu
            began = time.perf_counter()
            busy = await watched(application, _accepted(application, bodies))
            load = busy.result
            spent = {role: used - before[role] for role, used in application.cpu().items()}
            looked_up = trades.cpu - at_trades
            await settled(place)
            took = time.perf_counter() - began
            after = {role: used - before[role] for role, used in application.cpu().items()}
            cost = f"CPU of an execution in us: HTTP {spent['http'] / MANY * 1e6:.0f}, trade service"
            cost = f"{cost} {looked_up / MANY * 1e6:.0f}, projections {after['projector'] / MANY * 1e6:.0f}, bookings "
            results += _figures(name, load, one_by_one, plain, f"{cost}{after['worker'] / MANY * 1e6:.0f}")
            p99, before_p99 = percentile(busy.others, 0.99), percentile(quiet.others, 0.99)
            results.append(
                Result(
                    name=f"state of a portfolio meanwhile, {name}", value=p99, unit="ms (P99)", baseline=before_p99,
                    ratio=p99 / before_p99, p50_ms=percentile(busy.others, 0.5), p99_ms=p99,
                    note=f"baseline: when nothing is posted, P50 {percentile(quiet.others, 0.5):.2f} ms",
                )
            )  # fmt: skip
            results.append(
                Result(
                    name=f"executions until all are booked, {PORTFOLIOS} portfolios, {name}", value=MANY / took,
                    unit="executions/s", baseline=MANY / load.seconds, ratio=load.seconds / took,
                    note="baseline: accepted",
                )
            )  # fmt: skip
        there = 2 * MANY + 2 * SINGLE + 20 * REQUEST
        await stored(place, 2 * 10**9, LISTED - there)
        await settled(place)
        results += await _lists(application)
        results.append(await _visible(application))
    return results


def _bodies(ids: Iterator[int], rows: int, each: int, *, owned: bool) -> list[bytes]:
    firsts = [next(itertools.islice(ids, each - 1, None)) - each + 1 for _ in range(rows // each)]
    return [body(first, each, owned=owned) for first in firsts]


def _known(path: Path, last: int) -> None:
    known = [{"executionServiceId": each, "portfolioId": portfolio_of(each)} for each in range(1, last)]
    path.write_text(json.dumps(known))


async def _accepted(application: Served, bodies: list[bytes]) -> Load:
    """Post these bodies, all of which are taken."""
    done = await sent(application.port, CONNECTIONS, [post(PATH, each) for each in bodies])
    assert set(done.statuses) == {201}, done.statuses
    return done


def _figures(name: str, load: Load, one_by_one: Load, plain: float, note: str) -> list[Result]:
    rate = MANY / load.seconds
    p50, p99 = percentile(load.latencies, 0.5), percentile(load.latencies, 0.99)
    return [
        Result(
            name=f"executions in requests of {REQUEST}, {name}", value=rate, unit="executions/s",
            baseline=one_by_one.rate, ratio=rate / one_by_one.rate, p50_ms=p50, p99_ms=p99,
            note=f"baseline: one by one over as many connections; {note}",
        ),
        Result(
            name=f"executions one by one, {name}", value=one_by_one.rate, unit="executions/s", baseline=plain,
            ratio=one_by_one.rate / plain, p50_ms=percentile(one_by_one.latencies, 0.5),
            p99_ms=percentile(one_by_one.latencies, 0.99),
            note="baseline: a plain insert of rows, 100 in a transaction, nothing checked, looked up or followed",
        ),
    ]  # fmt: skip


async def _plain(place: Place, bodies: list[bytes]) -> float:
    """Return rows a second of an insert of the same rows into a plain table, over as many connections."""
    connections = [
        await psycopg.AsyncConnection.connect(place.database_url, autocommit=True) for _ in range(CONNECTIONS)
    ]
    await connections[0].execute(_TABLE)
    left = iter(bodies)

    async def one(connection: psycopg.AsyncConnection) -> None:
        for each in left:
            await connection.execute(_INSERT, (each.decode(),), prepare=True)

    began = time.perf_counter()
    await asyncio.gather(*(one(connection) for connection in connections))
    took = time.perf_counter() - began
    for connection in connections:
        await connection.close()
    return len(bodies) * REQUEST / took


async def _lists(application: Served) -> list[Result]:
    """Return how long a page takes, at the beginning, far behind, and one execution as the baseline."""
    one = await _read(application, PATH + "?limit=1")
    results = []
    for name, path in (
        (f"list of 50 of {LISTED:,} executions", f"{PATH}?limit=50"),
        (f"the same from {LISTED - 100:,} on", f"{PATH}?limit=50&offset={LISTED - 100}"),
    ):
        before = application.cpu()["http"]
        took = await _read(application, path)
        cost = (application.cpu()["http"] - before) / READS * 1e6
        p50 = percentile(took, 0.5)
        results.append(
            Result(
                name=name, value=p50, unit="ms (P50)", baseline=percentile(one, 0.5), ratio=p50 / percentile(one, 0.5),
                p50_ms=p50, p99_ms=percentile(took, 0.99), note=f"baseline: a list of one; CPU of HTTP {cost:.0f} us",
            )
        )  # fmt: skip
    return results


async def _read(application: Served, path: str) -> list[float]:
    connection, latencies = await connect(application.port), []
    for _ in range(READS):
        began = time.perf_counter()
        answer = await connection.ask(get(path))
        latencies.append(time.perf_counter() - began)
        assert answer[9:12] == b"200", answer[:500]
    connection.close()
    return latencies


async def _visible(application: Served) -> Result:
    """From the answer to an execution until a list that must have it is there; the baseline asks for no position."""
    connection, waited, plain = await connect(application.port), [], []
    for number in range(READS):
        answer = await connection.ask(post(PATH, body(3 * 10**9 + number, 1, owned=True)))
        assert answer[9:12] == b"201", answer
        began = time.perf_counter()
        seen = await connection.ask(get(f"{PATH}?limit=1&at_least={header(answer, 'X-Position')}"))
        waited.append(time.perf_counter() - began)
        assert f'"executionServiceId":{3 * 10**9 + number},'.encode() in seen, seen
        began = time.perf_counter()
        await connection.ask(get(f"{PATH}?limit=1"))
        plain.append(time.perf_counter() - began)
    connection.close()
    value, baseline = percentile(waited, 0.99), percentile(plain, 0.99)
    return Result(
        name="execution recorded -> in the list", value=value, unit="ms (P99)", baseline=baseline,
        ratio=value / baseline, p50_ms=percentile(waited, 0.5), p99_ms=value,
        note="baseline: the same list without waiting",
    )  # fmt: skip
