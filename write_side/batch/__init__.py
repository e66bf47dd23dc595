"""The commands on accounting batches (seed 001): send, retry, cancel."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from domain.base import Aggregate, Event
from domain.batch import Batch
from domain.errors import StaleVersion
from write_side.batch.delivering import Delivery
from write_side.batch.ports import BatchInProgress, CliFailed, FileNotWritten
from write_side.batch.sending import Recovery, Sending, Started
from write_side.claims import Claims
from write_side.event_store import Done
from write_side.log import Answer, Context, EventLog, KeyTaken, at_last

__all__ = [
    "BatchInProgress",
    "Batches",
    "CliFailed",
    "Delivery",
    "FileNotWritten",
    "Recovery",
    "Sending",
]

Render = Callable[[Sequence[Batch]], Answer]
"""Makes the answer of the batches that a command is about."""


@dataclass(frozen=True, kw_only=True)
class Batches:
    """The commands on batches: each answers once for an Idempotency-Key, also after its caller has left.

    Sending and retrying consist of many appends; the answer is stored with the last, or alone once there is one.
    """

    sending: Sending
    event_log: EventLog
    claims: Claims
    _later: set[asyncio.Future[list[Batch]]] = field(default_factory=set)

    async def send(self, context: Context, render: Render, accepted: Render | None = None) -> Done[Aggregate]:
        """Send what is to be sent; with ``accepted`` answer as soon as a batch is under way, by that.

        Raises what ``Sending.send`` raises, ``KeyReused``, ``KeyInFlight``, and ``StaleVersion`` for any ``If-Match``,
        for a run has no version.
        """
        if context.expected_version is not None:
            raise StaleVersion("a run of batches", context.expected_version or None, 0)
        return await self._once(context, lambda started: self.sending.send(context, started), render, accepted)

    async def retry(
        self, number: int, context: Context, render: Render, accepted: Render | None = None
    ) -> Done[Aggregate]:
        """Retry a failed batch, and answer as ``send``; raises what ``Sending.retry`` raises and the same."""
        return await self._once(context, lambda started: self.sending.retry(number, context, started), render, accepted)

    async def cancel(self, number: int, context: Context, render: Render) -> Done[Aggregate]:
        """Cancel a failed batch; raises what ``Sending.cancel`` raises, ``KeyReused``, ``KeyInFlight``."""
        store, remember = self.sending.delivery.store, context.remember
        if replay := await store.replay(context):
            return replay

        async def answer(batch: Batch, events: Sequence[Event]) -> Answer:
            return render([batch])

        if remember is not None:
            remember = dataclasses.replace(remember, answer=answer)
        with self.claims.of(remember):
            try:
                done = await self.sending.cancel(number, msgspec.structs.replace(context, remember=remember))
            except KeyTaken:
                return cast("Done[Aggregate]", await store.replay(context))
        return msgspec.structs.replace(done, answer=done.answer or render([cast(Batch, done.aggregate)]))

    async def _once(
        self,
        context: Context,
        command: Callable[[Started], Awaitable[list[Batch]]],
        render: Render,
        accepted: Render | None,
    ) -> Done[Aggregate]:
        store = self.sending.delivery.store
        if replay := await store.replay(context):
            return replay
        with self.claims.of(context.remember):
            answer = await self._answer(command, render, accepted)
            if context.remember is None:
                return Done(aggregate=None, version=0, position=await self.event_log.head(), answer=answer)
            try:
                appended = await self.event_log.append([], at_last(context), answer=answer)
            except KeyTaken:
                return cast("Done[Aggregate]", await store.replay(context))
            return Done(aggregate=None, version=0, position=appended.position, answer=answer)

    async def _answer(
        self, command: Callable[[Started], Awaitable[list[Batch]]], render: Render, accepted: Render | None
    ) -> Answer:
        """Return the answer once the command has come to its end; where it may be, once a batch is under way."""
        first: asyncio.Future[Batch] = asyncio.get_running_loop().create_future()

        def started(batch: Batch) -> None:
            if not first.done():
                first.set_result(batch.copy())

        run = asyncio.ensure_future(command(started))
        if accepted is None:
            return render(await run)
        self._later.add(run)
        run.add_done_callback(self._over)
        waits: list[asyncio.Future[Any]] = [run, first]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        return accepted([first.result()]) if first.done() else render(await run)

    def _over(self, run: asyncio.Future[list[Batch]]) -> None:
        """Take note of the end of a run that nobody may wait for; what went wrong stands in the batch and is logged."""
        self._later.discard(run)
        if not run.cancelled():
            run.exception()
