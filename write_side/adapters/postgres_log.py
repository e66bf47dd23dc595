"""The event log in PostgreSQL: appends through the group-commit appender, reads through a pool."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import psycopg
from psycopg_pool import AsyncConnectionPool

from domain.base import A, Aggregate, Event, Recorded, whole_commands
from domain.codec import decode, decode_snapshot, encode_snapshot
from domain.errors import Broken, StoreUnavailable
from postgres import sessions
from postgres.sessions import HOPELESS, Connection, limited
from write_side.adapters import arrays
from write_side.adapters import postgres_sql as sql
from write_side.adapters.appender import Appender
from write_side.log import Answer, Appended, Context, Place, Remembered

_DECODED = 200
"""Events of many streams that are decoded before others get their turn."""
_LATE = timedelta(minutes=10)
"""What was recorded so long ago is committed, also where clocks differ."""
_PAGE_BYTES = 4 * 1024 * 1024
"""Bytes of events after which a page ends: one upload of prices is as large as a thousand trades."""


async def connect(database_url: str) -> Connection:
    """Return the appender's own session, whose commits are durable; raises ``psycopg.OperationalError``."""
    connection = await sessions.connect(
        database_url,
        "foliolog-appender",
        synchronous_commit="on",
        lock_timeout="10s",
        idle_in_transaction_session_timeout="10s",
    )
    arrays.register(connection)
    return connection


