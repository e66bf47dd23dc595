"""Follows the log for a policy: reads on after its checkpoint, has every event worked on, moves the checkpoint."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog

from domain.errors import Broken, Unavailable
from write_side.acting import Acting
from write_side.policies import Policy
from write_side.work import Leadership, Overtaken, Pages, Work, told

_AGAIN = 1.0

log = structlog.get_logger(__name__)


@dataclass(kw_only=True)
class Follower:
    """Has every event that the policy handles worked on, while it leads.

    ``wait`` returns once the log has reached a position, at the latest after so many seconds; ``renewed`` is called
    when it begins to lead. ``window`` is how many events may be under work at most, ``rest`` how many seconds it leaves
    between two pages without work for it, so that these are fewer and larger, ``beat`` after how many idle seconds it
    makes sure that it still leads.
    """

    policy: Policy
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
    slowest: float = 10.0
    leading: bool = field(default=False, init=False)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _task: asyncio.Task[None] | None = field(default=None, init=False)

    def start(self) -> None:
        """Begin, as a task of its own."""
        self._task = asyncio.create_task(self._run(), name=f"follower {self.policy.name}")

    async def close(self, within: float = 10.0) -> None:
        """Begin nothing more, wait for what runs, so many seconds at most, and end."""
        self._stopping.set()
        if self._task is None:
            return
        if self.leading:
            await asyncio.wait([self._task], timeout=within)
        while not self._task.done():  # once is not enough: on Python 3.11 a driver can lose a cancellation
            self._task.cancel()
            await asyncio.wait([self._task], timeout=_AGAIN)

    async def _run(self) -> None:
        """Lead and follow; whatever happens, stand again after a pause and begin at the checkpoint."""
        failures, name = 0, self.policy.name
        while not self._stopping.is_set():
            started = asyncio.get_running_loop().time()
            try:
                async with self.leadership.lead(name) as work:
                    self.leading = True
                    log.info("policy is followed", policy=name)
                    await self._follow(work)
            except (Unavailable, Overtaken) as error:
                log.warning("policy interrupted, it begins again at its checkpoint", policy=name, error=str(error))
            except Exception as error:  # a defect of ours: told, and everything since the checkpoint is begun again
                log.exception("policy failed, it begins again at its checkpoint", policy=name, error=str(error))
            finally:
                self.leading = False
            lasted = asyncio.get_running_loop().time() - started
            failures = 1 if lasted > self.slowest else failures + 1
            pause = min(0.05 * 2**failures, self.slowest) * random.uniform(0.5, 1.0)  # noqa: S311
            await _first(self._stopping.wait(), asyncio.sleep(pause))

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
            await _first(self._stopping.wait(), asyncio.sleep(self.rest))
        return page[-1].position if page else after

    async def _idle(self, acting: Acting, read: int, moved: asyncio.Event, *, room: bool) -> bool:
        """Wait for the log to go on, where there is room for more, or for work to be done; True: nothing happened."""
        waits: list[Coroutine[Any, Any, object]] = [self._stopping.wait()]
        if len(acting):
            waits.append(moved.wait())
        if room:
            waits.append(self.wait(read + 1, self.beat))
        return await _first(*waits) == [False]


async def _save(work: Work, policy: str, saved: int, position: int) -> int:
    """Move the checkpoint to this position, where it is not there yet, and return it."""
    if position > saved:
        await work.save_checkpoint(policy, saved, position)
    return position


async def _first(*waits: Coroutine[Any, Any, object]) -> list[object]:
    """Return what those say that end first; the others are cancelled."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return [task.result() for task in ended]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
