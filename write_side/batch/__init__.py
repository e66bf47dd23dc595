"""The commands on accounting batches (seed 001): send, retry, cancel."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import cast

from domain.base import Aggregate
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
"""Makes the answer of the batches that a command has brought to their end."""


@dataclass(frozen=True, kw_only=True)
class Batches:
    """The commands on batches: each answers once for an Idempotency-Key, also after its caller has left.

    They consist of many appends; the answer is stored with the last.
    """

    sending: Sending
    event_log: EventLog
    claims: Claims

    async def send(self, context: Context, render: Render, started: Started) -> Done[Aggregate]:
        """Send what is to be sent; raises what ``Sending.send`` raises, ``KeyReused``, ``KeyInFlight``.

        Any ``If-Match`` is a ``StaleVersion``: a run has no version.
        """
        if context.expected_version is not None:
            raise StaleVersion("a run of batches", context.expected_version or None, 0)
        return await self._once(context, lambda: self.sending.send(context, started), render)

    async def retry(self, number: int, context: Context, render: Render, started: Started) -> Done[Aggregate]:
        """Retry a failed batch; raises what ``Sending.retry`` raises, ``KeyReused``, ``KeyInFlight``."""
        return await self._once(context, lambda: self.sending.retry(number, context, started), render)

    async def cancel(self, number: int, context: Context, render: Render) -> Done[Aggregate]:
        """Cancel a failed batch; raises what ``Sending.cancel`` raises, ``KeyReused``, ``KeyInFlight``."""

        async def cancelled() -> list[Batch]:
            return [await self.sending.cancel(number, context)]

        return await self._once(context, cancelled, render)

    async def _once(
        self, context: Context, command: Callable[[], Awaitable[list[Batch]]], render: Render
    ) -> Done[Aggregate]:
        store = self.sending.delivery.store
        if replay := await store.replay(context):
            return replay
        with self.claims.of(context.remember):
            batches = await command()
            answer = render(batches)
            version = batches[0].version if len(batches) == 1 else 0
            if context.remember is None:
                position = await self.event_log.head()
                return Done(aggregate=None, version=version, position=position, answer=answer)
            try:
                appended = await self.event_log.append([], at_last(context), answer=answer, version=version)
            except KeyTaken:
                return cast("Done[Aggregate]", await store.replay(context))
            return Done(aggregate=None, version=version, position=appended.position, answer=answer)
