"""Runs that send batches: one at a time over all processes, what is unfinished first, then a new batch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from domain.base import Aggregate
from domain.batch import Batch, BatchSequence, BatchStatus, Quantity
from domain.errors import FoliologError, NotDelivered, NotFound, Refused, RuleViolated, StaleVersion, Unavailable
from write_side.batch.contents import count
from write_side.batch.delivering import Delivery, Overtaken
from write_side.batch.ports import BatchInProgress, CliStillRunning, OneRun
from write_side.event_store import Done
from write_side.log import ANY_VERSION, Conflict, Context, at_last, in_part

Started = Callable[[Batch], None]
"""Is told of a batch as soon as the run works on it."""
_LARGEST: Final = 10**18

log = structlog.get_logger(__name__)


def _nobody(_: Batch) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class Sending:
    """Sends batches, in this process; ``quantity`` is what the files of new ones hold.

    ``by_file`` says that the file is meant to be the delivery. Without it a process that was not told of a CLI begins
    no batch once a CLI has taken one: what would be told as sent, accounting would never see.

    A run is a task of its own, so that whoever has asked for it may leave.
    """

    delivery: Delivery
    one_run: OneRun
    quantity: Quantity = Quantity.QUANTITY
    by_file: bool = False
    _tasks: set[asyncio.Task[list[Batch]]] = field(default_factory=set)

    async def close(self) -> None:
        """End what runs: a CLI is stopped, and its batch goes on at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def send(self, context: Context, started: Started = _nobody) -> list[Batch]:
        """Bring every unfinished batch to its end, the oldest first, then a new one of all that is in none.

        Return those that were sent, none where there was nothing. Raises ``BatchInProgress``, ``FileNotWritten`` or
        ``CliFailed`` for the first that fails, after which no other is begun, and ``Unavailable``.
        """
        return await self._apart(self._send(context, started))

    async def retry(self, number: int, context: Context, started: Started = _nobody) -> list[Batch]:
        """Bring this batch, which has failed, to its end, and begin no other.

        Raises ``NotFound``, ``RuleViolated`` where it has not failed, ``StaleVersion``, and what ``send`` raises.
        """
        return await self._apart(self._retry(number, context, started))

    async def finish(self, context: Context) -> list[Batch]:
        """Bring those to their end whose run was cut off; return them. Raises what ``send`` raises."""
        return await self._apart(self._finish(context))

    async def cut_off(self) -> list[int]:
        """Return the numbers of batches that are running now, or were when their run was cut off."""
        batches = [await self.delivery.load(number) for number in await self._unfinished()]
        return [batch.batch_id for batch in batches if batch.status is BatchStatus.RUNNING]

    async def cancel(self, number: int, context: Context) -> Done[Aggregate]:
        """Give up this batch, which has failed: its executions go out with the next new one.

        Its file is withdrawn first, where nobody else hands it on. What is remembered under an Idempotency-Key is
        stored in the same append. Raises ``NotFound``, ``RuleViolated`` also where accounting has taken it,
        ``StaleVersion``, ``BatchInProgress``, ``KeyTaken``, ``FileNotWritten``, ``Unavailable``: ``CliStillRunning``
        while a CLI works on it.
        """
        delivery = self.delivery
        folder, now = delivery.folder, delivery.clock()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.one_run.alone())
            batch = await self._known(number, context)
            if batch.by_cli and batch.attempts:
                await stack.enter_async_context(delivery.without_cli())
            batch.cancel(now)
            if batch.by_cli:
                await delivery.refuse_if_taken(batch)
            elif batch.sha256 is not None:
                await folder.withdraw(batch.file_name)
                if await folder.prepared(batch.file_name) is None and await folder.was_prepared(batch.file_name):
                    raise RuleViolated(f"the file {batch.file_name} of batch {number} was taken: it is as good as sent")
            sequence = await self._sequence()
            sequence.take_back(batch, now)
            try:
                done = await delivery.store.record(batch, sequence, context=at_last(context))
            except Conflict as error:
                raise Overtaken(f"batch {number} was changed by another run") from error
            await delivery.tidy(batch)
        return done

    async def _apart(self, run: Coroutine[Any, Any, list[Batch]]) -> list[Batch]:
        """Run it to its end, whether or not somebody still waits for it."""
        task = asyncio.create_task(run, name="batches")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[list[Batch]]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            if isinstance(error, Refused):
                return
            tell = log.warning if isinstance(error, FoliologError) else log.error
            tell("run of batches ended", error=f"{type(error).__name__}: {error}")

    async def _send(self, context: Context, started: Started) -> list[Batch]:
        async with self.one_run.alone() as alone:
            sent = [await self.delivery.deliver(each, alone, context, started) for each in await self._unfinished()]
            number = (await self._sequence()).last
            last = await self.delivery.load(number) if number else None
            if last is not None:
                await self.delivery.tidy(last)
            await alone.check()
            if (batch := await self._start(last, context)) is not None:
                sent.append(await self.delivery.deliver(batch.batch_id, alone, context, started))
            return sent

    async def _retry(self, number: int, context: Context, started: Started) -> list[Batch]:
        async with self.one_run.alone() as alone:
            batch = await self._known(number, context)
            if batch.status is not BatchStatus.FAILED:
                raise RuleViolated(f"batch {number} is {batch.status}: only a FAILED one can be retried")
            return [await self.delivery.deliver(number, alone, context, started)]

    async def _finish(self, context: Context) -> list[Batch]:
        async with self.one_run.alone() as alone:
            return [await self.delivery.deliver(number, alone, context) for number in await self.cut_off()]

    async def _start(self, last: Batch | None, context: Context) -> Batch | None:
        """Begin the next batch with everything that no other has; None where that is nothing.

        Raises ``RuleViolated`` where the CLI that took the last one that was sent is not known here.
        """
        delivery = self.delivery
        head, now = await delivery.log.head(), delivery.clock()
        sequence = await self._sequence()
        there = await count(delivery.log, sequence.next_windows(head))
        if not there:
            return None
        if delivery.cli is None and not self.by_file and (sent := await self._last_sent(last)) and sent.by_cli:
            raise RuleViolated(
                f"batch {sent.batch_id} was taken by the accounting CLI, and CLI_COMMAND is not set in this process: "
                "set it as everywhere else, or to none where the file is the delivery from now on"
            )
        batch = sequence.start(head, count=there, quantity=self.quantity, by_cli=delivery.cli is not None, at=now)
        try:
            await delivery.store.record(batch, sequence, context=in_part(context))
        except Conflict as error:
            raise BatchInProgress(f"batch {batch.batch_id} was begun by another run at the same moment") from error
        log.info("batch begun", batch=batch.batch_id, count=there)
        return batch

    async def _last_sent(self, last: Batch | None) -> Batch | None:
        """Return the last batch that was sent: none is unfinished, so this or the one before those cancelled."""
        while last is not None and last.status is BatchStatus.CANCELLED:
            last = await self.delivery.load(last.batch_id - 1) if last.batch_id > 1 else None
        return last

    async def _unfinished(self) -> list[int]:
        """Return the batches that are to be sent: one at most, for none is begun before the last has ended."""
        return list((await self._sequence()).unfinished)

    async def _sequence(self) -> BatchSequence:
        sequence = await self.delivery.store.load(BatchSequence, BatchSequence.KEY)
        return sequence if sequence is not None else BatchSequence.begin(self.delivery.clock())

    async def _known(self, number: int, context: Context) -> Batch:
        batch = await self.delivery.store.load(Batch, str(number)) if number < _LARGEST else None
        if batch is None:
            raise NotFound("batch not found")
        if context.expected_version not in (None, ANY_VERSION, batch.version):
            raise StaleVersion(batch.id, context.expected_version, batch.version)
        return batch


