"""Rows by key, from the hot copy where it is good enough and else from the durable view; look-ups are coalesced."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar, cast

from domain.errors import NotYet
from read_side.coalesce import Coalescer
from read_side.signals import Signals
from read_side.store import Checkpoint, HotCopy, R, View, ViewStore


class _Read(Protocol):
    @property
    def checkpoint(self) -> Checkpoint: ...


T = TypeVar("T", bound=_Read)
_MOMENT = 0.5


async def settled(
    ask: Callable[[], Awaitable[T]],
    view: View[Any],
    store: ViewStore,
    signals: Signals,
    *,
    at_least: int,
    wait: float,
) -> T:
    """Return what ``ask`` reads once that was read at ``at_least`` or above; raises ``NotYet`` after ``wait`` seconds.

    The checkpoint that decides is the one read together with the answer: the one that was heard of may be too high
    for a moment, after a crash of the database.
    """
    deadline = time.monotonic() + wait
    while True:
        await store.wait_for(view, at_least, deadline - time.monotonic())
        read = await ask()
        if read.checkpoint.position >= at_least:
            return read
        signals.correct(view.name, read.checkpoint)
        if time.monotonic() >= deadline:
            raise NotYet(view.name, at_least, read.checkpoint.position)


class _Answer(Generic[R]):
    """One row, or None, as the durable view has it at this checkpoint."""

    __slots__ = ("checkpoint", "row")

    def __init__(self, row: R | None, checkpoint: Checkpoint) -> None:
        self.row, self.checkpoint = row, checkpoint


class Lookup(Generic[R]):
    """The rows of one view by key, for many callers at once.

    A row of the hot copy is used only if the copy is at least at ``at_least``, at the durable checkpoint this process
    had heard of when it was asked, and where it was when this process last used it: so killing, flushing or setting
    back the copy makes an answer slower and never older. That a row does not exist only the durable view may say.
    """

    def __init__(self, view: View[R], store: ViewStore, signals: Signals, hot: HotCopy | None = None) -> None:
        self._view, self._store, self._signals, self._hot = view, store, signals, hot
        self._floor = 0
        self._hot_reads: Coalescer[str, tuple[R, int]] = Coalescer(self._read_hot)
        self._reads: Coalescer[str, _Answer[R]] = Coalescer(self._read)
        self._refills: set[asyncio.Task[None]] = set()

    async def get(self, key: str, *, at_least: int, wait: float) -> R | None:
        """Return the row or None; raises ``NotYet`` when the view is behind ``at_least`` after ``wait`` seconds."""
        if self._hot is not None:
            row = await self._from_hot(key, at_least)
            if row is not None:
                return row
            started = time.monotonic()
            if self._signals.checkpoint(self._view.name).position < at_least:
                await self._store.wait_for(self._view, at_least, wait)
                row = await self._from_hot(key, at_least)
                if row is not None:
                    return row
            await self._catch_up()
            wait -= time.monotonic() - started

        async def ask() -> _Answer[R]:
            return cast("_Answer[R]", await self._reads.get(key))

        answer = await settled(ask, self._view, self._store, self._signals, at_least=at_least, wait=wait)
        return answer.row

    async def _catch_up(self) -> None:
        """Let the durable view reach what the hot copy has shown here before: it is written a moment later.

        If it does not, the hot copy was ahead of a projector that has died; then what is durable counts.
        """
        try:
            await self._store.wait_for(self._view, self._floor, _MOMENT)
        except NotYet as behind:
            self._floor = behind.reached

    async def _from_hot(self, key: str, at_least: int) -> R | None:
        enough = max(at_least, self._floor, self._signals.checkpoint(self._view.name).position)
        found = await self._hot_reads.get(key)
        if found is None:
            return None
        row, position = found
        if position < enough:
            return None
        self._floor = max(self._floor, position)
        return row

    async def _read_hot(self, keys: list[str]) -> Mapping[str, tuple[R, int]]:
        found = await self._hot.read(self._view, keys) if self._hot is not None else None
        return {} if found is None else {key: (row, found.position) for key, row in found.rows.items()}

    async def _read(self, keys: list[str]) -> Mapping[str, _Answer[R]]:
        found = await self._store.get_many(self._view, keys)
        if self._hot is not None and found.rows and not self._refills:
            task = asyncio.create_task(self._hot.refill(self._view, found))
            self._refills.add(task)
            task.add_done_callback(self._refills.discard)
        return {key: _Answer(found.rows.get(key), found.checkpoint) for key in keys}
