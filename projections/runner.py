"""Keeps a view up to the log: owns the I/O, the pages, the retries and the checkpoint of one projection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Set
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Generic, Protocol

import structlog

from domain.errors import Broken, Unavailable
from projections.projector import Folding, Projector
from projections.stretch import Stretch, next_stretch
from read_side.history import History
from read_side.signals import Signals
from read_side.store import Checkpoint, Fenced, HotCopy, Page, ProjectionStore, R
from read_side.tasks import end, pause

_NOWHERE = Checkpoint(-1, -1)

log = structlog.get_logger(__name__)


class Leadership(Protocol):
    """Lets one process at a time lead a name."""

    def lead(self, name: str) -> AbstractAsyncContextManager[ProjectionStore]:
        """Wait until this process leads; the store given works as long as it does.

        Raises ``Unavailable``; the store does too once the leadership is lost.
        """


@dataclass(kw_only=True)
class Runner(Generic[R]):
    """Follows the log with one projector, while it leads.

    ``page_size`` is how many events at most share a transaction, ``beat`` after how many idle seconds it makes sure
    that it still leads and that the hot copy is where the view is; ``renewed`` is called when it begins to lead.
    """

    projector: Projector[R]
    history: History
    leadership: Leadership
    signals: Signals
    hot: HotCopy | None = None
    page_size: int = 2_000
    renewed: Callable[[], None] = lambda: None
    beat: float = 1.0
    slowest: float = 10.0
    leading: bool = field(default=False, init=False)
    _ahead: asyncio.Task[Stretch] | None = field(default=None, init=False)
    _known: dict[str, R | None] = field(default_factory=dict, init=False)
    """Rows as the last page has left them; nobody else writes while the checkpoint is where this page left it."""

    async def run(self) -> None:
        """Lead and follow until ended by ``read_side.tasks.end``; whatever happens, stand again after a pause."""
        failures = 0
        while True:
            started = asyncio.get_running_loop().time()
            try:
                async with self.leadership.lead(self.projector.view.name) as store:
                    self.leading = True
                    log.info("projection leads", view=self.projector.view.name)
                    await self._follow(store)
            except Unavailable as error:
                log.warning("projection interrupted", view=self.projector.view.name, error=str(error))
            except Exception as error:
                log.exception("projection failed", view=self.projector.view.name, error=str(error))
            finally:
                self.leading = False
                await self._forget_ahead()
            lasted = asyncio.get_running_loop().time() - started
            failures = 1 if lasted > self.slowest else failures + 1
            await asyncio.sleep(pause(failures, 0.05, self.slowest))

    async def _follow(self, store: ProjectionStore) -> None:
        view = self.projector.view
        self.renewed()
        self._known.clear()
        checkpoint, parked = _NOWHERE, await store.parked(view)
        while True:
            try:
                if checkpoint is _NOWHERE:
                    checkpoint = await store.prepare(view)
                    await store.resume(view)
                checkpoint = await self._step(store, checkpoint, parked)
            except Fenced as error:
                log.info("projection goes on from the checkpoint as it is now", view=view.name, because=str(error))
                checkpoint = _NOWHERE
            except Broken as error:
                await self._stand_still(store, parked, error)
                checkpoint, parked = _NOWHERE, await store.parked(view)
            if checkpoint is _NOWHERE:
                self._known.clear()
                await self._forget_ahead()
            elif len(self._known) > self.projector.kept:
                self._known.clear()

    async def _step(self, store: ProjectionStore, checkpoint: Checkpoint, parked: Set[int]) -> Checkpoint:
        """Take the next page, or wait for one; return the checkpoint afterwards."""
        if self.projector.view.rest and self._ahead is None:
            await self.signals.rest(self.projector.view.name, self.projector.view.rest)
        stretch = await self._next(checkpoint.position, parked)
        if stretch.position == checkpoint.position:
            if not await self.signals.wait_for_head(checkpoint.position + 1, self.beat):
                await self._idle(store, checkpoint)
            return checkpoint
        if stretch.full:
            self._ahead = asyncio.create_task(next_stretch(self.history, stretch.position, self.page_size, parked))
        try:
            return await self._project(store, checkpoint, stretch)
        except Broken as error:
            before = [recorded for recorded in stretch.events if recorded.position < (error.position or 0)]
            if before:
                await self._project(store, checkpoint, Stretch(before, before[-1].position))
            raise

    async def _project(self, store: ProjectionStore, checkpoint: Checkpoint, stretch: Stretch) -> Checkpoint:
        """Store the page these events make, in the hot copy first: who hears of a position finds it there."""
        view = self.projector.view
        folding = Folding(self.projector, stretch.events)
        unknown: Collection[str] = self.projector.reads(stretch.events) - self._known.keys()
        while True:
            await self._look_up(store, checkpoint, unknown)
            unknown = await self._advance(folding)
            if not unknown:
                break
        page = Page(folding.changed, checkpoint, stretch.position)
        if self.hot is not None:
            await self.hot.save_page(view, page)
        await store.save_page(view, page)
        self._known.update(folding.changed)
        reached = Checkpoint(stretch.position, checkpoint.generation)
        self.signals.hear_checkpoint(view.name, reached)
        return reached

    async def _advance(self, folding: Folding[R]) -> Collection[str]:
        """Fold up to unknown rows; a page of many prices in a thread, so that other projections get their turn."""
        if folding.heavy:
            return await asyncio.to_thread(folding.advance, self._known.__getitem__)
        return folding.advance(self._known.__getitem__)

    async def _look_up(self, store: ProjectionStore, checkpoint: Checkpoint, keys: Collection[str]) -> None:
        """Know these rows as they are at the checkpoint; raises ``Fenced`` where the view is at another."""
        if not keys:
            return
        found = await store.get_many(self.projector.view, keys)
        if found.checkpoint != checkpoint:
            raise Fenced(f"view {self.projector.view.name} is at {found.checkpoint}, not at {checkpoint}")
        self._known.update((key, found.rows.get(key)) for key in keys)

    async def _stand_still(self, store: ProjectionStore, parked: Set[int], error: Broken) -> None:
        """Say why the projection has stopped; return when an operator has parked an event or rebuilt the view."""
        view = self.projector.view
        await self._forget_ahead()
        await store.stop(view, str(error))
        stopped_at = await store.checkpoint(view)
        log.error("projection stopped", view=view.name, position=error.position, error=str(error))
        while True:
            await asyncio.sleep(self.beat)
            if await store.parked(view) != parked or await store.checkpoint(view) != stopped_at:
                break
        log.warning("projection goes on", view=view.name)

    async def _idle(self, store: ProjectionStore, checkpoint: Checkpoint) -> None:
        """Make sure that this process still leads, and that the hot copy is where the view is."""
        if await store.checkpoint(self.projector.view) != checkpoint:
            raise Fenced(f"view {self.projector.view.name} is no longer at {checkpoint}")
        if self.hot is not None:
            await self.hot.save_page(self.projector.view, Page({}, checkpoint, checkpoint.position))

    async def _next(self, after: int, parked: Set[int]) -> Stretch:
        """Return the next events: those that were fetched while the last page was stored, or from the log now."""
        task, self._ahead = self._ahead, None
        return await (task or next_stretch(self.history, after, self.page_size, parked))

    async def _forget_ahead(self) -> None:
        task, self._ahead = self._ahead, None
        await end(task)
