"""Parked work and the checkpoints of policies in PostgreSQL, as readers see them."""

from __future__ import annotations

from typing import Any, cast

import psycopg

from domain.errors import StoreUnavailable
from postgres.sessions import HOPELESS, Connections, limited
from read_side.work import ParkedRow, Progress

_STALE = 8
"""So many dead connections are passed over before a read fails: more than die unnoticed in a pool that is in use."""
_PARKED = """
select policy, position, stream, topic, attempts, error, parked_at from app.parked_work
where (position, policy) < (%(position)s, %(policy)s) order by position desc, policy desc limit %(limit)s
"""
_END = (2**63 - 1, "")
_PROGRESS = """
with known as (select policy from app.policies union select policy from app.parked_work)
select k.policy, coalesce(p.position, 0), greatest(0, head.position - coalesce(p.position, 0)),
       (select count(*) from app.parked_work w where w.policy = k.policy)
from known k left join app.policies p on p.policy = k.policy
cross join (select coalesce(max(notification_id), 0) as position from es.stored_events) head
order by k.policy
"""


class PostgresWorkSource:
    """The port ``read_side.work.WorkSource``; ``connections`` hands out connections in autocommit mode."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def page(self, limit: int, before: tuple[int, str] | None) -> list[ParkedRow]:
        position, policy = before or _END
        rows = await self._ask(_PARKED, {"position": position, "policy": policy, "limit": limit})
        return [ParkedRow(**dict(zip(ParkedRow.__struct_fields__, row, strict=True))) for row in rows]

    async def progress(self) -> list[Progress]:
        return [Progress(*row) for row in await self._ask(_PROGRESS, {})]

    async def _ask(self, query: str, arguments: Any) -> list[tuple[Any, ...]]:
        """Read; a connection that has died while it waited in the pool is given back for another one."""
        dead = 0
        while True:
            try:
                async with self._connections() as connection, limited():
                    cursor = await connection.execute(query, arguments, prepare=True, binary=True)
                    return cast(list[tuple[Any, ...]], await cursor.fetchall())
            except HOPELESS as error:
                raise StoreUnavailable(f"what policies have done cannot be read: {error}") from error
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                dead += 1
                if dead > _STALE:
                    raise StoreUnavailable(f"what policies have done cannot be read: {error}") from error
