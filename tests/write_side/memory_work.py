"""Checkpoints of policies and parked work in memory, behind the ports of both sides."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from domain.base import Event
from domain.errors import Broken
from read_side.signals import Signals
from read_side.store import Checkpoint
from read_side.work import ParkedRow, Progress
from write_side.work import Overtaken, Parked

NOW = datetime(2025, 6, 21, 10, 0, tzinfo=UTC)


@dataclass
class MemoryWork:
    """``Work``, ``WorkSource`` and ``Leadership`` over these events; ``failure`` is raised by whatever is asked.

    Checkpoints are told to ``signals``, as the real ones are by those who listen.
    """

    events: Sequence[Event]
    signals: Signals = field(default_factory=Signals)
    checkpoints: dict[str, int] = field(default_factory=dict)
    kept: dict[tuple[str, int], Parked] = field(default_factory=dict)
    failure: Exception | None = None

    @asynccontextmanager
    async def lead(self, policy: str) -> AsyncIterator[MemoryWork]:
        yield self

    async def checkpoint(self, policy: str) -> int:
        self._fail()
        return self.checkpoints.get(policy, 0)

    async def save_checkpoint(self, policy: str, expected: int, position: int) -> None:
        if await self.checkpoint(policy) != expected:
            raise Overtaken(f"policy {policy} is not at {expected}")
        self.checkpoints[policy] = position
        self.signals.hear_checkpoint(f"work/{policy}", Checkpoint(position, 1))

    async def parked(self, policy: str) -> dict[str, list[int]]:
        self._fail()
        found: dict[str, list[int]] = {}
        for parked in sorted(self.kept.values(), key=lambda parked: parked.position):
            if parked.policy == policy:
                found.setdefault(parked.stream, []).append(parked.position)
        return found

    async def one(self, policy: str, position: int) -> Parked | None:
        self._fail()
        return self.kept.get((policy, position))

    async def park(self, policy: str, position: int, *, attempts: int, error: str) -> Parked:
        self._fail()
        if not 0 < position <= len(self.events):
            raise Broken(f"there is no event at position {position}", position=position)
        event = self.events[position - 1]
        parked = Parked(
            policy=policy,
            position=position,
            stream=event.originator_id,
            topic=event.TOPIC,
            attempts=attempts,
            error=error,
            parked_at=NOW,
        )
        return self.kept.setdefault((policy, position), parked)

    async def failed_again(self, policy: str, position: int, error: str) -> None:
        self._fail()
        if (parked := self.kept.get((policy, position))) is not None:
            self.kept[policy, position] = msgspec.structs.replace(parked, attempts=parked.attempts + 1, error=error)

    async def clear(self, policy: str, position: int) -> None:
        self._fail()
        self.kept.pop((policy, position), None)

    async def progress(self) -> list[Progress]:
        self._fail()
        known = {policy: 0 for policy, _ in self.kept} | self.checkpoints
        return [
            Progress(policy, position, len(self.events) - position, sum(name == policy for name, _ in self.kept))
            for policy, position in sorted(known.items())
        ]

    async def page(self, limit: int, before: tuple[int, str] | None) -> list[ParkedRow]:
        self._fail()
        newest = sorted(self.kept.values(), key=lambda parked: (parked.position, parked.policy), reverse=True)
        below = [parked for parked in newest if before is None or (parked.position, parked.policy) < before]
        return [msgspec.convert(parked, ParkedRow, from_attributes=True) for parked in below[:limit]]

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure
