"""A brake on the log of an application: every append waits right before one event, so that a kill hits that place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from api.embedded import running
from tests.servers.application import Application

_LOCK = 4711
_MAKE = f"""
create table if not exists public.brakes (topic text primary key, at bigint not null);
create or replace function public.brake() returns trigger language plpgsql volatile as $body$
begin
    if exists (
        select from public.brakes b
        where b.topic = new.topic and b.at = (select count(*) from es.stored_events e where e.topic = new.topic)
    ) then
        perform pg_advisory_xact_lock_shared({_LOCK});
    end if;
    return new;
end
$body$;
create or replace trigger brake before insert on es.stored_events for each row execute function public.brake();
"""
_HELD = f"from pg_locks where locktype = 'advisory' and objid = {_LOCK} and not granted"


async def connected(app: Application) -> psycopg.AsyncConnection[Any]:
    """Return a connection to the application's own PostgreSQL, once it answers."""
    async with asyncio.timeout(60):
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
    """What holds up the log; gone when PostgreSQL is."""

    connection: psycopg.AsyncConnection[Any]

    async def reached(self) -> None:
        """Return once an append waits at the brake."""
        async with asyncio.timeout(60):
            while True:
                if await _first(self.connection, f"select count(*) {_HELD}"):
                    return
                await asyncio.sleep(0.01)

    async def let_go(self, *, stored: bool = True) -> None:
        """Let the appends go on: what waited is stored, or is undone with the connection it came over."""
        await self.connection.execute("delete from public.brakes")
        if not stored:
            await self.connection.execute(f"select pg_terminate_backend(pid) {_HELD}")
        await self.connection.execute(f"select pg_advisory_unlock({_LOCK})")


@asynccontextmanager
async def brake(app: Application, topic: str, after: int) -> AsyncIterator[Brake]:
    """Have appends wait before the event of this topic that comes after so many of them in the log."""
    async with await connected(app) as connection:
        await connection.execute(_MAKE)
        await connection.execute(f"select pg_advisory_lock({_LOCK})")
        await connection.execute("delete from public.brakes")
        await connection.execute("insert into public.brakes values (%s, %s)", (topic, after))
        yield Brake(connection)


async def streams(app: Application, kind: str) -> dict[str, list[str]]:
    """Return the topics of every stream of this kind, in their order, by the stream's id."""
    found: dict[str, list[str]] = {}
    query = "select originator_id, topic from es.stored_events where originator_id like %s order by notification_id"
    async with await connected(app) as connection:
        for stream, topic in await (await connection.execute(query, (f"{kind}/%",))).fetchall():
            found.setdefault(stream, []).append(topic)
    return found


async def counted(app: Application, topic: str) -> int:
    """Return how many events of this topic the log has."""
    async with await connected(app) as connection:
        return int(await _first(connection, "select count(*) from es.stored_events where topic = %s", topic))


async def _first(connection: psycopg.AsyncConnection[Any], query: str, *arguments: str) -> Any:
    row = await (await connection.execute(query, arguments)).fetchone()
    assert row is not None
    return row[0]
