"""A brake on the log of an application: every append waits right before one event, so that a kill hits that place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psycopg

from api.embedded import running

_MARK = 4711
_MAKE = f"""
create table if not exists public.brakes (topic text, at bigint, primary key (topic, at));
delete from public.brakes;
create or replace function public.brake() returns trigger language plpgsql volatile as $body$
declare
    place bigint;
begin
    if exists (select from public.brakes b where b.topic = new.topic) then
        place := (select count(*) from es.stored_events e where e.topic = new.topic);
        if exists (select from public.brakes b where b.topic = new.topic and b.at = place) then
            perform pg_advisory_xact_lock_shared({_MARK}, place::int);
            while exists (select from public.brakes b where b.topic = new.topic and b.at = place) loop
                perform pg_sleep(0.01);
            end loop;
        end if;
    end if;
    return new;
end
$body$;
create or replace trigger brake before insert on es.stored_events for each row execute function public.brake();
"""
_HELD = f"from pg_locks where locktype = 'advisory' and classid = {_MARK} and objid = %s"
_LONG = 120
"""Seconds after which what should come is taken not to come."""


class OnFolder(Protocol):
    """An application with servers of its own on a folder."""

    @property
    def data_dir(self) -> Path:
        """The folder."""


async def connected(app: OnFolder) -> psycopg.AsyncConnection[Any]:
    """Return a connection to the application's own PostgreSQL, once it answers."""
    async with asyncio.timeout(_LONG):
        while True:
            addresses = running(app.data_dir)
            try:
                if addresses is not None and addresses.database_url is not None:
                    return await psycopg.AsyncConnection.connect(addresses.database_url, autocommit=True)
            except psycopg.OperationalError:
                pass  # it is being started again
            await asyncio.sleep(0.05)


@dataclass
class Brake:
    """What holds up the log at some places, one after the other; it outlives a kill of whatever it is in."""

    app: OnFolder
    places: list[int]

    async def reached(self) -> None:
        """Return once an append waits at the next place."""
        async with asyncio.timeout(_LONG):
            while True:
                if (await _told(self.app, f"select count(*) {_HELD}", self.places[0]))[0][0]:
                    return
                await asyncio.sleep(0.01)

    async def let_go(self, *, stored: bool = True) -> None:
        """Let the appends go on to the place after; what waited is stored, or is undone before."""
        place = self.places.pop(0)
        if not stored:
            await _told(self.app, f"select pg_terminate_backend(pid, {_LONG * 1000}) {_HELD}", place)
        await _told(self.app, "delete from public.brakes where at = %s returning at", place)


async def braked(app: OnFolder, topic: str, *places: int) -> Brake:
    """Have appends wait before each event of this topic that comes after so many of them in the log."""
    async with await connected(app) as connection:
        await connection.execute(_MAKE)
        for place in places:
            await connection.execute("insert into public.brakes values (%s, %s)", (topic, place))
    return Brake(app, list(places))


@asynccontextmanager
async def brake(app: OnFolder, topic: str, *places: int) -> AsyncIterator[Brake]:
    """Have them wait in this block; whatever is left of it at the end is gone then."""
    held = await braked(app, topic, *places)
    try:
        yield held
    finally:
        await _told(app, "delete from public.brakes returning at")


async def _told(app: OnFolder, query: str, *arguments: int) -> list[tuple[Any, ...]]:
    """Return what comes of a query that may be asked twice: who is asked may end meanwhile, and be started again."""
    async with asyncio.timeout(_LONG):
        while True:
            with suppress(psycopg.OperationalError):
                async with await connected(app) as connection:
                    return await (await connection.execute(query, arguments)).fetchall()


async def streams(app: OnFolder, kind: str) -> dict[str, list[str]]:
    """Return the topics of every stream of this kind, in their order, by the stream's id."""
    found: dict[str, list[str]] = {}
    query = "select originator_id, topic from es.stored_events where originator_id like %s order by notification_id"
    async with await connected(app) as connection:
        for stream, topic in await (await connection.execute(query, (f"{kind}/%",))).fetchall():
            found.setdefault(stream, []).append(topic)
    return found


async def counted(app: OnFolder, topic: str) -> int:
    """Return how many events of this topic the log has."""
    async with await connected(app) as connection:
        return int(await _first(connection, "select count(*) from es.stored_events where topic = %s", topic))


async def _first(connection: psycopg.AsyncConnection[Any], query: str, *arguments: str) -> Any:
    row = await (await connection.execute(query, arguments)).fetchone()
    assert row is not None
    return row[0]
