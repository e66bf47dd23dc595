"""One batch on its way out: its file, then the accounting CLI, from wherever an earlier attempt has left it.

Before anything that somebody outside can see, the log says that it may happen: that the file gets its name, that the
CLI is started. So what a crash has cut off is told from the log and the folder, and is neither lost nor done twice.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from domain.base import Aggregate
from domain.batch import Batch, BatchSequence, BatchStatus, Stage
from domain.errors import Broken, Unavailable
from write_side.batch.contents import pieces, strangers
from write_side.batch.ports import AccountingCli, Alone, CliFailed, Ended, FileNotWritten, OutputFolder
from write_side.event_store import EventStore
from write_side.log import Conflict, Context, Lookups, in_part

_SOURCE: Final = "AC"
_NAMED: Final = 5

log = structlog.get_logger(__name__)


class Overtaken(Unavailable):
    """Another run has changed the batch meanwhile."""

    code = "overtaken"


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """Delivers batches, one after the other.

    ``cli`` is None where the file alone is the delivery. ``retries`` is how often the CLI is started again in one go,
    ``delay`` the seconds before the first of these, then twice that each time. ``delete_files``: the file of a batch
    without rejected executions is removed once it is sent.
    """

    store: EventStore
    log: Lookups
    folder: OutputFolder
    cli: AccountingCli | None
    clock: Callable[[], datetime]
    retries: int = 3
    delay: float = 0.5
    delete_files: bool = False

    async def load(self, number: int) -> Batch:
        """Return this batch as the log has it now; raises ``Broken`` where it is not there."""
        batch = await self.store.load(Batch, str(number))
        if batch is None:
            raise Broken(f"batch {number} has a number and no events")
        return batch

    async def deliver(self, number: int, alone: Alone, context: Context) -> Batch:
        """Bring the batch to its end; one that has ended is returned as it is.

        Raises ``FileNotWritten`` and ``CliFailed`` when it has failed, which is then recorded, and ``Unavailable``,
        which leaves it as it is.
        """
        async with AsyncExitStack() as stack:
            if self.cli is not None:
                try:
                    await stack.enter_async_context(self.cli.alone())
                except FileNotWritten as error:
                    await self._fail(await self.load(number), Stage.FILE, str(error), None, context)
                    raise
            batch = await self.load(number)
            if not batch.live:
                return batch
            await alone.check()
            cut_off = batch.status is BatchStatus.RUNNING
            await self._publish(batch, context)
            if batch.by_cli:
                await self._hand_over(batch, alone, context, cut_off=cut_off)
            else:
                batch.send(self.clock())
                await self._settle(batch, context)
            await self._tidy(batch)
            return batch

    async def _publish(self, batch: Batch, context: Context) -> None:
        """Let the file stand under its name.

        Where it once was complete, and is neither prepared nor published now, somebody has taken it: that was the
        delivery of a batch without CLI; a CLI is given a copy of what is made anew.
        """
        name = batch.file_name
        try:
            published = await self.folder.published(name)
            if published is not None and published.sha256 == batch.sha256:
                return
            written = await self.folder.prepared(name)
            if written is None and published is None and batch.sha256 is not None and not batch.by_cli:
                return
            if written is None or written.sha256 != batch.sha256:
                written = await self.folder.prepare(name, pieces(self.log, batch.windows, batch.quantity))
            batch.write(written.sha256, written.size, self.clock())
            await self._save(batch, context)
            await self.folder.publish(name)
        except (FileNotWritten, Broken) as error:
            await self._fail(batch, Stage.FILE, str(error), None, context)
            raise FileNotWritten(f"the file {name} of batch {batch.batch_id} cannot be written: {error}") from error

    async def _hand_over(self, batch: Batch, alone: Alone, context: Context, *, cut_off: bool) -> None:
        """Have the CLI take the file, and settle the batch by what it says."""
        cli, number, name = self.cli, batch.batch_id, batch.file_name
        if cli is None:
            await self._fail(batch, Stage.CLI, "CLI_COMMAND is not set, and the batch is for the CLI", None, context)
            raise CliFailed(f"batch {number} is to be delivered by the accounting CLI, and CLI_COMMAND is not set")
        ended = None
        if batch.attempts and (cut_off or batch.stage is Stage.RESULT):
            ended = await cli.kept(number, batch.attempts, name)
        if ended is not None and (ended.failure is None or (cut_off and ended.unreadable)):
            await self._judge(batch, ended, context)
            return
        for again in range(self.retries + 1):
            if again:
                await asyncio.sleep(self.delay * 2 ** (again - 1) * random.uniform(1.0, 1.5))  # noqa: S311
                await alone.check()
            batch.hand_over(self.clock())
            await self._save(batch, context)
            ended = await self._run(cli, batch, context)
            if ended.failure is None or ended.unreadable:
                break
            log.warning("accounting CLI failed", batch=number, attempt=batch.attempts, failure=ended.failure)
        assert ended is not None  # noqa: S101 - there is one attempt at least
        await self._judge(batch, ended, context)

    async def _run(self, cli: AccountingCli, batch: Batch, context: Context) -> Ended:
        try:
            return await cli.run(batch.batch_id, batch.attempts, batch.file_name)
        except FileNotWritten as error:
            await self._fail(batch, Stage.FILE, str(error), None, context)
            raise

    async def _judge(self, batch: Batch, ended: Ended, context: Context) -> None:
        """Settle the batch by how the CLI has ended; raises ``CliFailed`` where that is no good end."""
        failure, stage, rejected = ended.failure, Stage.RESULT if ended.unreadable else Stage.CLI, {}
        if failure is None:
            rejected = {int(source.removeprefix(_SOURCE)): reason for source, reason in ended.rejected.items()}
            if wrong := await strangers(self.log, batch.windows, rejected):
                named = ", ".join(f"{_SOURCE}{each}" for each in wrong[:_NAMED])
                failure, stage = f"the error file names {named}, which the batch does not have", Stage.RESULT
        if failure is not None:
            await self._fail(batch, stage, failure, ended, context)
            raise CliFailed(f"the accounting CLI failed on batch {batch.batch_id}: {failure}")
        by_reason: dict[str, list[int]] = {}
        for execution_id, reason in rejected.items():
            by_reason.setdefault(reason, []).append(execution_id)
        batch.send(self.clock(), rejected=by_reason, exit_code=ended.exit_code, output=ended.output)
        await self._settle(batch, context)

    async def _fail(self, batch: Batch, stage: Stage, reason: str, ended: Ended | None, context: Context) -> None:
        """Record that the batch has failed; what of it was not saved, because the log had moved on, is not."""
        exit_code, output = (None, "") if ended is None else (ended.exit_code, ended.output)
        fresh = await self.load(batch.batch_id)
        if fresh.live:
            fresh.fail(stage, reason, self.clock(), exit_code=exit_code, output=output)
            await self._save(fresh, context)
            log.error("batch failed", batch=batch.batch_id, stage=stage.value, reason=reason)

    async def _settle(self, batch: Batch, context: Context) -> None:
        """Save the end of the batch, and in the same append that the sequence need not wait for it."""
        sequence = await self.store.load(BatchSequence, BatchSequence.KEY)
        if sequence is None:
            raise Broken(f"batch {batch.batch_id} is in no sequence")
        sequence.settle(batch.batch_id, self.clock())
        await self._save(batch, context, sequence)
        log.info("batch sent", batch=batch.batch_id, file=batch.file_name, count=batch.count, status=batch.status.value)

    async def _save(self, batch: Batch, context: Context, *others: Aggregate) -> None:
        if not batch.pending_events:
            return
        try:
            await self.store.record(batch, *others, context=in_part(context))
        except Conflict as error:
            raise Overtaken(f"batch {batch.batch_id} was changed by another run") from error

    async def _tidy(self, batch: Batch) -> None:
        """Remove what a sent batch needs no more; that this fails does not concern the batch."""
        if batch.status is not BatchStatus.SENT:
            return
        try:
            if batch.by_cli and self.cli is not None:
                await self.cli.tidy(batch.batch_id)
            if self.delete_files:
                await self.folder.remove(batch.file_name)
        except FileNotWritten as error:
            log.warning("files of a sent batch are left", batch=batch.batch_id, error=str(error))
