"""A log of prices in memory that can be slow, unreadable, away or set back, and a table that follows it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast
from uuid import UUID

from domain.base import Event, Recorded
from domain.errors import Broken, FoliologError
from projections.prices import PRICE_PROJECTOR
from read_side.price_table import PriceTable
from read_side.prices import PriceRow, Prices
from read_side.signals import Signals
from tests.projections.quoting import recorded


@dataclass
class Log:
    """A log in memory with the queries on its prices; ``seen`` events of it are in their view."""

    events: list[Event] = field(default_factory=list)
    seen: int = 0
    unreadable: int = 0
    failure: FoliologError | None = None
    reads: list[int] = field(default_factory=list)
    read: asyncio.Event = field(default_factory=asyncio.Event)
    loading: asyncio.Event | None = None
    meanwhile: list[Callable[[], None]] = field(default_factory=list)
    signals: Signals = field(default_factory=Signals)

    async def head(self) -> int:
        return len(self.events)

    async def epoch(self) -> UUID:
        return UUID(int=0)

    async def page(self, after: int, limit: int) -> list[Recorded]:
        self.reads.append(after)
        self.read.set()
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        if after + 1 == self.unreadable <= len(self.events):
            raise Broken("it cannot be read", position=self.unreadable)
        end = self.unreadable - 1 if after < self.unreadable else after + limit
        page = recorded(self.events)[after : min(end, after + limit)]
        while self.meanwhile:
            self.meanwhile.pop()()
        return page

    async def latest(self) -> tuple[dict[str, PriceRow], int]:
        rows, position = PRICE_PROJECTOR.fold({}, recorded(self.events[: self.seen])), self.seen
        if self.loading is not None:
            await self.loading.wait()
        if isinstance(self.failure, Broken):
            raise self.failure
        return {key: row for key, row in rows.items() if row is not None and row.state == "latest"}, position

    async def looked_at(self, times: int) -> None:
        """Return once it was read so many times more."""
        goal = len(self.reads) + times
        async with asyncio.timeout(60):
            while len(self.reads) < goal:
                self.read.clear()
                await self.read.wait()

    def append(self, *events: Event) -> int:
        """Append as another process does; return the position before them."""
        base = len(self.events)
        self.events += events
        self.signals.hear_head(len(self.events))
        return base


@asynccontextmanager
async def following(log: Log) -> AsyncIterator[PriceTable]:
    table = PriceTable(log, cast(Prices, log), log.signals)
    await table.start()
    try:
        yield table
    finally:
        await table.close()
