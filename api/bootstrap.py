"""Composition: which adapter stands behind each port. The only module that names adapters; nothing runs at import."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
import structlog
from prometheus_client import CollectorRegistry, Gauge, Histogram
from psycopg_pool import AsyncConnectionPool

from api import health
from api.app import Deps
from api.queries.system import Part, State
from api.settings import Settings
from domain.errors import Broken, FoliologError, NotFound, StoreUnavailable
from migrations import NEWEST
from projections.portfolio import PORTFOLIO_PROJECTOR
from projections.projector import Projector
from projections.runner import Runner
from read_side.adapters.postgres import PostgresViewStore
from read_side.adapters.postgres_builder import PostgresBuilder
from read_side.adapters.postgres_leader import PostgresLeadership
from read_side.adapters.postgres_signals import Listener
from read_side.adapters.redis import RedisHotCopy
from read_side.adapters.redis import connect as connect_redis
from read_side.lag import Lags
from read_side.portfolio import Portfolios
from read_side.signals import Signals
from read_side.tasks import end
from write_side.adapters.appender import Appender, Flush
from write_side.adapters.postgres_log import PostgresLog, connect
from write_side.event_store import EventStore

Pool = AsyncConnectionPool[psycopg.AsyncConnection[Any]]

PROJECTORS: tuple[Projector[Any], ...] = (PORTFOLIO_PROJECTOR,)
"""The registry of views: one line each."""
_MEASURE_EVERY = 2.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Reading:
    """What every process has that reads: the log, the views, what it hears of both, and the hot copy if any."""

    database_url: str
    pool: Pool
    log: PostgresLog
    views: PostgresViewStore
    signals: Signals
    hot: RedisHotCopy | None


@asynccontextmanager
async def reading(settings: Settings, *, appender: Appender | None = None) -> AsyncIterator[Reading]:
    """Open what reads; raises ``StoreUnavailable`` when the database cannot be reached."""
    database_url = _database_url(settings)
    async with AsyncExitStack() as stack:
        pool: Pool = AsyncConnectionPool(
            database_url, min_size=2, max_size=8, kwargs={"autocommit": True}, open=False, timeout=5, name="reading"
        )
        try:
            await pool.open(wait=True, timeout=10)
        except psycopg.OperationalError as error:
            await pool.close()
            raise StoreUnavailable(f"PostgreSQL cannot be reached: {error}") from error
        stack.push_async_callback(pool.close)
        await _migrated(pool)
        signals = Signals()
        listener = Listener(database_url, signals)
        await listener.start()
        stack.push_async_callback(listener.close)
        hot = None
        if settings.redis_url is not None:
            hot = RedisHotCopy(connect_redis(settings.redis_url), signals)
            stack.push_async_callback(hot.close)
            await hot.greet()
        views = PostgresViewStore(pool.connection, signals)
        yield Reading(database_url, pool, PostgresLog(pool, appender), views, signals, hot)


@asynccontextmanager
async def http(settings: Settings, *, commands: bool, queries: bool) -> AsyncIterator[Deps]:
    """Open what a process needs that answers HTTP; at the end everything accepted is committed."""
    registry = CollectorRegistry()
    async with AsyncExitStack() as stack:
        database_url = _database_url(settings)
        appender = Appender(
            connect=lambda: connect(database_url), capacity=settings.command_queue, observe=_flushes(registry)
        )
        parts = await stack.enter_async_context(reading(settings, appender=appender))
        store = None
        if commands:
            await appender.start()
            store = EventStore(parts.log, cache_size=settings.aggregate_cache, snapshot_every=settings.snapshot_every)
            appender.reconnected = store.forget
            stack.push_async_callback(store.close)
            stack.push_async_callback(appender.close)
            depth = Gauge("foliolog_append_queue_depth", "Commands that wait for the event log", registry=registry)
            depth.set_function(lambda: appender.depth)
        if queries:
            await _prepared(parts.views)
        await stack.enter_async_context(_measured(parts.views, parts.signals, registry))
        yield Deps(
            clock=lambda: datetime.now(UTC),
            health=_health(parts, views=queries),
            store=store,
            portfolios=Portfolios(parts.views, parts.signals, parts.hot) if queries else None,
            registry=registry,
            log_all=settings.log_requests,
        )


@dataclass(frozen=True)
class Operating:
    """What operators' commands need: the log, the views, and what makes views anew."""

    history: PostgresLog
    views: PostgresViewStore
    builder: PostgresBuilder


@asynccontextmanager
async def operating(settings: Settings) -> AsyncIterator[Operating]:
    """Open what operators' commands need, on the database that is set."""
    async with reading(settings) as parts:
        yield Operating(parts.log, parts.views, PostgresBuilder(parts.database_url))


