"""Views in PostgreSQL: one schema for each build of a view, and its checkpoint in ``app.checkpoints``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec
import psycopg

from domain.errors import Broken, StoreUnavailable
from postgres.sessions import HOPELESS, LOST, Connection, Connections, limited
from read_side.adapters import postgres_listed as lists
from read_side.adapters import postgres_tables as tables
from read_side.cursors import cursor_of, resumed
from read_side.lag import Lag
from read_side.signals import Signals
from read_side.store import Checkpoint, Counted, Fenced, Found, Listed, Page, R, Rows, Search, View

PREPARE_CLASS = 1718382440
"""Class of the two-integer advisory locks under which views are made."""

_CHECKPOINT = "select position, generation from app.checkpoints where view = %s"
_ENSURE = "insert into app.checkpoints (view) values (%s) on conflict do nothing"
_ANEW = "update app.checkpoints set position = 0, generation = generation + 1 where view = %s and position > 0"
_LACKS = "select to_regclass(%s) is null"
_RETRY = 0.05
_PIECE = 2_000
"""So many rows are stored by one statement."""
_SOON = 1_000_000
"""A position so far beyond the log will not come while somebody waits."""
_STALE = 8
"""So many dead connections are passed over before a read fails: more than die unnoticed in a pool that is in use."""
_LAGS = """
select c.view, c.position, c.generation, head.position, c.state = 'stopped', c.error, c.stopped_at,
       coalesce(extract(epoch from clock_timestamp() - waiting.recorded_at), 0)::float8
