"""The place of the one run that sends batches: an advisory lock of a session that dies with its process."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from domain.errors import StoreUnavailable
from postgres.sessions import LOST, Connection, connect, limited
from write_side.batch.ports import BatchInProgress

SEND_CLASS = 1718382443
"""Class of the two-integer advisory lock of the one run; the second integer is 0."""
_RETRY = 0.05


class PostgresOneRun:
    """The port ``write_side.batch.ports.OneRun``; ``wait`` is how many seconds the place of another is waited for."""

    def __init__(self, database_url: str, *, wait: float = 0.25) -> None:
        self._database_url, self._wait = database_url, wait

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[_Session]:
        """Hold it in a session opened for this run alone: within one session the lock could be taken twice."""
        try:
            connection = await connect(self._database_url, "foliolog-batches")
        except LOST as error:
            raise StoreUnavailable(f"the run of batches has no session: {error}") from error
        async with connection:
            session = _Session(connection)
            deadline = time.monotonic() + self._wait
            while not await session.ask("select pg_try_advisory_lock(%s, 0)"):
                if time.monotonic() >= deadline:
                    raise BatchInProgress("batch process already in progress")
                await asyncio.sleep(_RETRY)
            try:
                yield session
            finally:  # closing does it too, a moment later
                with contextlib.suppress(StoreUnavailable):
                    await session.ask("select pg_advisory_unlock(%s, 0)")


class _Session:
    """The port ``write_side.batch.ports.Alone``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def check(self) -> None:
        await self.ask("select %s > 0")

    async def ask(self, query: str) -> bool:
        """Return the one value that the query has for the class of the lock; raises ``StoreUnavailable``."""
        try:
            async with limited():
                cursor = await self._connection.execute(query, (SEND_CLASS,))
                rows: list[Any] = await cursor.fetchall()
        except LOST as error:
            raise StoreUnavailable(f"the session of the run of batches is lost: {error}") from error
        return rows[0][0] is True
