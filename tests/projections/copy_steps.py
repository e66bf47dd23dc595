"""The steps of a copier, which a test can watch, hold for a while or for ever, and make fail."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from read_side.adapters.elasticsearch_index import ElasticsearchIndexes
from read_side.adapters.postgres_changes import PostgresChanges
from read_side.changes import Changed, Place
from read_side.copies import CopyCheckpoint, CopyDifference, CopyIndex
from read_side.store import R, View

T = TypeVar("T")
PATIENCE = 120.0


@dataclass
class Steps:
    """The indexes and changes of one copier: counts what it does, and can hold it or fail at any of its steps."""

    indexes: ElasticsearchIndexes
    source: PostgresChanges
    done: Counter[str] = field(default_factory=Counter)
    shown: CopyCheckpoint | None = None
    """The last checkpoint of the index that is searched."""
    commits: list[CopyCheckpoint] = field(default_factory=list)
    _live: str | None = None
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    before: Callable[[str, int], Any] | None = None
    """Awaited before each step with its name and its number, from 1 on; what it raises the step raises."""
    after: Callable[[str, int], Any] | None = None

    def shape(self, view: View[Any]) -> str:
        return self.indexes.shape(view)

    async def changes(self, view: View[R], after: Place, limit: int) -> Changed[R]:
        return await self._step("changes", self.source.changes(view, after, limit))

    async def live(self, view: View[Any], *, taken_over: bool = False) -> CopyIndex | None:
        live = await self._step("live", self.indexes.live(view, taken_over=taken_over))
        self._live, self.shown = (None, None) if live is None else (live.name, live.checkpoint)
        return live

    async def create(self, view: View[Any], checkpoint: CopyCheckpoint) -> CopyIndex:
        return await self._step("create", self.indexes.create(view, checkpoint))

    async def begin(self, index: CopyIndex) -> CopyIndex:
        return await self._step("begin", self.indexes.begin(index))

    async def write(self, view: View[R], index: CopyIndex, rows: Sequence[tuple[Place, R | None]]) -> None:
        await self._step("write", self.indexes.write(view, index, rows))

    async def commit(self, index: CopyIndex, checkpoint: CopyCheckpoint) -> CopyIndex:
        committed = await self._step("commit", self.indexes.commit(index, checkpoint))
        self.commits.append(checkpoint)
        if self.shown is not None and self._live == committed.name:
            self.shown = checkpoint
        await self._tell()
        return committed

    async def switch(self, view: View[Any], index: CopyIndex) -> None:
        await self._step("switch", self.indexes.switch(view, index))
        self._live, self.shown = index.name, index.checkpoint
        await self._tell()

    async def sweep(self, view: View[Any]) -> None:
        await self._step("sweep", self.indexes.sweep(view))

    async def keys(self, view: View[Any], index: CopyIndex, after: str, limit: int) -> list[str]:
        return await self.indexes.keys(view, index, after, limit)

    async def compare(self, view: View[R], index: CopyIndex, rows: Mapping[str, R | None]) -> list[CopyDifference]:
        return await self.indexes.compare(view, index, rows)

    async def _step(self, name: str, step: Coroutine[Any, Any, T]) -> T:
        number = self.done[name] + 1
        try:
            if self.before is not None:
                await self.before(name, number)
        except BaseException:
            step.close()
            raise
        result = await step
        self.done[name] = number
        if self.after is not None:
            await self.after(name, number)
        await self._tell()
        return result

    async def _tell(self) -> None:
        async with self.news:
            self.news.notify_all()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return once this holds, looked at after every step."""
        async with asyncio.timeout(PATIENCE), self.news:
            await self.news.wait_for(holds)


class Held:
    """Holds a copier at one of its steps, before it or after, until it may go on."""

    def __init__(self, steps: Steps, name: str, when: str, number: int = 1) -> None:
        self._name, self._number = name, number
        self.reached, self._free = asyncio.Event(), asyncio.Event()
        setattr(steps, when, self._hold)

    def go_on(self) -> None:
        self._free.set()

    async def _hold(self, name: str, number: int) -> None:
        if (name, number) == (self._name, self._number):
            self.reached.set()
            await self._free.wait()
