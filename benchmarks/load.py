"""Loading an aggregate of 1,000 events without a snapshot, against the stock library's repository."""

from __future__ import annotations

import time
from uuid import uuid4

import psycopg

from benchmarks import stock
from benchmarks.append import DEPOSIT, NOW, context, event_store
from benchmarks.harness import Place, Result, percentile
from domain.portfolio import Portfolio
from write_side.portfolio import OpenPortfolio, UpdatePortfolio

EVENTS = 1_000
TIMES = 200


async def run(place: Place) -> list[Result]:
    """Return the milliseconds of a load."""
    baseline = percentile(stock.loads(place, events=EVENTS, times=TIMES // 4), 0.5)
    portfolio_id = f"load-{uuid4().hex[:8]}"
    async with event_store(place.database_url) as store:
        await OpenPortfolio(portfolio_id=portfolio_id, portfolio_name="bench").handle(store, context(), now=NOW)
        command = UpdatePortfolio(portfolio_id=portfolio_id, updates=(DEPOSIT,) * (EVENTS - 1), timestamp=NOW)
        await command.handle(store, context(), now=NOW)
        await store.close()
        async with await psycopg.AsyncConnection.connect(place.database_url, autocommit=True) as connection:
            await connection.execute("delete from es.snapshots")
        latencies = []
        for _ in range(TIMES):
            began = time.perf_counter()
            portfolio = await store.load(Portfolio, portfolio_id)
            latencies.append(time.perf_counter() - began)
            assert portfolio is not None
            assert portfolio.version == EVENTS
    p50 = percentile(latencies, 0.5)
    return [
        Result(
            name="load of 1,000 events, no snapshot",
            value=p50,
            unit="ms (P50)",
            baseline=baseline,
            ratio=p50 / baseline,
            p50_ms=p50,
            p99_ms=percentile(latencies, 0.99),
            target="< 4 ms",
            note="baseline: the library's repository",
        )
    ]
