"""Keeps the search copy of a view up to the view: owns the rounds, the builds and what people are told of them."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from typing import Generic
from uuid import UUID

import msgspec
import structlog

from domain.errors import Broken, NotYet, Unavailable
from read_side.changes import BEGINNING, Changed, Changes, Place
from read_side.copies import CopyCheckpoint, CopyIndex, CopyIndexes, follower_of
from read_side.following import FollowerLeadership, Following, Stand
from read_side.history import History
from read_side.signals import Signals
from read_side.store import Fenced, R, View
from read_side.tasks import pause

log = structlog.get_logger(__name__)


@dataclass(kw_only=True)
class Copier(Generic[R]):
    """Brings to the copy of one view what has changed in it, round after round, while it leads.

    A round reads rows in pieces of ``page_size`` and commits once the copy is the view at one checkpoint. Between two
    rounds it rests ``rest`` seconds, then waits for the view; after ``beat`` seconds without news it looks whether
    everything is as it was. An index that another has replaced is kept for ``grace`` seconds, for who searches in it.
    Where it cannot go on it says why and tries again, after pauses of ``soonest`` to
    ``slowest`` seconds.
    """

    view: View[R]
    changes: Changes
    indexes: CopyIndexes
    history: History
    leadership: FollowerLeadership
    signals: Signals
    page_size: int = 2_000
    rest: float = 0.1
    beat: float = 1.0
    grace: float = 5.0
    soonest: float = 0.25
    slowest: float = 5.0
    leading: bool = field(default=False, init=False)

    @property
    def name(self) -> str:
        """The name of the follower."""
        return follower_of(self.view)

    async def run(self) -> None:
        """Lead and follow until ended by ``read_side.tasks.end``; whatever happens, stand again after a pause."""
        failures = 0
        while True:
            started = asyncio.get_running_loop().time()
            try:
                async with self.leadership.follow(self.name) as following:
                    self.leading = True
                    log.info("search copy leads", copy=self.name)
                    await self._follow(following)
            except Unavailable as error:
                log.warning("search copy interrupted", copy=self.name, error=str(error))
            except Exception as error:  # a defect of ours: told, and the round is begun again
                log.exception("search copy failed", copy=self.name, error=str(error))
            finally:
                self.leading = False
            lasted = asyncio.get_running_loop().time() - started
            failures = 1 if lasted > self.slowest else failures + 1
            await self._pause(failures)

    async def _follow(self, following: Following) -> None:
        """Go round after round; raises ``Unavailable`` once the leadership is lost."""
        rounds, failures, said = _Rounds(self, following), 0, None
        while True:
            try:
                position = await rounds.next()
            except Fenced as error:
                log.info("search copy begins its round again", copy=self.name, because=str(error))
                rounds.left = None
                await asyncio.sleep(self.rest)
            except (Unavailable, Broken) as error:
                rounds.left, failures = None, failures + 1
                said = await self._stopped(following, str(error), said)
                await self._pause(failures)
            else:
                if said != "":
                    await following.runs()
                said, failures = "", 0
                await asyncio.sleep(self.rest)
                await self._news(position)

    async def _stopped(self, following: Following, error: str, said: str | None) -> str:
        """Say why the copy stands still, in the log once."""
        if error != said:
            log.error("search copy stopped", copy=self.name, error=error)
        await following.stopped(error)
        return error

    async def _news(self, position: int) -> None:
        """Wait until the view is beyond this position, for a beat at most."""
        try:
            await self.signals.wait_for(self.view.name, position + 1, self.beat)
        except NotYet:
            return

    async def _pause(self, failures: int) -> None:
        await asyncio.sleep(pause(failures - 1, self.soonest, self.slowest))


class _Rounds(Generic[R]):
    """The rounds of one leadership. A row is written only where this process led after it had read it."""

    def __init__(self, copier: Copier[R], following: Following) -> None:
        self.left: CopyIndex | None = None
        """The live index as the last round has left it; None where an error has, or somebody else."""
        self._view, self._indexes, self._name = copier.view, copier.indexes, copier.name
        self._changes, self._history, self._page_size = copier.changes, copier.history, copier.page_size
        self._following = following
        self._stand = Stand(0, None)
        self._shape = ""
        self._grace, self._sweep_at = copier.grace, 0.0
        self._floor = 0
        """Rows were written that no commit tells of: up to here they may be ahead of the index's checkpoint."""
        self._written = 0
        """Up to here we have written them ourselves."""

    async def next(self) -> int:
        """Bring the copy up to the view, in a new index where there is none that can go on.

        Returns the position beyond which there is more to do. Raises ``Fenced`` where something is not as it was:
        nothing is ``left`` then, and the round is begun again.
        """
        if asyncio.get_running_loop().time() >= self._sweep_at:
            await self._indexes.sweep(self._view)
            self._sweep_at = math.inf
        live = await self._live()
        changed, self._stand = await self._read(live), await self._following.stand()
        fits = live is not None and self._fits(live.checkpoint, changed)
        if live is None or not fits or live.checkpoint.build != self._stand.build:
            live = await self._build(live if fits else None, changed)
        else:
            live = await self._go_on(live, changed)
        self.left = live
        now = Stand(live.checkpoint.position, live.checkpoint.epoch, self._stand.build, self._stand.tails)
        if now != self._stand:
            await self._following.save(self._stand, now)
        return max(now.position, self._floor - 1)

    async def _live(self) -> CopyIndex | None:
        """Return the index that is searched; None where it is of a log that is no longer there."""
        if self.left is not None and await self._indexes.live(self._view) == self.left:
            return self.left
        self._shape, self._floor, self._written = self._indexes.shape(self._view), 0, 0
        live = await self._indexes.live(self._view, taken_over=True)
        if live is None:
            return None
        position, head = live.checkpoint.position, await self._history.head()
        if position > head:
            log.warning("search copy is ahead of the log", copy=self._name, position=position, head=head)
            return None
        known, command = live.checkpoint.command_id, await self._command(position)
        if known is not None and command is not None and known != command:
            log.warning("search copy is of another log", copy=self._name, position=position)
            return None
        if live.checkpoint.writing:
            self._floor = head
        return live

    def _fits(self, checkpoint: CopyCheckpoint, changed: Changed[R]) -> bool:
        """Whether an index with this checkpoint can take these changes."""
        held = (checkpoint.epoch, checkpoint.generation, checkpoint.shape)
        return held == (changed.epoch, changed.checkpoint.generation, self._shape)

    async def _go_on(self, live: CopyIndex, changed: Changed[R]) -> CopyIndex:
        """Write these changes and all behind them; commit where the copy is then the view at one checkpoint."""
        while True:
            if changed.rows:
                if not live.checkpoint.writing:
                    live = await self._indexes.begin(live)
                await self._indexes.write(self._view, live, changed.rows)
            if len(changed.rows) < self._page_size:
                break
            changed = await self._next(changed)
        position = changed.checkpoint.position
        if position < max(live.checkpoint.position, self._floor):
            self._written = max(position, self._written)
            return live  # the view will come there: a crash has taken it back, or it has not taken all of the log
        if position == live.checkpoint.position and not live.checkpoint.writing:
            return live
        return await self._commit(live, position)

    async def _build(self, live: CopyIndex | None, seen: Changed[R]) -> CopyIndex:
        """Make a new index and let it be searched; the live one, where it can go on, goes on meanwhile.

        What was seen of the view is read again: a rebuild that was switched meanwhile may have told the generation of
        its rows with rows of the one before.
        """
        changed = self._same(seen, await self._led(await self._read(None)))
        first = changed.checkpoint
        checkpoint = CopyCheckpoint(
            epoch=changed.epoch,
            generation=first.generation,
            position=0,
            build=self._stand.build,
            shape=self._shape,
            writing=True,
        )
        index = await self._indexes.create(self._view, checkpoint)
        log.info("search copy is made", copy=self._name, index=index.name)
        while True:
            # What had gone before the first piece was read is in none of them.
            rows = [(place, row) for place, row in changed.rows if row is not None or place.position > first.position]
            await self._indexes.write(self._view, index, rows)
            if len(changed.rows) < self._page_size:
                break
            if live is not None:
                live = await self._go_on(live, await self._led(await self._read(live)))
            changed = await self._next(changed)
        index = await self._commit(index, changed.checkpoint.position)
        await self._led(changed)
        await self._indexes.switch(self._view, index)
        self._sweep_at = asyncio.get_running_loop().time() + self._grace
        log.info("search copy is live", copy=self._name, index=index.name, position=index.checkpoint.position)
        return index

    async def _commit(self, index: CopyIndex, position: int) -> CopyIndex:
        command = await self._command(position)
        now = msgspec.structs.replace(index.checkpoint, position=position, command_id=command, writing=False)
        committed = await self._indexes.commit(index, now)
        self._floor = self._written = 0
        return committed

    async def _read(self, index: CopyIndex | None) -> Changed[R]:
        """Return what has changed since this index was committed, all there is without one."""
        after = BEGINNING
        if index is not None:
            after = Place(max(index.checkpoint.position, self._written) + 1, "")  # no key is empty
        return await self._changes.changes(self._view, after, self._page_size)

    async def _next(self, before: Changed[R]) -> Changed[R]:
        """Return the changes behind these."""
        changed = await self._changes.changes(self._view, before.rows[-1][0], self._page_size)
        return await self._led(self._same(before, changed))

    def _same(self, before: Changed[R], changed: Changed[R]) -> Changed[R]:
        """Return these changes where they are of the same view, and of no earlier checkpoint, than those before."""
        old, new = before.checkpoint, changed.checkpoint
        if (changed.epoch, new.generation) != (before.epoch, old.generation) or new.position < old.position:
            raise Fenced(f"view {self._view.name} was at {old}, and is at {new}")
        return changed

    async def _led(self, changed: Changed[R]) -> Changed[R]:
        """Return these changes where this process still led when they had been read, and makes the same build."""
        stand = await self._following.stand()
        if stand != self._stand:
            raise Fenced(f"{self._name} was at {self._stand}, and is at {stand}")
        return changed

    async def _command(self, position: int) -> UUID | None:
        """Return the command of the event at this position; None where it has none, or cannot be read."""
        try:
            for recorded in await self._history.page(position - 1, 1) if position else ():
                return recorded.command_id
        except Broken:  # an event that was parked
            return None
        return None
