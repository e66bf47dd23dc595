"""What has changed in views, read from PostgreSQL: rows by their last change, and those that are gone."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
import psycopg

from domain.errors import Broken, StoreUnavailable
from postgres.sessions import LOST, Connections, limited
from read_side.adapters.postgres_tables import schema_of
from read_side.changes import Changed, Place
from read_side.slices import Slices
from read_side.store import Checkpoint, R, View

_PATIENCE = 3
"""So many times the limit of an answer: a page of a copy is larger, and nobody waits for it."""


class PostgresChanges:
    """The port ``read_side.changes.Changes``; ``connections`` hands out connections in autocommit mode."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def changes(self, view: View[R], after: Place, limit: int) -> Changed[R]:
        arguments = {"view": view.name, "position": after.position, "key": after.key, "limit": limit}
        rows = await self._ask(_changes(view), arguments)
        if not rows:
            raise Broken(f"view {view.name} has no checkpoint: it was never prepared")
        changed: list[tuple[Place, R | None]] = []
        slices = Slices()
        try:
            for *_, position, key, body in rows:
                if key is not None:
                    changed.append((Place(position, key), None if body is None else view.decode(body)))
                    await slices.pause()
        except msgspec.MsgspecError as error:
            raise Broken(f"a row of view {view.name} cannot be read: {error}") from error
        return Changed(changed, Checkpoint(rows[0][0], rows[0][1]), rows[0][2])

    async def _ask(self, query: str, arguments: dict[str, Any]) -> list[tuple[Any, ...]]:
        try:
            async with self._connections() as connection, limited(_PATIENCE):
                cursor = await connection.execute(query, arguments, prepare=True, binary=True)
                return await cursor.fetchall()
        except LOST as error:
            raise StoreUnavailable(f"the views cannot be reached: {error}") from error
        except psycopg.ProgrammingError as error:
            raise Broken(f"view {arguments['view']} is not there as this program makes it: {error}") from error


@cache
def _changes(view: View[Any]) -> str:
    """Both parts are read in the order of an index, so that a page costs what it returns."""
    return f"""
        select c.position, c.generation, l.epoch, changed.position, changed.key, changed.body
        from app.checkpoints c cross join app.log l
        left join lateral (
            (select position, key, body from {schema_of(view)}.{view.name}
             where (position, key) > (%(position)s::bigint, %(key)s::text)
             order by position, key limit %(limit)s::bigint)
            union all
            (select position, key, null from app.gone
             where view = %(view)s::text and (position, key) > (%(position)s::bigint, %(key)s::text)
             order by position, key limit %(limit)s::bigint)
            order by position, key limit %(limit)s::bigint
        ) changed on true
        where c.view = %(view)s::text
        order by changed.position, changed.key
    """  # noqa: S608 - the name of the view is checked
