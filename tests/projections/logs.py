"""Logs to project: events appended through the log's own function, random but the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg
from psycopg_pool import AsyncConnectionPool

from domain.base import Event
from domain.codec import encode
from domain.portfolio import CashDeposited, CashWithdrawn, Portfolio, PortfolioOpened
from postgres.sessions import Connection
from read_side.adapters.postgres import PostgresViewStore
from read_side.adapters.postgres_signals import Listener
from read_side.signals import Signals
from read_side.store import View
from write_side.adapters.postgres_log import PostgresLog

NOW = datetime(2025, 6, 21, 10, 0, tzinfo=UTC)
_APPEND = """
select base from es.append(
    %s::text[], %s::bigint[], %s::text[], %s::bytea[], %s::uuid[], %s::text[], %s::uuid[], %s::text[],
    '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')
"""
Stored = tuple[str, int, str, bytes]


def opened(portfolio_id: str, cash: str = "0", *, name: str = "", at: datetime = NOW) -> PortfolioOpened:
    return PortfolioOpened(
        originator_id=Portfolio.stream(portfolio_id),
        originator_version=1,
        timestamp=at,
        originator_topic=Portfolio.TOPIC,
        portfolio_name=name or f"Portfolio {portfolio_id}",
        cash=Decimal(cash),
    )


def deposited(portfolio_id: str, version: int, cash: str, *, at: datetime = NOW) -> CashDeposited:
    """A deposit after which the cash is as given; the amount does not matter to a view."""
    return CashDeposited(
        originator_id=Portfolio.stream(portfolio_id),
        originator_version=version,
        timestamp=at,
        amount=Decimal("0.01"),
        cash=Decimal(cash),
    )


def random_events(seed: int, count: int, portfolios: int) -> list[Event]:
    """A log of so many events of so many portfolios, in no particular order but each portfolio's own."""
    choose = random.Random(seed)
    last: dict[str, tuple[int, Decimal]] = {}
    events: list[Event] = []
    for number in range(count):
        portfolio_id, at = f"ACC-{choose.randrange(portfolios)}", NOW + timedelta(microseconds=number * 333)
        amount = Decimal(choose.randrange(1, 10**12)).scaleb(-choose.randrange(17))
        if portfolio_id not in last:
            events.append(opened(portfolio_id, str(amount), name=choose.choice(("Größe", "50% \\ x_y", "日本")), at=at))
            last[portfolio_id] = (1, amount)
            continue
        version, cash = last[portfolio_id]
        sign = choose.choice((1, -1))
        last[portfolio_id] = (version + 1, cash + sign * amount)
        events.append(
            (CashDeposited if sign > 0 else CashWithdrawn)(
                originator_id=Portfolio.stream(portfolio_id),
                originator_version=version + 1,
                timestamp=at,
                amount=amount,
                cash=cash + sign * amount,
            )
        )
    return events


def stored(event: Event) -> Stored:
    return event.originator_id, event.originator_version, event.TOPIC, encode(event)


async def append(database_url: str, *events: Event | Stored) -> int:
    """Append the events, those given as stored also when they cannot be read; return the position reached."""
    rows = [event if isinstance(event, tuple) else stored(event) for event in events]
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        return await append_rows(connection, rows)


async def append_rows(connection: psycopg.AsyncConnection[Any], rows: Sequence[Stored]) -> int:
    """Append in one transaction, by this connection; return the position reached."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    count = len(rows)
    who = ([uuid4() for _ in rows], ["correlation"] * count, [None] * count, ["tester"] * count)
    cursor = await connection.execute(_APPEND, (*columns, *who), binary=True)
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0]) + count


async def content(database_url: str, view: View[Any]) -> list[tuple[Any, ...]]:
    """Return the whole table of the view, by key."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        cursor = await connection.execute(f"select * from rm_{view.name}.{view.name} order by key", binary=True)
        return await cursor.fetchall()


@dataclass(frozen=True)
class Process:
    """What one process of the application has to read with."""

    database_url: str
    pool: AsyncConnectionPool[Connection]
    signals: Signals
    store: PostgresViewStore
    history: PostgresLog


@asynccontextmanager
async def process(database_url: str) -> AsyncIterator[Process]:
    """Run what a reading process runs: a pool and a listener."""
    signals = Signals()
    listener = Listener(database_url, signals)
    kwargs = {"autocommit": True}
    async with AsyncConnectionPool[Connection](database_url, min_size=1, max_size=8, kwargs=kwargs) as pool:
        await listener.start()
        try:
            store = PostgresViewStore(pool.connection, signals)
            yield Process(database_url, pool, signals, store, PostgresLog(pool))
        finally:
            await listener.close()
