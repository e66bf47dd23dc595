"""Where followers outside the views stand: in ``app.checkpoints``, so that their lag is told with that of views."""

from __future__ import annotations

from typing import Any, cast

from domain.errors import NotFound, StoreUnavailable
from postgres.sessions import LOST, Connections, limited
from read_side.following import Stand
from read_side.store import Fenced

_STAND = "select position, epoch, generation, tails from app.checkpoints where view = %(name)s"
_ENSURE = "insert into app.checkpoints (view) values (%(name)s) on conflict do nothing"
_SAVE = """
update app.checkpoints set position = %(position)s, epoch = %(epoch)s, tails = %(tails)s, updated_at = now()
where view = %(name)s and position = %(before)s and epoch is not distinct from %(of)s and generation = %(build)s
returning position
"""
_ANEW = "update app.checkpoints set generation = generation + 1 where view = %(name)s returning generation"
LEADER_CLASS = 1718382441
"""Class of the two-integer advisory locks of leaders; the second integer is a hash of the name led."""
_LED = """
select true from pg_locks
where locktype = 'advisory' and classid = %(class)s and objid = hashtext(%(name)s)::oid and objsubid = 2 and granted
  and database = (select oid from pg_database where datname = current_database())
"""
_SAY = """
update app.checkpoints set state = %(state)s, error = %(error)s, updated_at = now(),
       stopped_at = case when %(state)s = 'running' then null when state = 'stopped' then stopped_at else now() end
where view = %(name)s and (state, error) is distinct from (%(state)s, %(error)s)
"""


class PostgresFollowing:
    """The port ``read_side.following.Following``, on the session that holds the leadership."""

    def __init__(self, name: str, connections: Connections) -> None:
        self._name = name
        self._connections = connections

    async def stand(self) -> Stand:
        await self._ask(_ENSURE, {})
        [(position, epoch, build, tails)] = await self._ask(_STAND, {})
        return Stand(position, epoch, build, tuple(tails))

    async def save(self, before: Stand, now: Stand) -> None:
        arguments = {
            "before": before.position,
            "of": before.epoch,
            "build": before.build,
            "position": now.position,
            "epoch": now.epoch,
            "tails": list(now.tails),
        }
        if not await self._ask(_SAVE, arguments):
            raise Fenced(f"follower {self._name} is not at {before}: it is not moved to {now}")

    async def runs(self) -> None:
        await self._say("running", None)

    async def stopped(self, error: str) -> None:
        await self._say("stopped", error)

    async def _say(self, state: str, error: str | None) -> None:
        await self._ask(_ENSURE, {})
        await self._ask(_SAY, {"state": state, "error": error})

    async def _ask(self, query: str, arguments: dict[str, Any]) -> list[tuple[Any, ...]]:
        return await _ask(self._connections, query, {"name": self._name, **arguments})


class PostgresFollowers:
    """The port ``read_side.following.Followers``; ``connections`` hands out connections in autocommit mode."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def anew(self, name: str) -> int:
        rows = await _ask(self._connections, _ANEW, {"name": name})
        if not rows:
            raise NotFound(f"there is no follower {name!r}: none of this name was ever led")
        return cast(int, rows[0][0])

    async def led(self, name: str) -> bool:
        return bool(await _ask(self._connections, _LED, {"name": name, "class": LEADER_CLASS}))


async def _ask(connections: Connections, query: str, arguments: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Run the statement and return its rows; none where it is one that has none."""
    try:
        async with connections() as connection, limited():
            cursor = await connection.execute(query, arguments, prepare=True)
            return cast(list[tuple[Any, ...]], await cursor.fetchall()) if cursor.description is not None else []
    except LOST as error:
        raise StoreUnavailable(f"where {arguments['name']} stands cannot be reached: {error}") from error