class PostgresLog:
    """The log behind ``EventLog`` and ``Lookups`` of ``write_side.log``, ``read_side.history.History`` and ``Archive``.

    ``appender`` is None in processes that only read.
    """

    def __init__(self, pool: AsyncConnectionPool[Connection], appender: Appender | None = None) -> None:
        self._pool = pool
        self._appender = appender
        self._waiting = asyncio.Lock()

    async def append(
        self, events: Sequence[Event], context: Context, *, answer: Answer | None = None, version: int = 0
    ) -> Appended:
        if self._appender is None:
            raise StoreUnavailable("this process reads the event log and does not append to it")
        return await self._appender.submit(events, context, answer=answer, version=version)

    async def read(self, stream: str, after: int = 0) -> list[Event]:
        rows = await self._all(sql.STREAM, (stream, after))
        return [decode(topic, state, stream, version) for version, topic, state in rows]

    async def read_many(self, after: Mapping[str, int]) -> dict[str, list[Event]]:
        found: dict[str, list[Event]] = {}
        rows = await self._all(sql.STREAMS, (list(after), list(after.values())))
        for number, (stream, version, topic, state) in enumerate(rows, 1):
            found.setdefault(stream, []).append(decode(topic, state, stream, version))
            if number % _DECODED == 0:
                await asyncio.sleep(0)
        return found

    async def snapshots(self, cls: type[A], streams: Sequence[str]) -> dict[str, A]:
        rows = await self._all(sql.SNAPSHOTS, (list(streams),))
        taken = {
            stream: cast("A | None", decode_snapshot(cls, bytes(state), stream, version))
            for stream, version, topic, state in rows
            if topic == cls.TOPIC
        }
        return {stream: aggregate for stream, aggregate in taken.items() if aggregate is not None}

    async def version(self, stream: str) -> int:
        return cast(int, (await self._all(sql.VERSION, (stream,)))[0][0] or 0)

    async def head(self) -> int:
        return cast(int, (await self._all(sql.HEAD, ()))[0][0] or 0)

    async def epoch(self) -> UUID:
        return cast(UUID, (await self._all(sql.EPOCH, ()))[0][0])

    async def page(self, after: int, limit: int) -> list[Recorded]:
        page: list[Recorded] = []
        rows = await self._all(sql.PAGE, (after, limit, _PAGE_BYTES))
        for row in rows:
            try:
                page.append(_recorded(*row))
            except Broken:
                if not page:
                    raise
                return page
        if len(rows) < limit and sum(len(row[4]) for row in rows) >= _PAGE_BYTES:
            # Shorter than asked for, so that it passes for the end of the log: then no command may be cut in two.
            return whole_commands(page)
        return page

    async def stream(self, stream: str, *, version: int | None = None, position: int | None = None) -> list[Recorded]:
        limits = {"stream": stream, "version": version, "position": position}
        return [_recorded(*row) for row in await self._all(sql.RECORDED_STREAM, limits)]

    async def position_at(self, moment: datetime) -> int:
        if moment > datetime.now(UTC) - _LATE:
            await self._appended()
        return cast(int, (await self._all(sql.POSITION_AT, {"moment": moment}))[0][0])

    async def _appended(self) -> None:
        """Wait for appends under way; one at a time, so that one that hangs does not hold all connections."""
        try:
            async with limited(), self._waiting:
                await self._all(sql.APPENDED, ())
        except TimeoutError as error:
            raise StoreUnavailable(f"the event log is being written to: {error}") from error

    async def places(self, streams: Sequence[str]) -> dict[str, Place]:
        rows = await self._all(sql.PLACES, (list(streams),))
        return {stream: Place(version, first) for stream, version, first in rows}

    async def recorded_executions(self, after: int, up_to: int, limit: int) -> list[Recorded]:
        return [_recorded(*row) for row in await self._all(sql.RECORDED_EXECUTIONS, (after, up_to, limit))]

    async def resend_requests(self, after: int, up_to: int) -> list[Recorded]:
        return [_recorded(*row) for row in await self._all(sql.RESEND_REQUESTS, (after, up_to))]

    async def at(self, positions: Sequence[int]) -> list[Recorded]:
        return [_recorded(*row) for row in await self._all(sql.AT, (list(positions),))]

    async def count_ready_to_send(self, after: int, up_to: int) -> int:
        return cast(int, (await self._all(sql.COUNT_READY_TO_SEND, (after, up_to)))[0][0])

    async def remembered(self, caller: str, key: str) -> Remembered | None:
        rows = await self._all(sql.REMEMBERED, (caller, key))
        if not rows:
            return None
        fingerprint, status, body, version, position, command_id = rows[0]
        return Remembered(
            fingerprint=bytes(fingerprint),
            answer=Answer(status, bytes(body)),
            version=version,
            position=position,
            command_id=command_id,
        )

    async def snapshot(self, cls: type[Aggregate], stream: str) -> Aggregate | None:
        rows = await self._all(sql.SNAPSHOT, (stream,))
        if not rows or rows[0][1] != cls.TOPIC:
            return None
        return decode_snapshot(cls, bytes(rows[0][2]), stream, rows[0][0])

    async def save_snapshot(self, aggregate: Aggregate) -> None:
        arguments = (aggregate.id, aggregate.version, type(aggregate).TOPIC, encode_snapshot(aggregate))
        await self._all(sql.SAVE_SNAPSHOT, arguments)

    async def _all(self, query: str, arguments: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Read; connections of the pool that died while nobody used them are passed over."""
        dead = 0
        while True:
            try:
                async with self._pool.connection() as connection, limited():
                    cursor = await connection.execute(query, arguments, prepare=True, binary=True)
                    return cast(list[tuple[Any, ...]], await cursor.fetchall())
            except HOPELESS as error:
                raise StoreUnavailable(f"the event log cannot be read: {error}") from error
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                dead += 1
                if dead > self._pool.max_size:
                    raise StoreUnavailable(f"the event log cannot be read: {error}") from error


def _recorded(
    position: int,
    stream: str,
    version: int,
    topic: str,
    state: bytes,
    recorded_at: datetime,
    command_id: UUID | None,
    correlation_id: str | None,
    causation_id: UUID | None,
    actor: str | None,
) -> Recorded:
    """Return a row of the log as an event; raises ``Broken`` with its position where it cannot be read."""
    try:
        event = decode(topic, state, stream, version)
    except Broken as error:
        raise Broken(str(error), position=position) from error
    return Recorded(
        position=position,
        stream=stream,
        version=version,
        event=event,
        recorded_at=recorded_at,
        command_id=command_id,
        correlation_id=correlation_id,
        causation_id=causation_id,
        actor=actor,
    )
