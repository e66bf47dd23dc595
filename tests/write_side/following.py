"""A follower as a task of a test, over a log in memory, with a policy whose acts do what the test says."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from domain.base import Recorded
from domain.portfolio import CashDeposited
from read_side.signals import Signals
from tests.api.memory_log import MemoryLog
from tests.projections.logs import deposited, opened
from tests.write_side.memory_work import MemoryWork
from tests.write_side.stores import by
from write_side.follower import Follower
from write_side.log import Context
from write_side.policies import Policy

POLICY = "test"


async def _nothing(_: Recorded) -> None:
    pass


@dataclass
class Log:
    """A log of portfolios, what was acted on, and what an act does beside being noted."""

    log: MemoryLog = field(default_factory=MemoryLog)
    signals: Signals = field(default_factory=Signals)
    acted: list[tuple[str, int]] = field(default_factory=list)
    contexts: list[Context] = field(default_factory=list)
    act: Callable[[Recorded], Awaitable[None]] = _nothing

    def __post_init__(self) -> None:
        self.work = MemoryWork(self.log.events, self.signals)
        self.log.committed.append(lambda base, events: self.signals.hear_head(base + len(events)))
        self._versions: defaultdict[str, int] = defaultdict(int)

    async def add(self, *keys: str) -> int:
        """Append a deposit for each key, before the first of a key its opening; return the head."""
        for key in keys:
            self._versions[key] += 1
            if self._versions[key] == 1:
                await self.log.append([opened(key)], by())
                self._versions[key] += 1
            await self.log.append([deposited(key, self._versions[key], "1")], by())
        return await self.log.head()

    async def reached(self, position: int) -> None:
        """Return once the checkpoint is there."""
        await self.signals.wait_for(f"work/{POLICY}", position, 60)

    async def _act(self, recorded: Recorded, context: Context) -> None:
        self.acted.append((recorded.stream.partition("/")[2], recorded.version))
        self.contexts.append(context)
        await self.act(recorded)

    @asynccontextmanager
    async def followed(self, **options: Any) -> AsyncIterator[Follower]:
        """Follow it meanwhile."""
        chosen = {name: options.pop(name) for name in ("at_once", "lane", "patient") if name in options}
        follower = Follower(
            policy=Policy(name=POLICY, handles=frozenset({CashDeposited}), act=self._act, **chosen),
            pages=options.pop("pages", self.log),
            leadership=self.work,
            wait=self.signals.wait_for_head,
            **{"first_pause": 0.001, "rest": 0.0, "slowest": 0.01, "beat": 0.05} | options,
        )
        follower.start()
        try:
            yield follower
        finally:
            await follower.close(within=0)


@dataclass
class Gate:
    """Holds whoever comes through, until it is opened; ``came`` is set by the first."""

    came: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    async def through(self) -> None:
        self.came.set()
        await self.opened.wait()
