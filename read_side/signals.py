"""What a process knows of the log's head and the views' checkpoints, and who waits for them; fed by an adapter."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from uuid import UUID

from domain.errors import NotYet
from read_side.store import Checkpoint

_HEAD = ""
_START = Checkpoint(0, 0)
_RECENT = 1.0
"""Seconds."""
_Waiter = tuple[int, int, asyncio.Future[None]]


class Signals:
    """The newest head and checkpoints heard of: a floor, for they move on by themselves.

    After a crash of the database a checkpoint can be lower than it was (its commits are not waited for); the adapter
    then states it anew with ``assume``.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` returns seconds, as the event loop's does."""
        self.epoch: UUID | None = None
        """The id made with the log; None until the log was seen."""
        self._clock = clock
        self._head = 0
        self._checkpoints: dict[str, Checkpoint] = {}
        self._heard: defaultdict[str, deque[tuple[float, int]]] = defaultdict(deque)
        self._waiters: defaultdict[str, list[_Waiter]] = defaultdict(list)
        self._order = itertools.count()
        self._wanted: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    @property
    def head(self) -> int:
        """The position of the last event heard of."""
        return self._head

    def checkpoint(self, view: str) -> Checkpoint:
        """Return the last checkpoint heard of; position 0, generation 0 before the first."""
        return self._checkpoints.get(view, _START)

    def recent(self, view: str) -> int:
        """Return where the view stood a second ago, as far as was heard: who is behind that has been so for longer.

        How long it has stood where it was first heard of is not known: for ever.
        """
        heard, before = self._heard[view], self._clock() - _RECENT
        while len(heard) > 1 and heard[1][0] <= before:
            heard.popleft()
        return heard[0][1] if heard else 0

    def hear_head(self, position: int) -> None:
        """Take a head that was told; a lower one is old news."""
        if position > self._head:
            self._head = position
            self._wake(_HEAD, position)

    def hear_checkpoint(self, view: str, checkpoint: Checkpoint) -> None:
        """Take a checkpoint that was told; one of an older generation or a lower position is old news."""
        known = self.checkpoint(view)
        if (checkpoint.generation, checkpoint.position) > (known.generation, known.position):
            self.correct(view, checkpoint)

    def assume(self, epoch: UUID, head: int, checkpoints: Mapping[str, Checkpoint]) -> None:
        """Take what was just read from the database, also where it is lower than what was known."""
        self.epoch = epoch
        self._head = head
        self._wake(_HEAD, head)
        for view, checkpoint in checkpoints.items():
            self.correct(view, checkpoint)

    def correct(self, view: str, checkpoint: Checkpoint) -> None:
        """Take a checkpoint that was just read, also where it is lower than what was known."""
        self._checkpoints[view] = checkpoint
        self._heard[view].append((self._clock(), checkpoint.position))
        self.recent(view)  # which forgets what is older
        self._wake(view, checkpoint.position)

    async def wait_for_head(self, position: int, wait: float) -> bool:
        """Return whether the log has reached this position, at the latest after ``wait`` seconds."""
        return self._head >= position or await self._wait(_HEAD, position, wait)

    async def wait_for(self, view: str, position: int, wait: float) -> None:
        """Return once the view is at this position or above; raises ``NotYet`` after ``wait`` seconds."""
        if self.checkpoint(view).position < position and not await self._wait(view, position, wait):
            raise NotYet(view, position, self.checkpoint(view).position)

    def want(self, view: str) -> None:
        """Wake the projection of this view, if it is here and rests: somebody waits for it."""
        self._wanted[view].set()

    async def rest(self, view: str, seconds: float) -> None:
        """Return after so many seconds, or once somebody waits for the view."""
        wanted = self._wanted[view]
        try:
            async with asyncio.timeout(seconds):
                await wanted.wait()
        except TimeoutError:
            return
        wanted.clear()

    async def _wait(self, name: str, position: int, wait: float) -> bool:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter, waiters = (position, next(self._order), future), self._waiters[name]
        heapq.heappush(waiters, waiter)
        try:
            async with asyncio.timeout(max(wait, 0)):
                await future
        except TimeoutError:
            return False
        finally:
            if waiter in waiters:
                waiters.remove(waiter)
                heapq.heapify(waiters)
        return True

    def _wake(self, name: str, position: int) -> None:
        waiters = self._waiters[name]
        while waiters and (waiters[0][0] <= position or waiters[0][2].done()):
            future = heapq.heappop(waiters)[2]
            if not future.done():
                future.set_result(None)
