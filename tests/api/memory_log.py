"""An event log in memory, with all that is asked of one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from domain.base import A, Aggregate, Event, Recorded
from domain.execution import ExecutionRecorded, ExecutionResendRequested
from write_side.log import Answer, Appended, Conflict, Context, KeyTaken, Place, Remembered

NOW = datetime(2025, 6, 21, 10, 0, tzinfo=UTC)


@dataclass
class MemoryLog:
    """An ``EventLog`` with its ``Lookups``, a ``History`` and an ``Archive`` in memory.

    ``failure`` is raised by the next append, ``gate`` holds appends while it is set; ``committed`` is told the
    position before and the events of each. What is recorded at a time is recorded by ``clock``.
    """

    clock: Callable[[], datetime] = lambda: NOW
    events: list[Event] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)
    keys: dict[tuple[str, str], Remembered] = field(default_factory=dict)
    contexts: list[Context] = field(default_factory=list)
    committed: list[Callable[[int, Sequence[Event]], None]] = field(default_factory=list)
    failure: BaseException | None = None
    gate: asyncio.Event | None = None
    waiting: asyncio.Event = field(default_factory=asyncio.Event)

    async def append(
        self, events: Sequence[Event], context: Context, *, answer: Answer | None = None, version: int = 0
    ) -> Appended:
        self.waiting.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        taken = {(event.originator_id, event.originator_version) for event in self.events}
        if any((event.originator_id, event.originator_version) in taken for event in events):
            raise Conflict(events[0].originator_id)
        remember = context.remember
        if remember is not None and (remember.caller, remember.key) in self.keys:
            raise KeyTaken(remember.key)
        base = len(self.events)
        self.events.extend(events)
        self.times.extend(self.clock() for _ in events)
        self.contexts.append(context)
        for told in self.committed:
            told(base, events)
        if remember is not None and answer is not None:
            self.keys[remember.caller, remember.key] = Remembered(
                fingerprint=remember.fingerprint,
                answer=answer,
                version=version,
                position=len(self.events),
                command_id=context.command_id,
            )
        return Appended(position=len(self.events), first=base + 1)

    async def read(self, stream: str, after: int = 0) -> list[Event]:
        return [event for event in self.events if event.originator_id == stream and event.originator_version > after]

    async def version(self, stream: str) -> int:
        return sum(event.originator_id == stream for event in self.events)

    async def head(self) -> int:
        return len(self.events)

    async def remembered(self, caller: str, key: str) -> Remembered | None:
        return self.keys.get((caller, key))

    async def snapshot(self, cls: type[Aggregate], stream: str) -> Aggregate | None:
        return None

    async def read_many(self, after: Mapping[str, int]) -> dict[str, list[Event]]:
        found = {stream: await self.read(stream, version) for stream, version in after.items()}
        return {stream: events for stream, events in found.items() if events}

    async def snapshots(self, cls: type[A], streams: Sequence[str]) -> dict[str, A]:
        return {}

    async def save_snapshot(self, aggregate: Aggregate) -> None:
        return None

    async def page(self, after: int, limit: int) -> list[Recorded]:
        return self._recorded()[after : after + limit]

    async def epoch(self) -> UUID:
        return UUID(int=0)

    async def stream(self, stream: str, *, version: int | None = None, position: int | None = None) -> list[Recorded]:
        return [
            recorded
            for recorded in self._recorded()
            if recorded.stream == stream
            and (version is None or recorded.version <= version)
            and (position is None or recorded.position <= position)
        ]

    async def position_at(self, moment: datetime) -> int:
        return sum(time <= moment for time in self.times)

    async def places(self, streams: Sequence[str]) -> dict[str, Place]:
        found: dict[str, Place] = {}
        for position, event in enumerate(self.events, 1):
            if (stream := event.originator_id) in streams:
                first = found[stream].first if stream in found else position
                found[stream] = Place(event.originator_version, first)
        return found

    async def recorded_executions(self, after: int, up_to: int, limit: int) -> list[Recorded]:
        return self._of(ExecutionRecorded, after, up_to)[:limit]

    async def resend_requests(self, after: int, up_to: int) -> list[Recorded]:
        return self._of(ExecutionResendRequested, after, up_to)

    async def count_ready_to_send(self, after: int, up_to: int) -> int:
        return len(self._of((ExecutionRecorded, ExecutionResendRequested), after, up_to))

    async def at(self, positions: Sequence[int]) -> list[Recorded]:
        return [each for each in self._recorded() if each.position in positions]

    def _of(self, kinds: type[Event] | tuple[type[Event], ...], after: int, up_to: int) -> list[Recorded]:
        return [each for each in self._recorded()[after:up_to] if isinstance(each.event, kinds)]

    def _recorded(self) -> list[Recorded]:
        return [
            Recorded(
                position=position,
                stream=event.originator_id,
                version=event.originator_version,
                event=event,
                recorded_at=time,
            )
            for position, (event, time) in enumerate(zip(self.events, self.times, strict=True), 1)
        ]
