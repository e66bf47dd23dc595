"""Worker processes for the solvers, which can overrun every limit of their own: at most so many, killed when late."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from domain.errors import Overloaded
from write_side.optimiser import messages
from write_side.optimiser.cover import Cover, Solved

_ROOT = Path(__file__).resolve().parents[2]
_LONGEST_LINE = 1 << 20


class _Failed(Exception):
    """The worker ended, or said what it should not."""


class _Worker:
    """One process, started but maybe not ready yet; it has one task at a time."""

    def __init__(self, process: Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("a worker is spoken to through pipes")
        self._process, self._in, self._out = process, process.stdin, process.stdout
        self._ready = False
        self.tasks = 0

    async def solve(self, task: dict[str, Any], cover: Cover, found: list[Solved], *, limit: float) -> None:
        """Put what solvers find into ``found``, one after the other; it takes at most ``limit`` from when it begins.

        Raises ``_Failed``.
        """
        number, self.tasks = task["id"], self.tasks + 1
        if not self._ready:
            self._expect(await self._read(), messages.READY)
            self._ready = True
        await self._write(messages.line(task))
        self._expect(await self._read(), messages.begun(number))
        try:
            async with asyncio.timeout(limit):
                while (message := await self._read()) != messages.done(number):
                    if message.get("id") != number:
                        raise _Failed(f"the worker answers {message.get('id')!r} instead of {number}")
                    found.append(messages.solved_of(message, cover))
        except TimeoutError:
            raise _Failed("the worker takes too long") from None
        except ValueError as error:
            raise _Failed(str(error)) from None

    async def end(self) -> None:
        """Kill it, whatever it does, and wait until it is gone."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
        await self._process.wait()

    async def _write(self, text: bytes) -> None:
        try:
            self._in.write(text)
            await self._in.drain()
        except ConnectionError as error:
            raise _Failed(f"the worker does not listen: {error}") from None

    async def _read(self) -> dict[str, Any]:
        try:
            if text := await self._out.readline():
                return messages.parsed(text)
        except ValueError as error:
            raise _Failed(f"the worker says what is no message: {error}") from None
        raise _Failed("the worker has ended")

    @staticmethod
    def _expect(message: dict[str, Any], wanted: dict[str, Any]) -> None:
        if message != wanted:
            raise _Failed(f"the worker says {message} instead of {wanted}")


class Pool:
    """At most ``workers`` processes, started when first needed; a closed pool solves nothing.

    ``failed`` counts the tasks that a worker did not end in time, or at all.
    """

    def __init__(
        self,
        *,
        workers: int = 2,
        solvers: Sequence[str] = ("HIGHS", "SCIP"),
        limit: float = 2.0,
        start_limit: float = 20.0,
        queue: int = 1_000,
        recycle: int = 300,
        program: Sequence[str] = (sys.executable, "-m", "write_side.optimiser.worker"),
    ) -> None:
        """``limit``: seconds for one task in a worker that is ready, ``start_limit`` to get ready and compile.

        ``queue``: so many tasks may wait; ``recycle``: a worker does so many before another takes its place.
        """
        self._program = (*program, ",".join(solvers), str(os.getpid()))
        self._limit, self._start_limit = limit, start_limit
        self._queue, self._recycle = queue, recycle
        self._free = asyncio.Semaphore(workers)
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._waiting = 0
        self._number = 0
        self._closed = False
        self.failed = 0

    async def solve(self, cover: Cover, known: int, tolerance: int, *, until: float) -> list[Solved]:
        """Return what solvers find until this time of the monotonic clock, maybe nothing.

        ``known`` is what a known cover costs, above 0; ``tolerance`` how near to the least is near enough. Raises
        ``Overloaded`` when too many tasks wait.
        """
        if self._waiting >= self._queue:
            raise Overloaded(f"{self._waiting} problems wait for a solver, at most {self._queue} may")
        found: list[Solved] = []
        self._waiting += 1
        try:
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                await self._free.acquire()
        except TimeoutError:
            return found
        finally:
            self._waiting -= 1
        try:
            self._number += 1
            await self._ask(messages.task(self._number, cover, known, tolerance), cover, found, until)
        finally:
            self._free.release()
        return found

    async def close(self) -> None:
        """End all processes; what they were doing comes to nothing."""
        self._closed = True
        await asyncio.gather(*(worker.end() for worker in self._all))
        self._all.clear()
        self._idle.clear()

    async def _ask(self, task: dict[str, Any], cover: Cover, found: list[Solved], until: float) -> None:
        """Give the task to a worker, and to a new one where one that served before is gone; to none when it is late."""
        while not self._closed and time.monotonic() < until:
            fresh = not self._idle
            try:
                worker = await self._start() if fresh else self._idle.pop()
            except OSError:  # no process to be had: as if it had ended at once
                self.failed += 1
                return
            kept = False
            try:
                seconds = min(self._start_limit + self._limit, until - time.monotonic())
                async with asyncio.timeout(max(0.0, seconds)):
                    await worker.solve(task, cover, found, limit=self._limit)
                kept = worker.tasks < self._recycle and not self._closed
                return
            except TimeoutError:
                self.failed += 1
                return
            except _Failed:
                if fresh or found:
                    self.failed += 1
                    return
            finally:
                if kept:
                    self._idle.append(worker)
                else:
                    self._all.discard(worker)
                    await worker.end()

    async def _start(self) -> _Worker:
        """Return a new worker; it is getting ready."""
        process = await asyncio.create_subprocess_exec(
            *self._program, stdin=PIPE, stdout=PIPE, cwd=_ROOT, limit=_LONGEST_LINE
        )
        worker = _Worker(process)
        self._all.add(worker)
        return worker
