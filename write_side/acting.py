"""What a policy makes of one event after the other: side by side by lane, each tried again, then parked."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

import structlog

from domain.base import Recorded
from domain.errors import FoliologError, Unavailable
from write_side.policies import Policy, context_of
from write_side.work import Pages, Work, event_at, told

LONGEST_PAUSE: Final = 60.0
"""Seconds between two attempts at most."""
_AGAIN = 1.0

log = structlog.get_logger(__name__)


@dataclass(kw_only=True)
class Acting:
    """What is being worked on since this process leads.

    ``attempts`` is how often an event is tried while it is answered ``Unavailable``; ``first_pause`` the seconds after
    the first attempt, then twice as many each time. ``moved`` is set whenever something was done, parked or given up;
    once ``stopping`` is, nothing more is begun. ``turns`` are shared with others that work for the same policy.
    """

    policy: Policy
    pages: Pages
    work: Work
    parked: dict[str, list[int]]
    moved: asyncio.Event
    stopping: asyncio.Event
    attempts: int = 5
    first_pause: float = 0.5
    turns: asyncio.Semaphore | None = None
    _unfinished: dict[int, None] = field(default_factory=dict, init=False)
    """Positions in their order, for they are taken in it."""
    _queues: dict[str, deque[Recorded]] = field(default_factory=dict, init=False)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _ending: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def __post_init__(self) -> None:
        self._turns = self.turns or asyncio.Semaphore(self.policy.at_once)

    def __len__(self) -> int:
        return len(self._unfinished)

    def done_up_to(self, read: int) -> int:
        """Return the position up to which everything is done or parked, where the log is read up to ``read``."""
        return next(iter(self._unfinished)) - 1 if self._unfinished else read

    def take(self, events: Sequence[Recorded]) -> None:
        """Begin to work on these, the next of the log, each behind those of its lane."""
        for recorded in events:
            self._unfinished[recorded.position] = None
            lane = self.policy.lane(recorded)
            queue = self._queues.get(lane)
            if queue is not None:
                queue.append(recorded)
                continue
            self._queues[lane] = deque([recorded])
            task = asyncio.create_task(self._lane(lane), name=f"{self.policy.name} {lane}")
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def check(self) -> None:
        """Raise what has kept a lane from going on: ``StoreUnavailable``, or a defect of ours."""
        for task in [task for task in self._tasks if task.done()]:
            task.result()
            self._tasks.discard(task)

    async def finish(self, within: float | None = None) -> None:
        """Begin nothing more and wait for what runs, so many seconds at most; then, or cancelled, it cancels that."""
        self._ending.set()
        try:
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=within)
        finally:
            await self.cancel()

    async def cancel(self) -> None:
        """End what runs now, wherever it is."""
        while running := [task for task in self._tasks if not task.done()]:
            for task in running:  # once is not enough: on Python 3.11 a driver can lose a cancellation
                task.cancel()
            await asyncio.wait(running, timeout=_AGAIN)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, _: asyncio.Task[None]) -> None:
        self.moved.set()

    async def _lane(self, lane: str) -> None:
        """Work on the events of a lane in their order, until there is none left or it is to end."""
        queue = self._queues[lane]
        while queue and not self._over():
            if not await self._settle(queue[0]):
                return
            del self._unfinished[queue.popleft().position]
            self.moved.set()
        if not queue:
            del self._queues[lane]

    async def _settle(self, recorded: Recorded) -> bool:
        """Return once the event is done or parked; False when it is neither because this is to end."""
        if recorded.position in self.parked.get(recorded.stream, ()):
            return True
        for attempt in count(1):
            try:
                if not await self._act(recorded):
                    return False
            except Unavailable as error:
                await self.work.checkpoint(self.policy.name)  # raises where it is the log that is away: no attempt then
                failure = told(error)
            except Exception as error:  # whatever it is: a person sees it parked with its reason
                log.exception("work failed", policy=self.policy.name, position=recorded.position, error=str(error))
                await self.park(recorded.position, attempts=attempt, error=told(error))
                return True
            else:
                await self._take_up_parked(recorded)
                return True
            if attempt >= self.attempts and not self.policy.patient:
                await self.park(recorded.position, attempts=attempt, error=failure)
                return True
            if not await self._paused(min(self.first_pause * 2 ** min(attempt - 1, 10), LONGEST_PAUSE)):
                return False
        raise AssertionError("there is always one more attempt")

    async def _act(self, recorded: Recorded) -> bool:
        """Act on the event when it is its turn; False when this is to end by then."""
        async with self._turns:
            if self._over():
                return False
            await self.policy.act(recorded, context_of(recorded))
            return True

    def _over(self) -> bool:
        return self._ending.is_set() or self.stopping.is_set()

    async def _paused(self, seconds: float) -> bool:
        """Wait about so long; False at once when this is to end."""
        try:
            async with asyncio.timeout(seconds * random.uniform(0.5, 1.0)):  # noqa: S311
                await self._ending.wait()
        except TimeoutError:
            return True
        return False

    async def park(self, position: int, *, attempts: int, error: str) -> None:
        """Put the event where a person sees it; raises ``StoreUnavailable``, and then it is not parked."""
        parked = await self.work.park(self.policy.name, position, attempts=attempts, error=error)
        positions = self.parked.setdefault(parked.stream, [])
        if position not in positions:
            positions.append(position)
        log.error("work is parked", **{name: getattr(parked, name) for name in parked.__struct_fields__})

    async def _take_up_parked(self, done: Recorded) -> None:
        """Work once more on what is parked of a stream with which it goes well again, the oldest first."""
        parked = self.parked.get(done.stream, [])
        for position in sorted(position for position in parked if position < done.position):
            try:
                if not await self._act(await event_at(self.pages, position)):
                    return
            except FoliologError as error:
                await self.work.failed_again(self.policy.name, position, told(error))
            except Exception as error:  # it stays parked, with the new reason
                log.exception("parked work failed again", policy=self.policy.name, position=position, error=str(error))
                await self.work.failed_again(self.policy.name, position, told(error))
            else:
                await self.work.clear(self.policy.name, position)
                parked.remove(position)
                log.info("parked work is done", policy=self.policy.name, position=position)
