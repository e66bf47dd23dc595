"""Composition: which adapter stands behind each port. The only module that names adapters; nothing runs at import."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
import structlog
from prometheus_client import CollectorRegistry, Gauge
from psycopg_pool import AsyncConnectionPool

from api import health
from api.app import Commands, Deps, Queries
from api.gauges import flushes, lags
from api.queries.system import Part, State
from api.settings import Settings
from domain.errors import Broken, NotFound, StoreUnavailable
from migrations import NEWEST
from projections.portfolio import PORTFOLIO_PROJECTOR
from projections.prices import PRICE_PROJECTOR
from projections.projector import Projector
from projections.returns import RETURNS_PROJECTOR
from projections.runner import Runner
from projections.securities import SECURITY_PROJECTOR
from projections.transactions import TRANSACTION_PROJECTOR
from read_side.adapters.postgres import PostgresViewStore
from read_side.adapters.postgres_builder import PostgresBuilder
from read_side.adapters.postgres_leader import PostgresLeadership
from read_side.adapters.postgres_signals import Listener
from read_side.adapters.redis import RedisHotCopy
from read_side.adapters.redis_link import Link
from read_side.adapters.redis_link import connect as connect_redis
from read_side.adapters.redis_rendered import RedisRendered
from read_side.analytics import Analytics
from read_side.past import PastStates
from read_side.portfolio import Portfolios
from read_side.price_table import PriceTable
from read_side.prices import Prices
from read_side.returns import Tracks
from read_side.securities import Securities
from read_side.signals import Signals
from read_side.states import States
from read_side.tail import Tail
from read_side.transactions import Transactions
from write_side.adapters.appender import Appender
from write_side.adapters.postgres_log import PostgresLog, connect
from write_side.event_store import EventStore

Pool = AsyncConnectionPool[psycopg.AsyncConnection[Any]]

PROJECTORS: tuple[Projector[Any], ...] = (
    PORTFOLIO_PROJECTOR,
    PRICE_PROJECTOR,
    SECURITY_PROJECTOR,
    RETURNS_PROJECTOR,
    TRANSACTION_PROJECTOR,
)
"""The registry of views: one line each."""
_HOT_READ = 0.25
_HOT_WRITE = 2.0
"""Seconds that Redis may take: a page of a projection is larger than an answer, and nobody waits for it."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Reading:
    """What every process has that reads: the log, the views, what it hears of both, and the hot copy if any."""

    database_url: str
    pool: Pool
    log: PostgresLog
    views: PostgresViewStore
    signals: Signals
    listener: Listener
    link: Link | None
    hot: RedisHotCopy | None


@asynccontextmanager
async def reading(
    settings: Settings, *, appender: Appender | None = None, redis_timeout: float = _HOT_READ
) -> AsyncIterator[Reading]:
    """Open what reads; ``redis_timeout`` is how many seconds Redis may take.

    Raises ``StoreUnavailable`` when the database cannot be reached.
    """
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
        link = None
        if settings.redis_url is not None:
            link = Link(connect_redis(settings.redis_url, timeout=redis_timeout))
            stack.push_async_callback(link.close)
            await link.greet()
        hot = RedisHotCopy(link, signals) if link is not None else None
        views = PostgresViewStore(pool.connection, signals)
        yield Reading(database_url, pool, PostgresLog(pool, appender), views, signals, listener, link, hot)


@asynccontextmanager
async def http(settings: Settings, *, commands: bool, queries: bool) -> AsyncIterator[Deps]:
    """Open what a process needs that answers HTTP; at the end everything accepted is committed."""
    registry = CollectorRegistry()
    async with AsyncExitStack() as stack:
        database_url = _database_url(settings)
        appender = Appender(
            connect=lambda: connect(database_url), capacity=settings.command_queue, observe=flushes(registry)
        )
        parts = await stack.enter_async_context(reading(settings, appender=appender))
        store = None
        if commands:
            await appender.start()
            store = EventStore(parts.log, cache_size=settings.aggregate_cache, snapshot_every=settings.snapshot_every)
            stack.push_async_callback(store.close)
            stack.push_async_callback(appender.close)
            depth = Gauge("foliolog_append_queue_depth", "Commands that wait for the event log", registry=registry)
            depth.set_function(lambda: appender.depth)
        await _prepared(parts.views)
        prices = Prices(parts.views, parts.signals)
        table = PriceTable(parts.log, prices, parts.signals)
        appender.committed = table.heard
        await table.start()
        stack.push_async_callback(table.close)
        await stack.enter_async_context(lags(parts.views, parts.signals, registry))
        portfolios = Portfolios(parts.views, parts.signals, parts.hot)
        copy = None
        if parts.link is not None:
            copy = RedisRendered(parts.link, settings=str(settings.risk_free_rate))
            stack.push_async_callback(copy.close)
        states = States(portfolios, table, parts.signals, copy)
        rate = settings.risk_free_rate
        asked = Queries(
            portfolios=portfolios,
            states=states,
            past=PastStates(parts.log, prices, parts.signals),
            analytics=Analytics(Tracks(parts.views, parts.signals), states, copy, risk_free_rate=rate),
            prices=prices,
            securities=Securities(parts.views, parts.signals),
            transactions=Transactions(parts.views, parts.signals, portfolios),
        )

        def begin_anew() -> None:
            """Forget what is remembered of the log: what is behind a new connection may be a restored one."""
            table.forget()
            states.forget()
            asked.analytics.forget()
            if store is not None:
                store.forget()

        appender.reconnected = parts.listener.reconnected = begin_anew
        yield Deps(
            clock=lambda: datetime.now(UTC),
            health=_health(parts, table, views=queries),
            commands=Commands(store=store, prices=table) if store is not None else None,
            queries=asked if queries else None,
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
    async with reading(settings, redis_timeout=_HOT_WRITE) as parts:
        leadership = PostgresLeadership(parts.database_url, parts.signals)
        tail = Tail(parts.log)
        yield [
            Runner(
                projector=projector,
                history=tail,
                leadership=leadership,
                signals=parts.signals,
                hot=parts.hot,
                renewed=tail.forget,
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


def _health(parts: Reading, table: PriceTable, *, views: bool) -> health.Checks:
    async def event_log() -> list[Part]:
        head = await parts.log.head()
        return [Part("event log", State.UP, {"position": head})]

    async def migrations() -> list[Part]:
        found = await _revision(parts.pool)
        return [Part("migrations", State.UP if found == NEWEST else State.DOWN, {"revision": found, "newest": NEWEST})]

    async def prices() -> list[Part]:
        members = {"position": table.position} | ({"error": table.error} if table.error else {})
        return [Part("prices in memory", State.DOWN if table.error else State.UP, members)]

    checks: dict[str, health.Check] = {"event log": event_log, "migrations": migrations, "prices in memory": prices}
    if views:
        checks["views"] = health.views(parts.views, [projector.view.name for projector in PROJECTORS])
    if views and parts.link is not None:
        link = parts.link
        checks["hot copy"] = health.optional("hot copy", lambda: link.reachable)
    return health.Checks(checks)
