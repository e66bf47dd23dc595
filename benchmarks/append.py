"""Single durable commands through the event store, against the stock library and a raw 100-row insert."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg
from psycopg_pool import AsyncConnectionPool

from benchmarks import stock
from benchmarks.harness import Place, Result, at_once, percentile
from domain.base import Event
from domain.portfolio import PositionUpdate, TransactionType
from write_side.adapters.appender import Appender
from write_side.adapters.postgres_log import PostgresLog, connect
from write_side.event_store import EventStore
from write_side.log import Answer, Context, Remember
from write_side.portfolio import OpenPortfolio, UpdatePortfolio

SECONDS = 4.0
NOW = datetime(2025, 6, 21, tzinfo=UTC)
DEPOSIT = PositionUpdate(transaction_type=TransactionType.DEP, quantity_change=Decimal("10.25"))


@asynccontextmanager
async def event_store(database_url: str) -> AsyncIterator[EventStore]:
    """Run an event store as the application wires it."""
    appender = Appender(connect=lambda: connect(database_url))
    async with AsyncConnectionPool(database_url, min_size=1, max_size=4, kwargs={"autocommit": True}) as pool:
        await appender.start()
        store = EventStore(PostgresLog(pool, appender))
        yield store
        await appender.close()
        await store.close()


def context(key: str | None = None) -> Context:
    """Return the circumstances of a command, with an Idempotency-Key if one is given."""
    remember = None
    if key is not None:
        remember = Remember(caller="bench", key=key, fingerprint=b"f" * 32, answer=_answer)
    return Context(actor="bench", correlation_id="bench", remember=remember)


async def _answer(portfolio: Any, events: Sequence[Event]) -> Answer:
    return Answer(200, b"{}" * 100)


async def run(place: Place) -> list[Result]:
    """Return commands a second with 1, 8 and 64 callers, and with an Idempotency-Key each."""
    results = []
    library = stock.saves(place, threads=8, seconds=SECONDS)
    raw = await _raw_insert(place)
    run_id = uuid4().hex[:8]
    async with event_store(place.database_url) as store:
        for caller in range(64):
            await OpenPortfolio(portfolio_id=f"{run_id}-{caller}", portfolio_name="bench").handle(
                store, context(), now=NOW
            )
        keys = itertools.count()

        async def deposit(caller: int) -> None:
            command = UpdatePortfolio(portfolio_id=f"{run_id}-{caller}", updates=(DEPOSIT,), timestamp=NOW)
            await command.handle(store, context(), now=NOW)

        async def deposit_once(caller: int) -> None:
            command = UpdatePortfolio(portfolio_id=f"{run_id}-{caller}", updates=(DEPOSIT,), timestamp=NOW)
            await command.handle(store, context(f"{run_id}-{next(keys)}"), now=NOW)

        await at_once(64, 0.5, deposit)
        for name, callers, operation, target in (
            ("append, 1 caller", 1, deposit, ""),
            ("append, 8 callers", 8, deposit, ">= 8,000/s"),
            ("append, 64 callers", 64, deposit, ">= 18,000/s, P99 < 10 ms"),
            ("append, 64 callers, each with a key", 64, deposit_once, ">= 12,000/s"),
        ):
            rate, latencies = await at_once(callers, SECONDS, operation)
            results.append(
                Result(
                    name=name,
                    value=rate,
                    unit="events/s",
                    baseline=library,
                    ratio=rate / library,
                    p50_ms=percentile(latencies, 0.5),
                    p99_ms=percentile(latencies, 0.99),
                    target=target,
                    note="baseline: the library's save(), 8 threads",
                )
            )
    results.append(Result(name="raw insert of 100 rows a commit", value=raw, unit="events/s", note="for comparison"))
    return results


async def _raw_insert(place: Place) -> float:
    """Return rows a second of 100-row inserts by one connection into a plain table with the same columns and key."""
    async with await psycopg.AsyncConnection.connect(place.database_url, autocommit=True) as connection:
        await connection.execute(
            "create table if not exists raw_events (originator_id text, originator_version bigint, topic text, "
            "state bytea, notification_id bigserial, primary key (originator_id, originator_version))"
        )
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < SECONDS / 2:
            streams = [f"raw/{uuid4().hex}" for _ in range(100)]
            await connection.execute(
                "insert into raw_events (originator_id, originator_version, topic, state) "
                "select o, 1, 't', d from unnest(%s::text[], %s::bytea[]) u(o, d)",
                (streams, [b"x" * 80] * 100),
                prepare=True,
                binary=True,
            )
            count += 100
        rate = count / (time.perf_counter() - started)
        await connection.execute("drop table raw_events")
    return rate
