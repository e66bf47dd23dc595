"""Group commit: all commands that wait while one transaction is flushed share the next one.

One appender per process, an asyncio task with a connection of its own. While a group is flushed the next one forms by
itself, so an idle system adds no latency and a busy one shares its flushes. What a caller is told is always settled in
the log: after a conflict or a lost connection the log is asked, by ``command_id``, what of the group stands in it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
import structlog
from psycopg import errors as pg

from domain.base import Event
from domain.errors import Broken, OutcomeUnknown, Overloaded, StoreUnavailable
from write_side.adapters.group import Pending, pending
from write_side.adapters.postgres_sql import LOG_LOCK, append, taken_keys, taken_versions
from write_side.log import Answer, Appended, Conflict, Context, KeyTaken

MAX_GROUP_COMMANDS = 1024
MAX_GROUP_BYTES = 4 * 1024 * 1024
_SETTLE_ROUNDS = 100
_IN_STEP = 32
_LOST = (psycopg.OperationalError, psycopg.InterfaceError, TimeoutError)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flush:
    """One group committed, for metrics: seconds the oldest command waited and the flush took."""

    commands: int
    events: int
    waited: float
    took: float


@dataclass(kw_only=True)
class Appender:
    """The one writer of a process.

    ``connect`` opens a connection in autocommit mode. ``limit`` is how many seconds a command may wait while the log
    cannot be reached; ``capacity`` is how many may wait at all. ``observe`` hears of every group, ``committed``
    of the position before its first event and of its events in order, ``reconnected`` of every new connection: what is
    behind it may be a log restored from a backup, so nothing remembered of it counts.
    """

    connect: Callable[[], Any]
    limit: float = 10.0
    capacity: int = 10_000
    observe: Callable[[Flush], None] = lambda flush: None
    committed: Callable[[int, list[Event]], None] = lambda base, events: None
    reconnected: Callable[[], None] = lambda: None
    _waiting: deque[Pending] = field(default_factory=deque)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _connection: psycopg.AsyncConnection[Any] | None = None
    _session: int = 0
    _task: asyncio.Task[None] | None = None
    _closing: bool = False

    @property
    def depth(self) -> int:
        """How many commands wait."""
        return len(self._waiting)

    async def start(self) -> None:
        """Open the connection and start the task; raises ``psycopg.OperationalError`` when there is no server."""
        self._connection = await self.connect()
        self._task = asyncio.create_task(self._run(), name="appender")

    async def close(self) -> None:
        """Commit what waits, then end; commands after this are refused."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task
        await self._disconnect()

    async def submit(
        self, events: Sequence[Event], context: Context, *, answer: Answer | None = None, version: int = 0
    ) -> Appended:
        """Wait until these events are durable, all of them, and return where they stand.

        Raises ``Conflict``, ``KeyTaken``, ``Overloaded``, ``StoreUnavailable``, ``OutcomeUnknown``; in all but the
        last nothing of the command is stored.
        """
        if self._closing or self._task is None:
            raise StoreUnavailable("the event log is closed: the process is shutting down")
        if self._task.done():
            raise StoreUnavailable("the event log's writer has stopped: the process must be restarted")
        if len(self._waiting) >= self.capacity:
            raise Overloaded(f"{len(self._waiting)} commands wait for the event log, at most {self.capacity} may")
        command = pending(events, context, answer, version, since=context.began, session=self._session)
        self._waiting.append(command)
        self._wake.set()
        return await command.future

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while group := self._next_group():
                try:
                    await self._commit(group)
                except Exception as error:  # a defect of ours: told to everyone it concerns, and the next group goes on
                    self._fail(group, OutcomeUnknown(f"the event log's writer failed: {type(error).__name__}"))
                    await self._disconnect()
                    _report("error", "group failed", error=repr(error), commands=len(group))
            if self._closing:
                return

    def _next_group(self) -> list[Pending]:
        """Take what waits, up to the caps; two commands that want the same place never share a group."""
        group: list[Pending] = []
        wanted: set[tuple[str, ...] | tuple[str, int]] = set()
        left: list[Pending] = []
        size = 0
        while self._waiting and len(group) < MAX_GROUP_COMMANDS and size < MAX_GROUP_BYTES:
            command = self._waiting.popleft()
            if command.future.done():
                continue
            places: list[tuple[str, ...] | tuple[str, int]] = [*command.slots]
            if command.context.remember is not None:
                places.append((command.context.remember.caller, command.context.remember.key, "key"))
            if wanted.isdisjoint(places):
                wanted.update(places)
                group.append(command)
                size += command.size
            else:
                left.append(command)
        self._waiting.extendleft(reversed(left))
        return group

    async def _commit(self, group: list[Pending]) -> None:
        """Bring every command of the group to its answer."""
        unsure, delay = False, 0.02
        for _ in range(_SETTLE_ROUNDS):
            try:
                async with asyncio.timeout(self.limit):
                    connection = await self._connected()
                    if unsure or any(command.session != self._session for command in group):
                        group = await _settle(connection, group)
                        unsure = False
                        for command in group:
                            command.session = self._session
                    if group:
                        await self._flush(connection, group)
                    return
            except pg.UniqueViolation:
                unsure = True
            except Exception as error:  # reported to the one caller whose command it is, where it is about a command
                if not (refused := _session_refuses(error)) and not isinstance(error, _LOST):
                    await (self._in_doubt(group, error) if unsure else self._one_by_one(group, error))
                    return
                _report("warning", "event log lost", error=str(error), commands=len(group))
                await self._disconnect()
                if refused and not unsure:
                    for command in group:
                        command.sent = False  # the server has said so: nothing of this try stands
                unsure = unsure or any(command.sent for command in group)
                group = self._expire(group)
                await asyncio.sleep(delay)
                delay = min(delay * 2, 1.0)
            if not group:
                return
        self._fail(group, Broken("the event log neither takes nor refuses a command"))

    async def _flush(self, connection: psycopg.AsyncConnection[Any], group: list[Pending]) -> None:
        started = time.monotonic()
        query, arguments = append(group)
        for command in group:
            command.sent = True
        cursor = await connection.execute(query, arguments, prepare=True, binary=True)
        base = (await cursor.fetchone())[0]  # type: ignore[index]
        ended = time.monotonic()
        self._tell(base, [event for command in group for event in command.events])
        waited = started - min(command.since for command in group)
        # Nobody waits: the callers go in step with the flushes. Let half of them go ahead, so that the next flush
        # begins while the others decide.
        pause = len(group) // 2 if len(group) >= _IN_STEP and not self._waiting else 0
        position = base
        for number, command in enumerate(group):
            if pause and number == pause:
                await asyncio.sleep(0)
            first, position = position + 1, position + len(command.events)
            if not command.future.done():
                command.future.set_result(Appended(position=position, first=first))
        self.observe(Flush(commands=len(group), events=position - base, waited=waited, took=ended - started))

    def _tell(self, base: int, events: list[Event]) -> None:
        """Let who follows the log hear what is committed; what goes wrong there does not concern the callers."""
        try:
            self.committed(base, events)
        except Exception as error:  # a defect of who listens: the events stand, and its own reading of the log has them
            _report("error", "what was committed was not heard", error=repr(error), position=base)

    async def _one_by_one(self, group: list[Pending], error: Exception) -> None:
        """Something in the group cannot be stored: only its own caller hears of it."""
        group = [command for command in group if not command.future.done()]
        if len(group) == 1:
            command_id = str(group[0].context.command_id)
            _report("error", "event log refuses a command", error=repr(error), command_id=command_id)
            self._fail(group, Broken(f"the event log cannot store the command: {type(error).__name__}"))
            return
        for command in group:
            await self._commit([command])

    async def _in_doubt(self, group: list[Pending], error: Exception) -> None:
        """The log cannot be asked what of the group stands: nobody may be told that his command does not."""
        _report("error", "event log cannot be asked", error=repr(error), commands=len(group))
        self._fail(group, OutcomeUnknown(f"the event log was lost while it committed: {type(error).__name__}"))
        await self._disconnect()

    def _expire(self, group: list[Pending]) -> list[Pending]:
        """Tell those who have waited too long; return what is left of the group."""
        deadline = time.monotonic() - self.limit
        late = [command for command in group if command.since <= deadline]
        self._fail([p for p in late if p.sent], OutcomeUnknown("the event log was lost while it committed"))
        self._fail([p for p in late if not p.sent], StoreUnavailable("the event log cannot be reached"))
        while self._waiting and self._waiting[0].since <= deadline:
            self._fail([self._waiting.popleft()], StoreUnavailable("the event log cannot be reached"))
        return [command for command in group if command.since > deadline]

    @staticmethod
    def _fail(group: Sequence[Pending] | deque[Pending], error: Exception) -> None:
        for command in group:
            if not command.future.done():
                command.future.set_exception(error)

    async def _connected(self) -> psycopg.AsyncConnection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = await self.connect()
            self._session += 1
            self.reconnected()
        return self._connection

    async def _disconnect(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None


def _session_refuses(error: Exception) -> bool:
    """Whether the server refuses whatever this session asks: it takes no writes, or has ended the transaction.

    SQLSTATE class 25, invalid transaction state: a standby, a primary that was demoted or is out of disk space.
    """
    return isinstance(error, psycopg.Error) and (error.sqlstate or "").startswith("25")


def _report(level: str, event: str, **about: Any) -> None:
    """Log; a log that cannot be written (its reader has gone) must not end the writer of events."""
    with suppress(OSError, ValueError):
        getattr(log, level)(event, **about)


async def _settle(connection: psycopg.AsyncConnection[Any], group: list[Pending]) -> list[Pending]:
    """Ask the log what stands of the group, tell those whose case is decided, return those to be sent again.

    Taken under the log's lock: a backend that still commits the group for a lost connection is waited for.
    """
    async with connection.transaction():
        await connection.execute(LOG_LOCK)
        wanted = {slot for command in group for slot in (*command.slots, *command.predecessors)}
        events = await taken_versions(connection, sorted(wanted))
        keys = await taken_keys(connection, [p.context.remember for p in group if p.context.remember is not None])
    undecided = []
    for command in group:
        if command.future.done():
            continue
        command_id, remember = command.context.command_id, command.context.remember
        key_owner = keys.get((remember.caller, remember.key)) if remember is not None else None
        stored = [events[slot] for slot in command.slots if slot in events]
        if stored and all(owner == command_id for owner, _ in stored):
            positions = [position for _, position in stored]
            command.future.set_result(Appended(position=max(positions), first=min(positions)))
        elif key_owner is not None and key_owner[0] == command_id:
            command.future.set_result(Appended(position=key_owner[1], first=key_owner[1] + 1))
        elif key_owner is not None:
            command.future.set_exception(KeyTaken("the idempotency key is stored already"))
        elif stored or not events.keys() >= command.predecessors:
            command.future.set_exception(Conflict(f"{command.slots[0][0]} is not as the command left it"))
        else:
            undecided.append(command)
    return undecided
