"""How fast a view follows the log and is rebuilt from it, against one transaction for each event."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from decimal import Decimal

import psycopg
from psycopg_pool import AsyncConnectionPool

from benchmarks.harness import Place, Result
from domain.base import Event
from domain.codec import encode
from domain.portfolio import Portfolio, PositionUpdate, TransactionType
from projections.portfolio import PORTFOLIO_PROJECTOR
from projections.rebuild import rebuild
from projections.runner import Runner
from read_side.adapters.postgres import PostgresViewStore
from read_side.adapters.postgres_builder import PostgresBuilder
from read_side.adapters.postgres_leader import PostgresLeadership
from read_side.adapters.postgres_signals import Listener
from read_side.signals import Signals
from write_side.adapters.postgres_log import PostgresLog

PORTFOLIOS = 1_000
EVENTS = 200_000
SINGLE = 3_000
NOW = datetime(2025, 6, 21, tzinfo=UTC)


async def run(place: Place) -> list[Result]:
    """Return events a second of projecting, of rebuilding, and of projecting with a page of one event."""
    await _fill(place.database_url)
    signals = Signals()
    listener = Listener(place.database_url, signals)
    await listener.start()
    async with AsyncConnectionPool(place.database_url, min_size=2, max_size=4, kwargs={"autocommit": True}) as pool:
        log = PostgresLog(pool)
        views = PostgresViewStore(pool.connection, signals)

        async def follow(page_size: int, target: int) -> float:
            began = (await views.prepare(PORTFOLIO_PROJECTOR.view)).position
            runner = Runner(
                projector=PORTFOLIO_PROJECTOR,
                history=log,
                leadership=PostgresLeadership(place.database_url, signals),
                signals=signals,
                page_size=page_size,
            )
            started = time.perf_counter()
            task = asyncio.create_task(runner.run())
            await signals.wait_for(PORTFOLIO_PROJECTOR.view.name, target, 600)
            took = time.perf_counter() - started
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return (target - began) / took

        single = await follow(1, SINGLE)
        paged = await follow(2_000, EVENTS)
        done = await rebuild(PORTFOLIO_PROJECTOR, log, PostgresBuilder(place.database_url))
    await listener.close()
    rebuilt = done.position / done.seconds
    note = "baseline: one event a transaction"
    return [
        Result(
            name="projection into PostgreSQL, pages of 2,000",
            value=paged,
            unit="events/s",
            baseline=single,
            ratio=paged / single,
            target=">= 30,000/s",
            note=note,
        ),
        Result(
            name="rebuild beside the live view",
            value=rebuilt,
            unit="events/s",
            baseline=single,
            ratio=rebuilt / single,
            target=">= 60,000/s",
            note=note,
        ),
    ]


async def _fill(database_url: str) -> None:
    """Append a log of portfolios that are opened once and then moved in turn."""
    portfolios = [Portfolio.open(f"B{number}", "bench", Decimal(0), NOW) for number in range(PORTFOLIOS)]
    deposit = PositionUpdate(transaction_type=TransactionType.DEP, quantity_change=Decimal("10.25"))
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        written = 0
        while written < EVENTS:
            events: list[Event] = []
            for portfolio in portfolios:
                if written:
                    portfolio.update([deposit] * 4, NOW, now=NOW)
                events += portfolio.collect_events()
            await connection.execute(
                "select es.append(%b::text[], %b::bigint[], %b::text[], %b::bytea[], %b::uuid[], %b::text[], "
                "%b::uuid[], %b::text[], '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')",
                (
                    [event.originator_id for event in events],
                    [event.originator_version for event in events],
                    [event.TOPIC for event in events],
                    [encode(event) for event in events],
                    [None] * len(events),
                    ["bench"] * len(events),
                    [None] * len(events),
                    ["bench"] * len(events),
                ),
            )
            written += len(events)