def projector(name: str) -> Projector[Any]:
    """Return the projector of the view with this name; raises ``NotFound`` naming those that there are."""
    for candidate in PROJECTORS:
        if candidate.view.name == name:
            return candidate
    names = ", ".join(sorted(each.view.name for each in PROJECTORS))
    raise NotFound(f"there is no view {name!r}; there are: {names}")


@asynccontextmanager
async def projections(settings: Settings) -> AsyncIterator[Sequence[Runner[Any]]]:
    """Open one runner for each view; they do nothing until they run."""
    async with reading(settings) as parts:
        leadership = PostgresLeadership(parts.database_url, parts.signals)
        yield [
            Runner(
                projector=projector,
                history=parts.log,
                leadership=leadership,
                signals=parts.signals,
                hot=parts.hot,
            )
            for projector in PROJECTORS
        ]


async def _revision(pool: Pool) -> str | None:
    """Return the revision of the database's schemas; None where nothing was ever made."""
    try:
        async with pool.connection() as connection:
            row = await (await connection.execute("select version_num from app.alembic_version")).fetchone()
    except psycopg.errors.UndefinedTable:
        return None
    except (psycopg.Error, TimeoutError) as error:
        raise StoreUnavailable(f"PostgreSQL cannot be asked: {error}") from error
    return row[0] if row else None


async def _migrated(pool: Pool) -> None:
    """Raise ``Broken`` when the database is not as this program expects it."""
    found = await _revision(pool)
    if found != NEWEST:
        raise Broken(f"the database is at revision {found}, this program needs {NEWEST}: run `./run migrate` first")


async def _prepared(views: PostgresViewStore) -> None:
    """Make the views that no projector has made yet; one that has to be rebuilt first is told by ``/readyz``."""
    for each in PROJECTORS:
        try:
            await views.prepare(each.view)
        except Broken as error:
            log.warning("view cannot be read", view=each.view.name, error=str(error))


def _database_url(settings: Settings) -> str:
    if settings.database_url is None:
        raise StoreUnavailable("DATABASE_URL is not set: only `serve` with role `all` starts a database of its own")
    return settings.database_url


def _health(parts: Reading, *, views: bool) -> health.Checks:
    async def event_log() -> list[Part]:
        head = await parts.log.head()
        return [Part("event log", State.UP, {"position": head})]

    async def migrations() -> list[Part]:
        found = await _revision(parts.pool)
        return [Part("migrations", State.UP if found == NEWEST else State.DOWN, {"revision": found, "newest": NEWEST})]

    checks: dict[str, health.Check] = {"event log": event_log, "migrations": migrations}
    if views:
        checks["views"] = health.views(parts.views, [projector.view.name for projector in PROJECTORS])
    if views and parts.hot is not None:
        hot = parts.hot
        checks["hot copy"] = health.optional("hot copy", lambda: hot.reachable)
    return health.Checks(checks)


def _flushes(registry: CollectorRegistry) -> Any:
    """Return what counts the appender's groups."""
    buckets = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5)
    size = Histogram(
        "foliolog_append_group_commands",
        "Commands that shared a commit",
        registry=registry,
        buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
    )
    took = Histogram("foliolog_append_flush_seconds", "Time of a commit", registry=registry, buckets=buckets)
    waited = Histogram(
        "foliolog_append_wait_seconds", "Wait of a group's oldest command", registry=registry, buckets=buckets
    )

    def observe(flush: Flush) -> None:
        size.observe(flush.commands)
        took.observe(flush.took)
        waited.observe(flush.waited)

    return observe


@asynccontextmanager
async def _measured(lags: Lags, signals: Signals, registry: CollectorRegistry) -> AsyncIterator[None]:
    """Keep the gauges of the log and of every view's lag up to date."""
    head = Gauge("foliolog_log_position", "Position of the last event", registry=registry)
    head.set_function(lambda: signals.head)
    events = Gauge("foliolog_view_lag_events", "Events a view has yet to take", ["view"], registry=registry)
    seconds = Gauge("foliolog_view_lag_seconds", "Age of the first event not taken", ["view"], registry=registry)
    stopped = Gauge("foliolog_view_stopped", "1 for a projection that has stopped", ["view"], registry=registry)

    async def measure() -> None:
        while True:
            try:
                for lag in await lags.lags():
                    events.labels(lag.view).set(lag.events)
                    seconds.labels(lag.view).set(lag.seconds)
                    stopped.labels(lag.view).set(lag.stopped)
            except FoliologError as error:
                log.warning("lag not measured", error=str(error))
            await asyncio.sleep(_MEASURE_EVERY)

    task = asyncio.create_task(measure())
    try:
        yield
    finally:
        await end(task)
