"""Checkpoints of policies and what they have parked, in PostgreSQL; one session at a time leads a policy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from domain.errors import Broken, StoreUnavailable
from postgres import sessions
from postgres.sessions import LOST, Connection, Connections, limited
from write_side.work import Overtaken, Parked

WORK_CLASS = 1718382442
"""Class of the two-integer advisory locks of those who lead a policy; the second integer is a hash of its name."""
_RETRY = 0.25
_COLUMNS = "policy, position, stream, topic, attempts, error, parked_at"
_ENSURE = "insert into app.policies (policy) values (%s) on conflict do nothing"
_CHECKPOINT = "select position from app.policies where policy = %s"
_SAVE = """
with saved as (
    update app.policies set position = %(position)s, updated_at = now()
    where policy = %(policy)s and position = %(expected)s
    returning position
)
select pg_notify('checkpoints', %(message)s) from saved
"""
_PARK = """
insert into app.parked_work (policy, position, stream, topic, attempts, error)
select %(policy)s, notification_id, originator_id, topic, %(attempts)s, %(error)s
from es.stored_events where notification_id = %(position)s
on conflict do nothing
"""
_ONE = f"select {_COLUMNS} from app.parked_work where policy = %s and position = %s"  # noqa: S608 - constants alone
_PARKED = "select stream, position from app.parked_work where policy = %s order by position"
_FAILED_AGAIN = "update app.parked_work set attempts = attempts + 1, error = %s where policy = %s and position = %s"
_CLEAR = "delete from app.parked_work where policy = %s and position = %s"


async def connect(database_url: str) -> Connection:
    """Return the session of a process that leads; raises ``psycopg.OperationalError``.

    Its commits are not waited for: those after a lost one are lost with it, so what is parked is there as long as the
    checkpoint behind it is, and what comes again is found done.
    """
    return await sessions.connect(database_url, "foliolog-worker", synchronous_commit="off", lock_timeout="30s")


class PostgresWork:
    """The port ``write_side.work.Work``; ``connections`` hands out connections in autocommit mode."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def checkpoint(self, policy: str) -> int:
        rows = await self._all(_CHECKPOINT, (policy,))
        return cast(int, rows[0][0]) if rows else 0

    async def save_checkpoint(self, policy: str, expected: int, position: int) -> None:
        await self._all(_ENSURE, (policy,)) if not expected else None
        message = f"{told_as(policy)}:{position}:1"
        arguments = {"policy": policy, "expected": expected, "position": position, "message": message}
        if not await self._all(_SAVE, arguments):
            raise Overtaken(f"policy {policy} is not at {expected}: it is not moved to {position}")

    async def parked(self, policy: str) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for stream, position in await self._all(_PARKED, (policy,)):
            found.setdefault(stream, []).append(position)
        return found

    async def one(self, policy: str, position: int) -> Parked | None:
        rows = await self._all(_ONE, (policy, position))
        names = Parked.__struct_fields__
        return Parked(**dict(zip(names, rows[0], strict=True))) if rows else None

    async def park(self, policy: str, position: int, *, attempts: int, error: str) -> Parked:
        arguments = {"policy": policy, "position": position, "attempts": attempts, "error": error}
        await self._all(_PARK, arguments)
        parked = await self.one(policy, position)
        if parked is None:
            raise Broken(f"there is no event at position {position} to be parked", position=position)
        return parked

    async def failed_again(self, policy: str, position: int, error: str) -> None:
        await self._all(_FAILED_AGAIN, (error, policy, position))

    async def clear(self, policy: str, position: int) -> None:
        await self._all(_CLEAR, (policy, position))

    async def _all(self, query: str, arguments: Any) -> list[tuple[Any, ...]]:
        """Run the statement and return its rows; none where it is one that has none."""
        try:
            async with self._connections() as connection, limited():
                cursor = await connection.execute(query, arguments, prepare=True)
                return cast(list[tuple[Any, ...]], await cursor.fetchall()) if cursor.description is not None else []
        except LOST as error:
            raise StoreUnavailable(f"what policies have done cannot be reached: {error}") from error


class PostgresWorkLeadership:
    """Lets one session at a time lead each policy, in whatever process."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url

    @asynccontextmanager
    async def lead(self, policy: str) -> AsyncIterator[PostgresWork]:
        """Wait until this session leads; what is given writes through it, and fails once it is lost."""
        try:
            connection = await connect(self._database_url)
        except LOST as error:
            raise StoreUnavailable(f"cannot stand for leading policy {policy}: {error}") from error
        async with connection:
            try:
                await _lock(connection, policy)
            except LOST as error:
                raise StoreUnavailable(f"lost the session that stood for leading {policy}: {error}") from error
            yield PostgresWork(lambda: _shared(connection))


def told_as(policy: str) -> str:
    """Return the name under which the checkpoint of a policy is told to those who listen."""
    return f"work/{policy}"


@asynccontextmanager
async def _shared(connection: Connection) -> AsyncIterator[Connection]:
    yield connection


async def _lock(connection: Connection, policy: str) -> None:
    """Ask again and again instead of waiting in the server: a waiting statement would hold back its vacuum.

    Every answer has its limit, the wait for the leadership has none.
    """
    while True:
        async with limited():
            cursor = await connection.execute("select pg_try_advisory_lock(%s, hashtext(%s))", (WORK_CLASS, policy))
            if await cursor.fetchone() == (True,):
                return
        await asyncio.sleep(_RETRY)