from app.checkpoints c
cross join (select coalesce(max(notification_id), 0) as position from es.stored_events) head
left join es.stored_events waiting on waiting.notification_id = c.position + 1
order by c.view
"""


class PostgresViewStore:
    """Views behind ``SearchableViewStore``, ``ProjectionStore`` and ``Lags``.

    ``connections`` hands out connections in autocommit mode: a pool's for those who read, the session that holds the
    leadership for a projector. Every answer carries the checkpoint it was read at, in one snapshot: a projector does
    not wait for its commits to reach the disk, so a crash of the database can take the view and its checkpoint a
    moment back (never the log, whose commits are waited for, so every answer given stays true), and who asks for
    ``at_least`` must see that.
    """

    def __init__(self, connections: Connections, signals: Signals) -> None:
        self._connections = connections
        self._signals = signals
        self._wanted: dict[str, int] = {}

    async def prepare(self, view: View[Any]) -> Checkpoint:
        while True:
            checkpoint = await self._prepare(view)
            if checkpoint is not None:
                return checkpoint
            await asyncio.sleep(_RETRY)

    async def _prepare(self, view: View[Any]) -> Checkpoint | None:
        """Make the view if it is not there; None while another session is at it, which may take its time."""
        async with self._connected() as connection, limited() as limit, connection.transaction():
            lock = "select pg_try_advisory_xact_lock(%s, hashtext(%s))"
            if await _one(connection, lock, (PREPARE_CLASS, view.name)) != (True,):
                return None
            await connection.execute(_ENSURE, (view.name,))
            place = f"{tables.schema_of(view)}.{view.name}"
            [exists, shape] = await _one(
                connection, "select to_regclass(%s) is not null, obj_description(to_regclass(%s))", (place, place)
            )
            if not exists:
                indexes = tables.indexes(view, "", await trigram_schema(connection))
                for statement in [*tables.definitions(view), *indexes]:
                    await connection.execute(statement)
                await connection.execute(_ANEW, (view.name,))
                await connection.execute("delete from app.gone where view = %s", (view.name,))
            elif shape != view.shape:
                raise Broken(f"view {view.name} has shape {shape}, this program makes {view.shape}: rebuild it")
            elif view.copied and await _one(connection, _LACKS, (f"{place}_changed_idx",)) == (True,):
                limit.reschedule(None)  # every row there is goes into the index
                await connection.execute(tables.changed_index(view))
            return Checkpoint(*await _one(connection, _CHECKPOINT, (view.name,)))

    async def checkpoint(self, view: View[Any]) -> Checkpoint:
        async with self._connected() as connection, limited():
            return Checkpoint(*await _one(connection, _CHECKPOINT, (view.name,)))

    async def get_many(self, view: View[R], keys: Iterable[str]) -> Rows[R]:
        rows = await self._ask(tables.get_many(view), {"view": view.name, "keys": list(keys)})
        if not rows:
            raise Broken(f"view {view.name} has no checkpoint: it was never prepared")
        try:
            found = {key: view.decode(body) for _, _, key, body in rows if key is not None}
        except msgspec.MsgspecError as error:
            raise Broken(f"a row of view {view.name} cannot be read: {error}") from error
        return Rows(found, Checkpoint(rows[0][0], rows[0][1]))

    async def save_page(self, view: View[R], page: Page[R]) -> None:
        kept = {key: row for key, row in page.rows.items() if row is not None}
        first, *rest = list(_pieces(kept)) or [{}]
        arguments = {
            "view": view.name,
            "expected": page.expected.position,
            "generation": page.expected.generation,
            "new_position": page.position,
            "gone": [key for key, row in page.rows.items() if row is None],
            "message": f"{view.name}:{page.position}:{page.expected.generation}",
            **tables.columns(view, first),
        }
        if rest:
            stored = await self._save_pieces(view, arguments, rest)
        else:
            stored = bool(await self._all(tables.save_page(view), arguments))
        if not stored:
            raise Fenced(f"view {view.name} is not at {page.expected}: the page up to {page.position} is not stored")

    async def _save_pieces(self, view: View[R], first: dict[str, Any], rest: list[dict[str, R]]) -> bool:
        """Store a large page piece by piece in one transaction, so that others in this process get their turn."""
        async with self._connected() as connection, limited(1 + len(rest)), connection.transaction():
            fenced = await connection.execute(tables.save_page(view), first, prepare=True, binary=True)
            if await fenced.fetchone() is None:
                return False
            for piece in rest:
                columns = tables.columns(view, piece)
                await connection.execute(tables.save_rows(view, ""), columns, prepare=True, binary=True)
            return True

    async def wait_for(self, view: View[Any], position: int, wait: float) -> None:
        behind = self._signals.checkpoint(view.name).position < position < self._signals.head + _SOON
        if view.rest and behind:
            await self._want(view, position)
        await self._signals.wait_for(view.name, position, wait)

    async def _want(self, view: View[Any], position: int) -> None:
        """Wake the projection, wherever it is; once for a position is enough, it takes all there is."""
        self._signals.want(view.name)
        asked, head = self._wanted.get(view.name, 0), self._signals.head
        if asked < position or asked > head:
            await self._ask("select pg_notify('wanted', %s)", (view.name,))
            self._wanted[view.name] = min(position, head)

    async def search(self, view: View[R], search: Search) -> Found[R]:
        rows = await self._ask(*tables.search(view, search, resumed(view, search)))
        if not rows:
            raise Broken(f"view {view.name} has no checkpoint: it was never prepared")
        found = [view.decode(body) for _, _, body in rows if body is not None]
        more = len(found) > search.limit
        found = found[: search.limit]
        return Found(found, cursor_of(view, search, found[-1]) if more else None, Checkpoint(rows[0][0], rows[0][1]))

    async def listed(self, view: View[R], listed: Listed) -> Counted[R]:
        return await lists.counted(view, await self._ask(*lists.statement(view, listed)))

    async def resume(self, view: View[Any]) -> None:
        await self._state(view, "running", None)

    async def stop(self, view: View[Any], error: str) -> None:
        await self._state(view, "stopped", error)

    async def parked(self, view: View[Any]) -> frozenset[int]:
        rows = await self._ask("select position from app.parked where view = %s", (view.name,))
        return frozenset(position for (position,) in rows)

    async def park(self, view: View[Any], position: int, *, reason: str, actor: str) -> None:
        """Tell the projection to pass over this event: an operator's decision, which stays on record."""
        insert = "insert into app.parked (view, position, reason, actor) values (%s, %s, %s, %s) on conflict do nothing"
        async with self._connected() as connection, limited():
            await connection.execute(insert, (view.name, position, reason, actor))

    async def lags(self) -> list[Lag]:
        """Return how far every view is behind the log, by name."""
        return [
            Lag(
                view=view,
                position=position,
                generation=generation,
                events=max(0, head - position),
                seconds=max(0.0, seconds),
                stopped=stopped,
                error=error,
                stopped_at=stopped_at,
            )
            for view, position, generation, head, stopped, error, stopped_at, seconds in await self._ask(_LAGS, ())
        ]

    async def _state(self, view: View[Any], state: str, error: str | None) -> None:
        change = """
            update app.checkpoints set state = %(state)s, error = %(error)s, updated_at = now(),
                   stopped_at = case when %(state)s = 'stopped' then now() end
            where view = %(view)s and (state, error) is distinct from (%(state)s, %(error)s)
        """
        async with self._connected() as connection, limited():
            await connection.execute(change, {"view": view.name, "state": state, "error": error})

    async def _ask(self, query: str, arguments: Any) -> list[tuple[Any, ...]]:
        """Read; a connection that has died while it waited in the pool is given back for another one."""
        for _ in range(_STALE):
            try:
                return await self._all(query, arguments)
            except StoreUnavailable as error:
                if isinstance(error.__cause__, HOPELESS):
                    raise
        return await self._all(query, arguments)

    async def _all(self, query: str, arguments: Any) -> list[tuple[Any, ...]]:
        async with self._connected() as connection, limited():
            cursor = await connection.execute(query, arguments, prepare=True, binary=True)
            return cast(list[tuple[Any, ...]], await cursor.fetchall())

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        try:
            async with self._connections() as connection:
                yield connection
        except LOST as error:
            raise StoreUnavailable(f"the views cannot be reached: {error}") from error
        except psycopg.ProgrammingError as error:
            raise Broken(f"a view is not as this program makes it, rebuild it: {error}") from error


async def trigram_schema(connection: Connection) -> str | None:
    """Return the schema with the operators of ``pg_trgm``; None where the database does not have it."""
    found = await connection.execute(
        "select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'pg_trgm'"
    )
    row = await found.fetchone()
    return cast(str, row[0]) if row else None


async def _one(connection: Connection, query: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    row = await (await connection.execute(query, arguments)).fetchone()
    if row is None:
        raise Broken(f"no row for {arguments}: the view was never prepared")
    return cast(tuple[Any, ...], row)


def _pieces(rows: dict[str, R]) -> Iterator[dict[str, R]]:
    items = list(rows.items())
    for first in range(0, len(items), _PIECE):
        yield dict(items[first : first + _PIECE])
