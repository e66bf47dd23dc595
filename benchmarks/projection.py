"""How fast views follow the log and are rebuilt from it, against one transaction for each event."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool

from benchmarks.harness import Place, Result
from domain.base import Event
from domain.codec import encode
from domain.portfolio import Portfolio, PositionUpdate, TransactionType
from migrations import migrate
from projections.portfolio import PORTFOLIO_PROJECTOR
from projections.prices import PRICE_PROJECTOR
from projections.projector import Projector
from projections.rebuild import rebuild
from projections.returns import RETURNS_PROJECTOR
from projections.runner import Runner
from projections.transactions import TRANSACTION_PROJECTOR
from read_side.adapters.postgres import PostgresViewStore
from read_side.adapters.postgres_builder import PostgresBuilder
from read_side.adapters.postgres_leader import PostgresLeadership
from read_side.adapters.postgres_signals import Listener
from read_side.signals import Signals
from read_side.tasks import end
from write_side.adapters.postgres_log import PostgresLog

PORTFOLIOS = 1_000
EVENTS = 200_000
"""Events of a log of portfolios with nothing but cash."""
POSITIONS = 50
INSTRUMENTS = 1_000
TRADES = 60_000
DAYS = 3
SINGLE = 3_000
SINGLE_TRADES = 1_000
NOW = datetime(2025, 6, 21, tzinfo=UTC)
TRADING: tuple[Projector[Any], ...] = (
    PORTFOLIO_PROJECTOR,
    PRICE_PROJECTOR,
    TRANSACTION_PROJECTOR,
    RETURNS_PROJECTOR,
)


async def run(place: Place) -> list[Result]:
    """Return events a second of projecting, of rebuilding, and of projecting with a page of one event."""
    results = []
    await _fill(place.database_url, _cash())
    async with _following(place.database_url) as following:
        single = await following.follow(PORTFOLIO_PROJECTOR, 1, SINGLE)
        paged = await following.follow(PORTFOLIO_PROJECTOR, 2_000, EVENTS)
        rebuilt = await following.rebuilt(PORTFOLIO_PROJECTOR)
        results += _results("", single, paged, rebuilt)
    trading = await _other_database(place.database_url, "trading")
    portfolios, opened = _portfolios(), PORTFOLIOS * (1 + POSITIONS)
    await _fill(trading, _first_trades(portfolios))
    async with _following(trading) as following:
        for projector in TRADING:
            await following.follow(projector, 2_000, opened)
        await _fill(trading, _trades(portfolios))
        for projector in TRADING:
            single = await following.follow(projector, 1, opened + SINGLE_TRADES)
            paged = await following.follow(projector, 2_000, opened + TRADES)
            rebuilt = await following.rebuilt(projector)
            results += _results(f", trades, {projector.view.name}", single, paged, rebuilt)
    return results


def _results(what: str, single: float, paged: float, rebuilt: float) -> list[Result]:
    figures = (
        (f"projection into PostgreSQL, pages of 2,000{what}", paged, ">= 30,000/s"),
        (f"rebuild beside the live view{what}", rebuilt, ">= 60,000/s"),
    )
    note = "baseline: one event a transaction"
    return [
        Result(name=name, value=value, unit="events/s", baseline=single, ratio=value / single, target=target, note=note)
        for name, value, target in figures
    ]


@dataclass
class _Following:
    """Follows the log of a database, one view at a time."""

    database_url: str
    log: PostgresLog
    views: PostgresViewStore
    signals: Signals

    async def follow(self, projector: Projector[Any], page_size: int, target: int) -> float:
        """Bring the view to this position; return events a second."""
        began = (await self.views.prepare(projector.view)).position
        runner = Runner(
            projector=projector,
            history=self.log,
            leadership=PostgresLeadership(self.database_url, self.signals),
            signals=self.signals,
            page_size=page_size,
        )
        started = time.perf_counter()
        task = asyncio.create_task(runner.run())
        await self.signals.wait_for(projector.view.name, target, 600)
        took = time.perf_counter() - started
        await end(task)
        return (target - began) / took

    async def rebuilt(self, projector: Projector[Any]) -> float:
        """Rebuild the view; return events a second."""
        done = await rebuild(projector, self.log, PostgresBuilder(self.database_url))
        return done.position / done.seconds


@asynccontextmanager
async def _following(database_url: str) -> AsyncIterator[_Following]:
    signals = Signals()
    listener = Listener(database_url, signals)
    await listener.start()
    async with AsyncConnectionPool(database_url, min_size=2, max_size=4, kwargs={"autocommit": True}) as pool:
        yield _Following(database_url, PostgresLog(pool), PostgresViewStore(pool.connection, signals), signals)
    await listener.close()


# --- logs ------------------------------------------------------------------------------------------------------------


def _cash() -> Iterator[list[Event]]:
    """Yield groups of events: portfolios that are opened once and then moved in turn."""
    portfolios = _portfolios()
    deposit = PositionUpdate(transaction_type=TransactionType.DEP, quantity_change=Decimal("10.25"))
    written = 0
    while written < EVENTS:
        events: list[Event] = []
        for portfolio in portfolios:
            if written:
                portfolio.update([deposit] * 4, NOW, now=NOW)
            events += portfolio.collect_events()
        yield events
        written += len(events)


def _first_trades(portfolios: list[Portfolio]) -> Iterator[list[Event]]:
    """Yield groups of events: the portfolios are opened, and each buys all it will hold."""
    for number, portfolio in enumerate(portfolios):
        portfolio.update([_buy(number, place, 0) for place in range(POSITIONS)], NOW, now=NOW)
        if number % 100 == 99:
            yield [event for each in portfolios[number - 99 : number + 1] for event in each.collect_events()]


def _trades(portfolios: list[Portfolio]) -> Iterator[list[Event]]:
    """Yield groups of events: the portfolios trade in turn, four trades each, while prices move and days pass."""
    for tick in range(1, TRADES // PORTFOLIOS // 4 + 1):
        events: list[Event] = []
        for number, portfolio in enumerate(portfolios):
            at = NOW + DAYS * timedelta(days=1) * ((tick - 1) * PORTFOLIOS + number) / (TRADES // 4)
            portfolio.update([_buy(number, tick * 4 + each, tick) for each in range(4)], at, now=at)
            events += portfolio.collect_events()
        yield events


def _portfolios() -> list[Portfolio]:
    return [Portfolio.open(f"B{number}", "bench", Decimal(0), NOW) for number in range(PORTFOLIOS)]


def _buy(portfolio: int, place: int, tick: int) -> PositionUpdate:
    return PositionUpdate(
        transaction_type=TransactionType.BUY,
        instrument_id=f"US{(portfolio * 37 + place % POSITIONS * 19) % INSTRUMENTS:010d}",
        quantity_change=Decimal(100 if tick == 0 else 1),
        price=Decimal(2000 + (portfolio + place * 7 + tick * 31) % 5000) / 100,
    )


async def _fill(database_url: str, groups: Iterator[list[Event]]) -> None:
    """Append a log of these events."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        for events in groups:
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


async def _other_database(database_url: str, name: str) -> str:
    """Make another database on the same server, with a log of its own; return its address."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(f'create database "{name}"')
    other = make_conninfo(database_url, dbname=name)
    await asyncio.to_thread(migrate, other)
    return other
