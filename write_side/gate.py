"""Who may compute now: long computing on the event loop goes in short slices, one at a time over the whole process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from domain.errors import Overloaded

SLICE: Final = 0.0025
"""Seconds of steps in one slice; the last of them may take a millisecond or two longer."""

T = TypeVar("T")
R = TypeVar("R")


class Gate:
    """One slice of computing at a time, in the order of asking; everything else has its turn between two.

    All who share a gate hold up the event loop together no longer than one of them.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def through(self, steps: Iterator[None]) -> None:
        """Run all the steps.

        Whoever then goes on without waiting is still alone in this turn of the event loop.
        """
        over = False
        while not over:
            async with self._turn:
                over = _slice(steps)
                await asyncio.sleep(0)

    async def turn(self) -> None:
        """Return in a turn of the event loop that nobody else gets who shares the gate: for a short piece of work."""
        async with self._turn:
            await asyncio.sleep(0)

    async def map(self, work: Callable[[T], R], pieces: Iterable[T]) -> list[R]:
        """Return what ``work`` makes of each piece, in their order; one piece is one step."""
        done: list[R] = []

        def steps() -> Iterator[None]:
            for piece in pieces:
                done.append(work(piece))
                yield

        await self.through(steps())
        return done


def _slice(steps: Iterator[None]) -> bool:
    """Run steps for a slice; True when there are no more. The clock only says where it pauses."""
    end = time.perf_counter() + SLICE
    return all(time.perf_counter() < end for _ in steps)


class Places:
    """So many may be at work at once; others wait, in the order of asking, and too many are refused."""

    def __init__(self, at_once: int, waiting: int, what: str) -> None:
        """``waiting`` is how many may wait, ``what`` names them in the refusal: ``runs``."""
        self._free = asyncio.Semaphore(at_once)
        self._most = waiting
        self._what = what
        self._waiting = 0

    @asynccontextmanager
    async def one(self, until: float) -> AsyncIterator[None]:
        """Have a place, waiting for it until this time of the monotonic clock at most; raises ``Overloaded``."""
        if self._waiting >= self._most:
            raise Overloaded(f"{self._waiting} {self._what} wait already, at most {self._most} may")
        self._waiting += 1
        try:
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                await self._free.acquire()
        except TimeoutError:
            raise Overloaded(f"the {self._what} before this one take too long") from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()
