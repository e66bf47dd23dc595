"""Leadership by a session's advisory lock: who holds it writes through that same session, and through no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from domain.errors import StoreUnavailable
from postgres import sessions
from postgres.sessions import LOST, Connection, limited
from read_side.adapters.postgres import PostgresViewStore
from read_side.adapters.postgres_following import LEADER_CLASS, PostgresFollowing
from read_side.signals import Signals

_RETRY = 0.25


async def connect(database_url: str) -> Connection:
    """Return a projector's session; raises ``psycopg.OperationalError``.

    Its commits are not waited for: view and checkpoint are in one transaction, so a crash takes both back together and
    the events, which are durable, are projected once more.
    """
    return await sessions.connect(database_url, "foliolog-projector", synchronous_commit="off", lock_timeout="30s")


class PostgresLeadership:
    """Lets one session at a time lead each name, in whatever process."""

    def __init__(self, database_url: str, signals: Signals) -> None:
        self._database_url = database_url
        self._signals = signals

    @asynccontextmanager
    async def lead(self, name: str) -> AsyncIterator[PostgresViewStore]:
        """Wait until this session leads; the store given works as long as it does.

        When the session is lost so is the leadership, and the store raises ``StoreUnavailable`` from then on.
        """
        async with self._led(name) as connection:
            yield PostgresViewStore(lambda: _shared(connection), self._signals)

    @asynccontextmanager
    async def follow(self, name: str) -> AsyncIterator[PostgresFollowing]:
        """Wait until this session leads the follower with this name, as ``lead`` does for a view."""
        async with self._led(name) as connection:
            yield PostgresFollowing(name, lambda: _shared(connection))

    @asynccontextmanager
    async def _led(self, name: str) -> AsyncIterator[Connection]:
        try:
            connection = await connect(self._database_url)
        except LOST as error:
            raise StoreUnavailable(f"cannot stand for leading {name}: {error}") from error
        async with connection:
            try:
                await _lock(connection, name)
            except LOST as error:
                raise StoreUnavailable(f"lost the session that stood for leading {name}: {error}") from error
            yield connection


@asynccontextmanager
async def _shared(connection: Connection) -> AsyncIterator[Connection]:
    yield connection


async def _lock(connection: Connection, name: str) -> None:
    """Ask again and again instead of waiting in the server: a waiting statement would hold back its vacuum.

    Every answer has its limit, the wait for the leadership has none.
    """
    while True:
        async with limited():
            cursor = await connection.execute("select pg_try_advisory_lock(%s, hashtext(%s))", (LEADER_CLASS, name))
            if await cursor.fetchone() == (True,):
                return
        await asyncio.sleep(_RETRY)
