"""Builds of views in PostgreSQL: a schema of their own, renamed into the place of the live one in one transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Generic, cast

import psycopg
import structlog

from domain.errors import StoreUnavailable
from postgres.sessions import LOST, Connection, limited
from read_side.adapters import postgres_tables as tables
from read_side.adapters.postgres import trigram_schema
from read_side.adapters.postgres_leader import connect
from read_side.building import Difference, Live
from read_side.store import Checkpoint, R, View

BUILDER_CLASS = 1718382444
"""Class of the two-integer advisory locks of builders."""
_PATIENCE = 6
"""So many times the limit: longer than ``lock_timeout`` lets a statement wait for pages that are being stored."""

log = structlog.get_logger(__name__)


class PostgresBuilder:
    """Makes builds; one of each view at a time, in whatever process."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url

    @asynccontextmanager
    async def build(self, view: View[R]) -> AsyncIterator[PostgresBuild[R]]:
        """Begin an empty build; in the end drop it, or what it has replaced."""
        try:
            async with await connect(self._database_url) as connection:
                lock = "select pg_try_advisory_lock(%s, hashtext(%s))"
                if await _one(connection, lock, (BUILDER_CLASS, view.name)) != (True,):
                    raise StoreUnavailable(f"view {view.name} is being rebuilt already")
                await _sweep(connection, view)
                async with limited():
                    await connection.execute(
                        "insert into app.checkpoints (view) values (%s) on conflict do nothing", (view.name,)
                    )
                build = PostgresBuild(connection, view)
                await build.begin()
                try:
                    yield build
                finally:
                    if not connection.closed:
                        await _sweep(connection, view)
        except LOST as error:
            raise StoreUnavailable(f"the view {view.name} cannot be rebuilt now: {error}") from error


class PostgresBuild(Generic[R]):
    """One build, on the session that holds the builder's lock.

    What takes longer the more rows there are has no limit of time: it is an operator's work, who looks on.
    """

    def __init__(self, connection: Connection, view: View[R]) -> None:
        self._connection = connection
        self._view = view
        self._suffix = ""

    async def begin(self) -> None:
        """Make the empty table."""
        self._suffix = f"_v{(await self.live()).checkpoint.generation + 1}"
        async with limited(), self._connection.transaction():
            for statement in tables.definitions(self._view, self._suffix):
                await self._connection.execute(statement)

    async def live(self) -> Live:
        return await self._live("select position, generation, state = 'stopped' from app.checkpoints where view = %s")

    async def parked(self) -> frozenset[int]:
        async with limited():
            rows = await self._connection.execute("select position from app.parked where view = %s", (self._view.name,))
            return frozenset([position async for (position,) in rows])

    async def get_many(self, keys: Iterable[str]) -> Mapping[str, R]:
        query = f"select key, body from {self._place()} where key = any(%s)"  # noqa: S608
        rows = await self._connection.execute(query, (list(keys),), prepare=True, binary=True)
        return {key: self._view.decode(body) async for key, body in rows}

    async def save(self, rows: Mapping[str, R | None]) -> None:
        gone = [key for key, row in rows.items() if row is None]
        if gone:
            await self._connection.execute(f"delete from {self._place()} where key = any(%s)", (gone,))  # noqa: S608
        statement = tables.save_rows(self._view, self._suffix)
        await self._connection.execute(statement, tables.columns(self._view, rows), prepare=True, binary=True)

    async def finish(self) -> None:
        trigrams = await trigram_schema(self._connection)
        for statement in [*tables.indexes(self._view, self._suffix, trigrams), f"analyze {self._place()}"]:
            await self._connection.execute(statement)

    @asynccontextmanager
    async def hold_live(self) -> AsyncIterator[Live]:
        """Lock the live checkpoint: pages of the projection wait, readers do not."""
        async with self._connection.transaction():
            yield await self._live(
                "select position, generation, state = 'stopped' from app.checkpoints where view = %s for update",
                times=_PATIENCE,
            )

    @asynccontextmanager
    async def see_live(self) -> AsyncIterator[Live]:
        """Read from one snapshot: rows and checkpoint of a page are one transaction, so they belong together in it."""
        async with self._connection.transaction():
            await self._connection.execute("set transaction isolation level repeatable read")
            yield await self.live()

    async def differences(self, limit: int) -> list[Difference]:
        fields = ", ".join(f'"{name}"' for name in ("body", "position", *self._view.fields))
        query = f"""
            select key, l.body, r.body
            from (select key, row({fields}) as content, body from {self._place("")}) l
            full join (select key, row({fields}) as content, body from {self._place()}) r using (key)
            where l.content is distinct from r.content order by key limit %s
        """  # noqa: S608
        rows = await self._connection.execute(query, (limit,), binary=True)
        return [Difference(key, live, rebuilt) async for key, live, rebuilt in rows]

    async def switch(self, position: int) -> None:
        """Rename the schemas and begin the next generation.

        Statements prepared for the old table are planned anew by the server and find the new one by its name; a page
        that waits for the checkpoint finds another generation and is fenced.
        """
        live, ours = tables.schema_of(self._view), self._connection
        async with limited(_PATIENCE):
            await ours.execute("set local synchronous_commit = on")
            if await _one(ours, "select to_regnamespace(%s) is not null", (live,)) == (True,):
                await ours.execute(f"alter schema {live} rename to {live}_old")
            await ours.execute(f"alter schema {tables.schema_of(self._view, self._suffix)} rename to {live}")
            [generation] = await _one(
                ours,
                "update app.checkpoints set position = %s, generation = generation + 1, updated_at = now(),"
                " state = 'running', error = null, stopped_at = null where view = %s returning generation",
                (position, self._view.name),
            )
            message = f"{self._view.name}:{position}:{generation}"
            await ours.execute("select pg_notify('checkpoints', %s)", (message,))
        await ours.execute("delete from app.gone where view = %s", (self._view.name,))  # as copies are new

    async def _live(self, query: str, *, times: float = 1) -> Live:
        position, generation, stopped = await _one(self._connection, query, (self._view.name,), times=times)
        return Live(Checkpoint(position, generation), stopped)

    def _place(self, suffix: str | None = None) -> str:
        return f"{tables.schema_of(self._view, self._suffix if suffix is None else suffix)}.{self._view.name}"


async def _one(connection: Connection, query: str, arguments: Any, *, times: float = 1) -> tuple[Any, ...]:
    async with limited(times):
        return cast(tuple[Any, ...], await (await connection.execute(query, arguments)).fetchone())


async def _sweep(connection: Connection, view: View[Any]) -> None:
    """Drop what builds have left: half a build, or a replaced view. Waits for readers that are still in it."""
    live = tables.schema_of(view)
    left = rf"^{live}_(old|v\d+)$"
    async with limited():
        names = await (
            await connection.execute("select nspname from pg_namespace where nspname ~ %s", (left,))
        ).fetchall()
    for (name,) in names:
        try:
            await connection.execute(f'drop schema "{name}" cascade')
        except psycopg.errors.LockNotAvailable:
            log.warning("left of a rebuild, dropped by the next one", schema=name)
