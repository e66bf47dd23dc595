"""The port to the event log: what an append takes and returns, and what a log promises."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID, uuid4

import msgspec

from domain.base import A, Aggregate, Event, Recorded
from domain.errors import FoliologError

ANY_VERSION = 0
"""``Context.expected_version`` of ``If-Match: *``: the aggregate exists, in whatever version."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caller of a command is told: an HTTP status and the bytes of the body."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Remember:
    """Makes a command happen once for this key: its answer is stored with the events and given again.

    ``caller`` and ``key`` name it, ``fingerprint`` is a digest of the whole request, ``answer`` renders the answer
    from the aggregate as the command leaves it and the events it has triggered, before they are stored.
    """

    caller: str
    key: str
    fingerprint: bytes
    answer: Callable[[Any, Sequence[Event]], Awaitable[Answer]]


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks for a command, because of what, and on which condition."""

    actor: str
    correlation_id: str
    command_id: UUID = msgspec.field(default_factory=uuid4)
    causation_id: UUID | None = None
    expected_version: int | None = None
    """The version the caller decided on (``If-Match``); ``ANY_VERSION``: it must exist; None: no condition."""
    remember: Remember | None = None
    began: float = msgspec.field(default_factory=time.monotonic)
    """When it came in, by the monotonic clock: a command waits only so long, for whatever it waits."""


def in_part(context: Context) -> Context:
    """Return the context of an append that is not the last of its command: one of its own, without the key."""
    return msgspec.structs.replace(context, command_id=uuid4(), remember=None, began=time.monotonic())


def at_last(context: Context) -> Context:
    """Return the context of the last append of a command, which may come long after the command has begun."""
    return msgspec.structs.replace(context, began=time.monotonic())


def answering(context: Context, answer: Answer) -> Context:
    """Return the context under whose idempotency key, if it has one, this answer is stored."""
    if context.remember is None:
        return context

    async def told(_: Any, __: Sequence[Event]) -> Answer:
        return answer

    return msgspec.structs.replace(context, remember=dataclasses.replace(context.remember, answer=told))


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """The stored first answer to an idempotency key."""

    fingerprint: bytes
    answer: Answer
    version: int
    position: int
    command_id: UUID


class Conflict(FoliologError):
    """A stream already has an event at a version that was to be appended; nothing of the command was stored."""

    code = "conflict"


class KeyTaken(FoliologError):
    """The idempotency key is already stored; nothing of this command was stored."""

    code = "key-taken"


class Appended(msgspec.Struct, frozen=True, kw_only=True):
    """Where a command's events stand: the position of its last one (without events: the head) and of its first."""

    position: int
    first: int


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where a stream stands in the log: the version of its last event, and the position of its first."""

    version: int
    first: int


class Lookups(Protocol):
    """The log as commands on executions and batches ask it; everything raises ``StoreUnavailable``."""

    async def head(self) -> int:
        """Return the position of the last event of the log; 0 for an empty log."""

    async def places(self, streams: Sequence[str]) -> dict[str, Place]:
        """Return where those of the streams stand that exist, in one query."""

    async def recorded_executions(self, after: int, up_to: int, limit: int) -> list[Recorded]:
        """Return up to ``limit`` events ``ExecutionRecorded`` above ``after`` up to ``up_to``, in order.

        Raises ``Broken``.
        """

    async def resend_requests(self, after: int, up_to: int) -> list[Recorded]:
        """Return all events ``ExecutionResendRequested`` above ``after`` up to ``up_to``; raises ``Broken``."""

    async def count_ready_to_send(self, after: int, up_to: int) -> int:
        """Return how many events of both kinds there are above ``after`` up to ``up_to``."""

    async def at(self, positions: Sequence[int]) -> list[Recorded]:
        """Return the events at these positions, those that are there, in order; raises ``Broken``."""


class EventLog(Protocol):
    """The one log of events: what is appended is durable, in one order without holes, and never changed."""

    async def append(
        self, events: Sequence[Event], context: Context, *, answer: Answer | None = None, version: int = 0
    ) -> Appended:
        """Store all these events or none, in one transaction with the answer under ``context.remember``.

        ``version`` is the aggregate's version that goes with the answer. Raises ``Conflict``, ``KeyTaken``,
        ``Overloaded``, ``StoreUnavailable`` (not stored), ``OutcomeUnknown``.
        """

    async def read(self, stream: str, after: int = 0) -> list[Event]:
        """Return the stream's events above version ``after``, in order; raises ``Broken``, ``StoreUnavailable``."""

    async def version(self, stream: str) -> int:
        """Return the version of the last event of the stream; 0 when there is none."""

    async def head(self) -> int:
        """Return the position of the last event of the log; 0 for an empty log."""

    async def remembered(self, caller: str, key: str) -> Remembered | None:
        """Return what is stored under this idempotency key of this caller."""

    async def snapshot(self, cls: type[Aggregate], stream: str) -> Aggregate | None:
        """Return the newest snapshot of the aggregate that the class can read, or None."""

    async def read_many(self, after: Mapping[str, int]) -> dict[str, list[Event]]:
        """Return the events of these streams above the version given for each, in one query; streams without none."""

    async def snapshots(self, cls: type[A], streams: Sequence[str]) -> dict[str, A]:
        """Return the newest snapshots that the class can read, by stream, of those that have one."""

    async def save_snapshot(self, aggregate: Aggregate) -> None:
        """Store the aggregate as it is; an older or equal snapshot never replaces a newer one."""
