"""Follows the log for a policy: reads on after its checkpoint, has every event worked on, moves the checkpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import structlog

from domain.errors import Broken
from write_side.acting import Acting
from write_side.standing import Standing, first
from write_side.work import Leadership, Overtaken, Pages, Work, told

log = structlog.get_logger(__name__)


@dataclass(kw_only=True)
class Follower(Standing):
    """Has every event that the policy handles worked on, while it leads.

    ``wait`` returns once the log has reached a position, at the latest after so many seconds; ``renewed`` is called
    when it begins to lead. ``window`` is how many events may be under work at most, ``rest`` how many seconds it leaves
    between two pages without work for it, so that these are fewer and larger, ``beat`` after how many idle seconds it
    makes sure that it still leads.
    """

    pages: Pages
    leadership: Leadership
    wait: Callable[[int, float], Coroutine[Any, Any, bool]]
    renewed: Callable[[], None] = lambda: None
    page_size: int = 1_000
    window: int = 1_000
    attempts: int = 5
    first_pause: float = 0.5
    beat: float = 1.0
    rest: float = 0.05

    async def _stand(self) -> None:
        async with self.leadership.lead(self.policy.name) as work:
            self.leading = True
            log.info("policy is followed", policy=self.policy.name)
            await self._follow(work)

    async def _follow(self, work: Work) -> None:
        self.renewed()
        name, moved = self.policy.name, asyncio.Event()
        saved = read = await work.checkpoint(name)
        acting = Acting(
            policy=self.policy,
            pages=self.pages,
            work=work,
            parked=await work.parked(name),
            moved=moved,
            stopping=self._stopping,
            attempts=self.attempts,
            first_pause=self.first_pause,
        )
        try:
            while not self._stopping.is_set():
                acting.check()
                moved.clear()
                saved = await _save(work, name, saved, acting.done_up_to(read))
                before, room = read, len(acting) < self.window
                if room:
                    read = await self._read(acting, read)
                quiet = read == before and await self._idle(acting, read, moved, room=room)
                if quiet and await work.checkpoint(name) != saved:
                    raise Overtaken(f"the checkpoint of policy {name} is no longer at {saved}")
        except asyncio.CancelledError:
            await acting.cancel()
            raise
        finally:
            await acting.finish()
        acting.check()
        await _save(work, name, saved, acting.done_up_to(read))

    async def _read(self, acting: Acting, after: int) -> int:
        """Take the next page of the log; return the position read up to.

        An event that cannot be read is parked: whether the policy handles it, only a corrected program can tell.
        """
        try:
            page = await self.pages.page(after, self.page_size)
        except Broken as error:
            if error.position is None:
                raise
            await acting.park(error.position, attempts=1, error=told(error))
            return error.position
        handled = [recorded for recorded in page if type(recorded.event) in self.policy.handles]
        acting.take(handled)
        if page and not handled and len(page) < self.page_size:
            await first(self._stopping.wait(), asyncio.sleep(self.rest))
        return page[-1].position if page else after

    async def _idle(self, acting: Acting, read: int, moved: asyncio.Event, *, room: bool) -> bool:
        """Wait for the log to go on, where there is room for more, or for work to be done; True: nothing happened."""
        waits: list[Coroutine[Any, Any, object]] = [self._stopping.wait()]
        if len(acting):
            waits.append(moved.wait())
        if room:
            waits.append(self.wait(read + 1, self.beat))
        return await first(*waits) == [False]


async def _save(work: Work, policy: str, saved: int, position: int) -> int:
    """Move the checkpoint to this position, where it is not there yet, and return it."""
    if position > saved:
        await work.save_checkpoint(policy, saved, position)
    return position
