"""Relays as tasks of a test: to a topic in memory that is shut like Kafka's, and where a follower stands in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from domain.base import Event, Recorded
from domain.errors import StoreUnavailable, Unavailable
from domain.published import Message, origin_of
from projections.relay import Relay
from read_side.following import Stand
from read_side.publishing import Part
from read_side.signals import Signals
from read_side.store import Checkpoint, Fenced
from read_side.tasks import end
from tests.api.memory_log import NOW
from tests.projections.logs import deposited, opened


async def _pass() -> None:
    pass


@dataclass
class Points:
    """What happens at the points of a page, named ``before publish`` and so on; nothing unless a test says so."""

    at: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)

    async def pass_by(self, point: str) -> None:
        await self.at.get(point, _pass)()


@dataclass
class MemoryLog:
    """A ``History`` of portfolios: each command is one deposit, the first of a portfolio with its opening."""

    signals: Signals = field(default_factory=Signals)
    events: list[Recorded] = field(default_factory=list)
    id: UUID = field(default_factory=uuid4)

    def add(self, *names: str) -> int:
        """Append a command for each of these portfolios; return the head."""
        for name in names:
            version = 1 + sum(each.stream == f"portfolio/{name}" for each in self.events)
            command = uuid4()
            if version == 1:
                self._append(opened(name), command)
                version += 1
            self._append(deposited(name, version, "1"), command)
        self.signals.hear_head(len(self.events))
        return len(self.events)

    def _append(self, event: Event, command: UUID) -> None:
        self.events.append(
            Recorded(
                position=len(self.events) + 1,
                stream=event.originator_id,
                version=event.originator_version,
                event=event,
                recorded_at=NOW,
                command_id=command,
            )
        )

    async def head(self) -> int:
        return len(self.events)

    async def page(self, after: int, limit: int) -> list[Recorded]:
        return self.events[after : after + limit]

    async def epoch(self) -> UUID:
        return self.id


@dataclass
class MemoryTopic(Points):
    """A ``Topic`` in memory: who opens it shuts out the one before; ``starts`` is where each partition begins."""

    name: str = "memory"
    records: list[list[Message]] = field(default_factory=lambda: [[], [], []])
    starts: list[int] = field(default_factory=lambda: [0, 0, 0])
    openings: int = 0
    failure: Exception | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[MemoryPublisher]:
        if self.failure is not None:
            raise self.failure
        self.openings += 1
        yield MemoryPublisher(self, self.openings)

    def positions(self, epoch: UUID) -> list[list[int]]:
        """Return the positions in each partition, of records of this log."""
        return [
            [origin.position for record in records if (origin := origin_of(record.headers)).epoch == epoch]
            for records in self.records
        ]


@dataclass
class MemoryPublisher:
    """The ``Publisher`` of one opening."""

    topic: MemoryTopic
    number: int

    def partition_of(self, key: bytes) -> int:
        return sum(key) % len(self.topic.records)

    async def parts(self, epoch: UUID, tails: Sequence[int]) -> list[Part]:
        self._is_the_last()
        found = []
        for start, records in zip(self.topic.starts, self.topic.records, strict=True):
            ours = [origin for record in records[start:] if (origin := origin_of(record.headers)).epoch == epoch]
            found.append(Part(start, len(records), ours[-1] if ours else None))
        return found

    async def publish(self, messages: Sequence[tuple[int, Message]]) -> None:
        await self.topic.pass_by("before publish")
        self._is_the_last()
        for partition, message in messages:
            self.topic.records[partition].append(message)
        await self.topic.pass_by("after publish")

    def _is_the_last(self) -> None:
        if self.topic.openings != self.number:
            raise Unavailable("somebody else has opened the topic")


@dataclass
class MemoryFollowing(Points):
    """``Following`` and ``FollowerLeadership`` in memory; ``lose`` takes the leadership from who has it."""

    at_: Stand = field(default_factory=lambda: Stand(0, None))
    state: str = "new"
    error: str | None = None
    said: asyncio.Event = field(default_factory=asyncio.Event)
    saves: list[Stand] = field(default_factory=list)
    _leader: int = 0
    _free: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def follow(self, name: str) -> AsyncIterator[_Led]:
        while self._leader and not self._free.is_set():
            await self._free.wait()
        self._free.clear()
        self._leader += 1
        led = _Led(self, self._leader)
        try:
            yield led
        finally:
            if led.number == self._leader:
                self._free.set()

    def lose(self) -> None:
        """Let somebody else lead; who led until now does not hear of it."""
        self._leader += 1
        self._free.set()


@dataclass
class _Led:
    of: MemoryFollowing
    number: int

    def _leads(self) -> MemoryFollowing:
        if self.of._leader != self.number:
            raise StoreUnavailable("the session is lost")
        return self.of

    async def stand(self) -> Stand:
        return self._leads().at_

    async def save(self, before: Stand, now: Stand) -> None:
        await self.of.pass_by("before save")
        of = self._leads()
        if of.at_ != before:
            raise Fenced(f"it is at {of.at_}, not at {before}")
        of.at_ = now
        of.saves.append(now)
        await self.of.pass_by("after save")

    async def runs(self) -> None:
        self._leads()
        self.of.state, self.of.error = "running", None

    async def stopped(self, error: str) -> None:
        self._leads()
        self.of.state, self.of.error = "stopped", error
        self.of.said.set()


@asynccontextmanager
async def relaying(log: Any, topic: Any, following: Any, **options: Any) -> AsyncIterator[Relay]:
    """Run a relay while the block lasts; ``log`` has ``signals``, which forget where one stood before."""
    log.signals.correct(f"relay/{topic.name}", Checkpoint(0, 1))
    relay = Relay(
        topic=topic,
        history=options.pop("history", log),
        leadership=following,
        signals=log.signals,
        **{"first_pause": 0.001, "slowest": 0.05, "beat": 0.05} | options,
    )
    task = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        await end(task)
