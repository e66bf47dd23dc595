"""Sessions with PostgreSQL: how they begin, how long a statement may take, and what counts as a lost connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

Connection: TypeAlias = psycopg.AsyncConnection[Any]
Connections: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]

PRIMARY = "primary"
"""Of several hosts in the URL the one that is no standby (``target_session_attrs`` of libpq)."""
LIMIT = 10.0
"""Seconds that a statement may take: a server that hangs is as good as one that is away."""
HOPELESS = (PoolClosed, PoolTimeout, TooManyRequests, TimeoutError)
"""After these another connection would not help: there is none, or the server hangs."""
LOST = (psycopg.OperationalError, psycopg.InterfaceError, *HOPELESS)
_WATCHED = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
_SET = "select set_config(name, value, false) from unnest(%s::text[], %s::text[]) as settings (name, value)"


@asynccontextmanager
async def limited(times: float = 1) -> AsyncIterator[asyncio.Timeout]:
    """Bound what is asked inside to ``LIMIT``, or so many times that; raises ``TimeoutError``.

    The network tells of nothing where the server's machine still acknowledges, or a proxy keeps a session whose server
    has gone. The connection is closed then, unless the server ends the statement when it is told to.
    """
    seconds = LIMIT * times
    try:
        async with asyncio.timeout(seconds) as limit:
            yield limit
    except TimeoutError as error:
        raise TimeoutError(f"no answer within {seconds:g} s") from error


async def connect(database_url: str, name: str, *, writes: bool = True, **settings: str) -> Connection:
    """Return a direct session with these settings, in autocommit mode; both sides notice within seconds a lost peer.

    ``writes``: a primary that takes no writes for a while is as good as none. A standby always is: it tells of nothing
    that is appended, and a lock held there would be no lock. Raises ``psycopg.OperationalError``, also where the server
    does not answer.
    """
    connection = await psycopg.AsyncConnection.connect(
        database_url,
        autocommit=True,
        connect_timeout=5,
        keepalives_idle=5,
        keepalives_interval=2,
        keepalives_count=3,
        tcp_user_timeout=10_000,
        application_name=name,
        target_session_attrs="read-write" if writes else PRIMARY,
    )
    try:
        await watched(connection, **settings)
    except BaseException:
        await connection.close()
        raise
    return connection


async def watched(connection: Connection, **settings: str) -> None:
    """Let the server, too, notice within seconds that this host has vanished, and make these settings.

    It would keep the session for two hours, and what the session holds. A statement does it, so that the ``options`` of
    the URL stay as they are; on a Unix socket it changes nothing. Raises ``psycopg.OperationalError``.
    """
    all_settings = _WATCHED | settings
    try:
        async with limited():
            await connection.execute(_SET, (list(all_settings), list(all_settings.values())))
    except TimeoutError as error:
        raise psycopg.OperationalError(str(error)) from error