@dataclass(kw_only=True)
class Recovery:
    """Looks after batches whose run was cut off: at its start, then every ``rest`` seconds.

    It stands back while their run is alive, which holds the place of the one run.
    """

    sending: Sending
    context: Callable[[], Context]
    rest: float = 2.0
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, as a task of its own."""
        self._task = asyncio.create_task(self._run(), name="recovery of batches")

    async def close(self, within: float = 10.0) -> None:
        """End; a CLI that runs is stopped after so many seconds, and its batch goes on at the next start."""
        self._stopping.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=within)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.sending.close()

    async def _run(self) -> None:
        while not self._stopping.is_set():
            rest = self.rest
            try:
                if await self.sending.cut_off():
                    await self.sending.finish(self.context())
            except BatchInProgress:
                pass  # it is not cut off: its run is alive
            except CliStillRunning as error:
                log.warning("a batch that was cut off waits for its CLI", error=str(error))
                rest = self.rest * 10  # so that others who ask are told of it, and not that a run is in progress
            except Unavailable as error:
                log.warning("batches cannot be looked after now", error=str(error))
            except NotDelivered as error:
                log.warning("a batch that was cut off has failed", error=str(error))
            except Exception as error:  # a defect of ours: told, and looked after again
                log.exception("batches are not looked after", error=str(error))
            try:
                async with asyncio.timeout(rest):
                    await self._stopping.wait()
            except TimeoutError:
                continue
