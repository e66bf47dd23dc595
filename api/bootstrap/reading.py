"""What every process has that reads: the log, the views, what it hears of both, and the hot copy if any."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool
from redis.asyncio import Redis

from api.bootstrap.registry import PROJECTORS
from api.settings import Settings
from domain.errors import Broken, StoreUnavailable
from migrations import NEWEST
from postgres.sessions import PRIMARY, limited, watched
from read_side.adapters.postgres import PostgresViewStore
from read_side.adapters.postgres_signals import Listener
from read_side.adapters.redis import RedisHotCopy
from read_side.adapters.redis_link import connect as connect_redis
from read_side.adapters.redis_link import guarded as guarded_redis
from read_side.optional import Link
from read_side.signals import Signals
from write_side.adapters.appender import Appender
from write_side.adapters.postgres_log import PostgresLog

Pool = AsyncConnectionPool[psycopg.AsyncConnection[Any]]
_HOT_READ = 0.25
"""Seconds that Redis may take where somebody waits for an answer."""

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
    link: Link[Redis] | None
    hot: RedisHotCopy | None


@asynccontextmanager
async def reading(
    settings: Settings, *, appender: Appender | None = None, redis_timeout: float = _HOT_READ
) -> AsyncIterator[Reading]:
    """Open what reads; ``redis_timeout`` is how many seconds Redis may take.

    Raises ``StoreUnavailable`` when the database cannot be reached.
    """
    database_url = database_url_of(settings)
    async with AsyncExitStack() as stack:
        pool: Pool = AsyncConnectionPool(
            database_url,
            min_size=2,
            max_size=8,
            kwargs={"autocommit": True, "target_session_attrs": PRIMARY},
            configure=watched,
            open=False,
            timeout=5,
            name="reading",
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
            link = guarded_redis(connect_redis(settings.redis_url, timeout=redis_timeout))
            stack.push_async_callback(link.close)
            await link.greet()
        hot = RedisHotCopy(link, signals) if link is not None else None
        views = PostgresViewStore(pool.connection, signals)
        yield Reading(database_url, pool, PostgresLog(pool, appender), views, signals, listener, link, hot)


async def revision(pool: Pool) -> str | None:
    """Return the revision of the database's schemas; None where nothing was ever made."""
    try:
        async with pool.connection() as connection, limited():
            row = await (await connection.execute("select version_num from app.alembic_version")).fetchone()
    except psycopg.errors.UndefinedTable:
        return None
    except (psycopg.Error, TimeoutError) as error:
        raise StoreUnavailable(f"PostgreSQL cannot be asked: {error}") from error
    return row[0] if row else None


async def _migrated(pool: Pool) -> None:
    """Raise ``Broken`` when the database is not as this program expects it."""
    found = await revision(pool)
    if found != NEWEST:
        raise Broken(f"the database is at revision {found}, this program needs {NEWEST}: run `./run migrate` first")


async def prepared(views: PostgresViewStore) -> None:
    """Make the views that no projector has made yet; one that has to be rebuilt first is told by ``/readyz``."""
    for each in PROJECTORS:
        try:
            await views.prepare(each.view)
        except Broken as error:
            log.warning("view cannot be read", view=each.view.name, error=str(error))


def database_url_of(settings: Settings) -> str:
    if settings.database_url is None:
        raise StoreUnavailable("DATABASE_URL is not set: only `serve` with role `all` starts a database of its own")
    return settings.database_url
