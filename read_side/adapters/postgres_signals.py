"""The one connection of a process that listens for events and checkpoints, with a poll as its safety net."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast
from uuid import UUID

import psycopg
import structlog

from postgres.sessions import LOST, Connection, connect, limited
from read_side.signals import Signals
from read_side.store import Checkpoint
from read_side.tasks import end

POLL = 0.25
_STATE = """
select l.epoch, coalesce((select max(notification_id) from es.stored_events), 0), c.view, c.position, c.generation
from app.log l left join app.checkpoints c on true
"""
_SLOWEST = 2.0

log = structlog.get_logger(__name__)


class Listener:
    """Keeps ``signals`` up to date; needs a direct connection, not one of a transaction-pooling proxy.

    Nothing depends on a notification arriving: what is missed is read within 250 ms, and after every new connection.
    """

    def __init__(self, database_url: str, signals: Signals) -> None:
        self._database_url = database_url
        self._signals = signals
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self.reconnected: Callable[[], None] = lambda: None
        """Called with every connection after the first: the log may have been set back meanwhile."""

    async def start(self) -> None:
        """Begin, and return when the state was read once: from then on it is what this process has seen."""
        self._task = asyncio.create_task(self._run(), name="listener")
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait({self._task, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._task.done():
            self._task.result()

    async def close(self) -> None:
        """Stop listening."""
        await end(self._task)

    async def _run(self) -> None:
        pause = 0.02
        while True:
            try:
                async with await connect(self._database_url, "foliolog-listener", writes=False) as connection:
                    if self._ready.is_set():
                        self.reconnected()
                    await _listen(connection)
                    while True:
                        await self._read(connection)
                        pause = 0.02
                        async for notice in connection.notifies(timeout=POLL):
                            self._hear(notice.channel, notice.payload)
            except (psycopg.Error, *LOST) as error:
                log.warning("listening connection lost", error=str(error).strip(), retry_in=pause)
            except Exception:  # a defect of ours: told, and tried again, for what is heard no more looks like no news
                if not self._ready.is_set():
                    raise  # to who starts it
                log.exception("listener failed", retry_in=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _SLOWEST)

    async def _read(self, connection: Connection) -> None:
        """Take what the database says now; a log without its epoch is still being restored."""
        async with limited():
            rows = await (await connection.execute(_STATE, prepare=True)).fetchall()
        if not rows:
            return
        epoch, head = cast(UUID, rows[0][0]), cast(int, rows[0][1])
        checkpoints = {view: Checkpoint(position, generation) for _, _, view, position, generation in rows if view}
        self._signals.assume(epoch, head, checkpoints)
        self._ready.set()

    def _hear(self, channel: str, payload: str) -> None:
        match channel, payload.split(":"):
            case "stored_events", [position] if position.isdecimal():
                self._signals.hear_head(int(position))
            case "checkpoints", [view, position, generation] if position.isdecimal() and generation.isdecimal():
                self._signals.hear_checkpoint(view, Checkpoint(int(position), int(generation)))
            case "wanted", [view]:
                self._signals.want(view)
            case _:
                pass  # of another writer to the log, such as the stock library: the poll sees what it has written


async def _listen(connection: Connection) -> None:
    async with limited():
        await connection.execute("listen stored_events")
        await connection.execute("listen checkpoints")
        await connection.execute("listen wanted")
