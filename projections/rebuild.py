"""A view made anew from the whole log, beside the live one: to take its place, or to be compared with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Set
from dataclasses import dataclass
from typing import Generic

import structlog

from projections.projector import Folding, Projector
from projections.stretch import Stretch, next_stretch
from read_side.building import Build, Builder, Difference
from read_side.history import History
from read_side.store import R
from read_side.tasks import end

_PAGE = 5_000
_NEAR = 2_000
"""So few events behind, the rest is taken while the live view is held."""
_DIRTY = 20_000
_KEPT = 200_000
_SHOWN = 100

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What a rebuild has done: the position it ends at, how many seconds it took, and the rows that differed.

    ``differences`` are the first hundred by key; None where they were not looked for.
    """

    view: str
    position: int
    seconds: float
    differences: list[Difference] | None = None
    switched: bool = False


async def rebuild(projector: Projector[R], history: History, builder: Builder, *, compare: bool = False) -> Rebuilt:
    """Make the view anew and let it take the place of the live one, which answers until then.

    With ``compare`` the rows that differ are reported. A view whose projection has stopped is made up to the head of
    the log. Raises ``Broken`` at an event that cannot be taken and is not parked: then nothing has changed; and what
    ``Builder.build`` raises.
    """
    return await _run(projector, history, builder, compare=compare, switch=True)


async def verify(projector: Projector[R], history: History, builder: Builder) -> Rebuilt:
    """Make the view anew, compare it byte for byte with the live one at the same position, and drop it.

    The live view goes on meanwhile, however long it takes.
    """
    return await _run(projector, history, builder, compare=True, switch=False)


async def _run(projector: Projector[R], history: History, builder: Builder, *, compare: bool, switch: bool) -> Rebuilt:
    started = time.monotonic()
    async with builder.build(projector.view) as build:
        folding = _Folding(projector, history, build, await build.parked())
        while (target := await _target(history, build, compare=compare)) - folding.position > _NEAR:
            await folding.advance(target)
        await folding.flush()
        await build.finish()
        async with build.hold_live() if switch else build.see_live() as live:
            await folding.advance(await _target(history, build, compare=compare))
            await folding.flush()
            comparable = compare and folding.position == live.checkpoint.position
            differences = await build.differences(_SHOWN) if comparable else None
            if switch:
                await build.switch(folding.position)
    rebuilt = Rebuilt(
        view=projector.view.name,
        position=folding.position,
        seconds=time.monotonic() - started,
        differences=differences,
        switched=switch,
    )
    log.info("view rebuilt", view=rebuilt.view, position=rebuilt.position, seconds=rebuilt.seconds, switched=switch)
    return rebuilt


async def _target(history: History, build: Build[R], *, compare: bool) -> int:
    """Return up to where to build: to the live view, but past one that has stopped."""
    live = await build.live()
    return await history.head() if live.stopped and not compare else live.checkpoint.position


class _Folding(Generic[R]):
    """Folds the log into a build; rows stay in memory, and are written when many have changed."""

    def __init__(self, projector: Projector[R], history: History, build: Build[R], parked: Set[int]) -> None:
        self.position = 0
        self._projector, self._history, self._build, self._parked = projector, history, build, parked
        self._rows: dict[str, R | None] = {}
        self._dirty: dict[str, R | None] = {}
        self._complete = True
        """Whether the memory holds every row there is: one it does not have does not exist."""

    async def advance(self, target: int) -> None:
        """Take the events up to the target; the next page is fetched while one is folded."""
        fetched = self._fetch(target)
        try:
            while fetched is not None:
                stretch = await fetched
                if stretch.position == self.position:
                    return
                self.position = stretch.position
                fetched = self._fetch(target)
                await self._take(stretch)
        finally:
            await end(fetched)

    async def flush(self) -> None:
        """Write the rows that have changed."""
        if self._dirty:
            await self._build.save(self._dirty)
            self._dirty = {}
        if len(self._rows) > _KEPT:
            self._rows, self._complete = {}, False

    def _fetch(self, target: int) -> asyncio.Task[Stretch] | None:
        limit = min(_PAGE, target - self.position)
        if limit <= 0:
            return None
        return asyncio.create_task(next_stretch(self._history, self.position, limit, self._parked))

    async def _take(self, stretch: Stretch) -> None:
        folding = Folding(self._projector, stretch.events)
        if self._complete:
            folding.advance(self._rows.get)
        else:
            await self._look_up(self._projector.reads(stretch.events) - self._rows.keys())
            while unknown := folding.advance(self._rows.__getitem__):
                await self._look_up(unknown)
        self._rows.update(folding.changed)
        self._dirty.update(folding.changed)
        if len(self._dirty) >= _DIRTY:
            await self.flush()

    async def _look_up(self, keys: Collection[str]) -> None:
        """Know these rows from the build; what is not written there yet is known."""
        if keys:
            found = await self._build.get_many(keys)
            self._rows.update((key, found.get(key)) for key in keys)
