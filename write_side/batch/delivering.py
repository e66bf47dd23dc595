"""One batch on its way out: its file, then the accounting CLI, from wherever an earlier attempt has left it.

Before anything that somebody outside can see, the log says that it may happen: that the file gets its name, that the
CLI is started. So what a crash has cut off is told from the log and the folder, and is neither lost nor done twice.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

import structlog

from domain.base import Aggregate
from domain.batch import Batch, BatchSequence, BatchStatus, Stage
from domain.errors import Broken, RuleViolated, Unavailable
from write_side.batch.contents import pieces, strangers
from write_side.batch.ports import AccountingCli, Alone, CliFailed, Ended, FileNotWritten, OutputFolder
from write_side.event_store import EventStore
from write_side.log import Conflict, Context, Lookups, in_part

_SOURCE: Final = "AC"
_NAMED: Final = 5
LONGEST_PAUSE: Final = 60.0
"""Seconds between two runs of the CLI at most, before chance adds to them; more where the first pause is longer."""

log = structlog.get_logger(__name__)


class _Verdict(NamedTuple):
    """What follows from the end of the CLI: why it is no good one, or the ids that it has rejected, by reason."""

    failure: str | None
    unreadable: bool
    rejected: dict[str, list[int]]


class _Kept(NamedTuple):
    """An end of the CLI that settles the batch without another run, and what follows from it."""

    ended: Ended
    verdict: _Verdict


class Overtaken(Unavailable):
    """Another run has changed the batch meanwhile."""

    code = "overtaken"


def pause(first: float, again: int) -> float:
    """Return the seconds before the CLI runs for the ``again``-th time more: twice as many each time, to a limit."""
    return min(first * 2.0 ** (again - 1), max(first, LONGEST_PAUSE))


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """Delivers batches, one after the other.

    ``cli`` is None where the file alone is the delivery, and then ``cli_lock`` holds the lock of a CLI that another
    process may have started. ``retries`` is how often the CLI is started again in one go, ``delay`` the seconds before
    the first of these, then as ``pause`` says. ``delete_files``: the file is removed once the CLI has taken it without
    rejecting anything.
    """

    store: EventStore
    log: Lookups
    folder: OutputFolder
    cli: AccountingCli | None
    clock: Callable[[], datetime]
    retries: int = 3
    delay: float = 0.5
    delete_files: bool = False
    cli_lock: Callable[[], AbstractAsyncContextManager[None]] = nullcontext

    def without_cli(self) -> AbstractAsyncContextManager[None]:
        """Hold the lock of the CLI: while it is held none runs; raises ``CliStillRunning``, ``FileNotWritten``."""
        return self.cli.alone() if self.cli is not None else self.cli_lock()

    async def load(self, number: int) -> Batch:
        """Return this batch as the log has it now; raises ``Broken`` where it is not there."""
        batch = await self.store.load(Batch, str(number))
        if batch is None:
            raise Broken(f"batch {number} has a number and no events")
        return batch

    async def deliver(
        self, number: int, alone: Alone, context: Context, started: Callable[[Batch], None] = lambda batch: None
    ) -> Batch:
        """Bring the batch to its end; one that has ended is returned as it is. ``started`` hears of it under way.

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
            unreadable = batch.stage is Stage.RESULT
            if batch.status is BatchStatus.FAILED:
                batch.try_again(self.clock())
                await self._save(batch, context)
            started(batch)
            if not batch.by_cli:
                await self._publish(batch, alone, context)
                batch.send(self.clock())
                await self._settle(batch, context)
            else:
                cli = await self._cli_for(batch, context)
                if not await self._ended_before(cli, batch, context, unreadable=unreadable):
                    await self._publish(batch, alone, context)
                    await self._hand_over(cli, batch, alone, context)
            await self.tidy(batch)
            return batch

    async def _publish(self, batch: Batch, alone: Alone, context: Context) -> None:
        """Let the file stand under its name.

        Where it once was complete in this folder, and is neither prepared nor published now, somebody has taken it:
        that was the delivery of a batch without CLI; a CLI is given a copy of what is made anew.
        """
        name = batch.file_name
        try:
            published = await self.folder.published(name)
            if published is not None and published.sha256 == batch.sha256:
                return
            written = await self.folder.prepared(name)
            if written is None and published is None and batch.sha256 is not None and not batch.by_cli:
                if await self.folder.was_prepared(name):
                    return
                raise FileNotWritten("it was prepared in another folder than this, or this one was emptied since")
            if written is None or written.sha256 != batch.sha256:
                written = await self.folder.prepare(name, pieces(self.log, batch.windows, batch.quantity))
                await alone.check()
            batch.write(written.sha256, written.size, self.clock())
            await self._save(batch, context)
            await self.folder.publish(name)
        except (FileNotWritten, Broken) as error:
            await self._fail(batch, Stage.FILE, str(error), None, context)
            raise FileNotWritten(f"the file {name} of batch {batch.batch_id} cannot be written: {error}") from error

    async def _cli_for(self, batch: Batch, context: Context) -> AccountingCli:
        """Return the CLI that is to take the batch; raises ``CliFailed`` in a process that was not told of one."""
        if self.cli is None:
            await self._fail(batch, Stage.CLI, "CLI_COMMAND is not set, and the batch is for the CLI", None, context)
            raise CliFailed(
                f"batch {batch.batch_id} is to be delivered by the accounting CLI, and CLI_COMMAND is not set"
            )
        return self.cli

    async def _ended_before(self, cli: AccountingCli, batch: Batch, context: Context, *, unreadable: bool) -> bool:
        """Settle the batch by an end of the CLI that nobody has noted, or could read; False where it has to run.

        What could not be read before is read once more: somebody may have mended it. Else the CLI runs again.
        """
        try:
            kept = await self._kept(cli, batch, unreadable=unreadable)
        except FileNotWritten as error:
            await self._fail(batch, Stage.FILE, str(error), None, context)
            raise
        if kept is None:
            return False
        await self._conclude(batch, kept.ended, kept.verdict, context)
        return True

    async def _kept(self, cli: AccountingCli, batch: Batch, *, unreadable: bool) -> _Kept | None:
        """Return the end that settles the batch without another run; None where there is none."""
        if not (batch.untold or unreadable):
            return None
        ended = await cli.kept(batch.batch_id, batch.attempts, batch.file_name)
        if ended is None:
            return None
        verdict = await self._judged(batch, ended)
        if verdict.failure is not None and (not batch.untold or not verdict.unreadable):
            return None
        return _Kept(ended, verdict)

    async def refuse_if_taken(self, batch: Batch) -> None:
        """Return where the CLI has not taken this batch, as far as can be told while its lock is held.

        Raises ``RuleViolated`` where a retry would settle it without another run, or where that cannot be told in a
        process that was not told of the CLI, and ``FileNotWritten``.
        """
        if self.cli is not None:
            if await self._kept(self.cli, batch, unreadable=batch.stage is Stage.RESULT) is not None:
                raise RuleViolated(
                    f"batch {batch.batch_id} was taken by the accounting CLI, which nobody has noted yet: retry it, "
                    "that settles it without another run"
                )
        elif batch.untold:
            raise RuleViolated(
                f"the accounting CLI was started on batch {batch.batch_id} and nobody has noted how it ended: it may "
                "have taken the batch. CLI_COMMAND is not set in this process: retry or cancel it where it is set"
            )

    async def _hand_over(self, cli: AccountingCli, batch: Batch, alone: Alone, context: Context) -> None:
        """Have the CLI take the file, again where it fails, and settle the batch by how it has ended."""
        for again in range(self.retries + 1):
            if again:
                await asyncio.sleep(pause(self.delay, again) * random.uniform(1.0, 1.5))  # noqa: S311  (nothing is guarded by it)
            await alone.check()
            batch.hand_over(self.clock())
            await self._save(batch, context)
            ended = await self._run(cli, batch, context)
            verdict = await self._judged(batch, ended)
            if verdict.failure is None or verdict.unreadable or again == self.retries:
                await self._conclude(batch, ended, verdict, context)
                return
            log.warning("accounting CLI failed", batch=batch.batch_id, attempt=batch.attempts, failure=verdict.failure)

    async def _run(self, cli: AccountingCli, batch: Batch, context: Context) -> Ended:
        try:
            return await cli.run(batch.batch_id, batch.attempts, batch.file_name)
        except FileNotWritten as error:
            await self._fail(batch, Stage.FILE, str(error), None, context)
            raise

    async def _judged(self, batch: Batch, ended: Ended) -> _Verdict:
        """Return what follows from the end of the CLI: why it is no good one, or what it has rejected."""
        if ended.failure is not None:
            return _Verdict(ended.failure, ended.unreadable, {})
        rejected = {int(source.removeprefix(_SOURCE)): reason for source, reason in ended.rejected.items()}
        if wrong := await strangers(self.log, batch.windows, rejected):
            named = ", ".join(f"{_SOURCE}{each}" for each in wrong[:_NAMED])
            return _Verdict(f"the error file names {named}, which the batch does not have", True, {})
        by_reason: dict[str, list[int]] = {}
        for execution_id, reason in rejected.items():
            by_reason.setdefault(reason, []).append(execution_id)
        return _Verdict(None, False, by_reason)

    async def _conclude(self, batch: Batch, ended: Ended, verdict: _Verdict, context: Context) -> None:
        """Settle the batch; raises ``CliFailed`` where the CLI has come to no good end."""
        if verdict.failure is not None:
            stage = Stage.RESULT if verdict.unreadable else Stage.CLI
            await self._fail(batch, stage, verdict.failure, ended, context)
            raise CliFailed(f"the accounting CLI failed on batch {batch.batch_id}: {verdict.failure}")
        batch.send(self.clock(), rejected=verdict.rejected, exit_code=ended.exit_code, output=ended.output)
        await self._settle(batch, context)

    async def _fail(self, batch: Batch, stage: Stage, reason: str, ended: Ended | None, context: Context) -> None:
        """Record that the batch has failed; what of it was not saved, because the log had moved on, is not."""
        exit_code, output = (None, "") if ended is None else (ended.exit_code, ended.output)
        fresh = await self.load(batch.batch_id)
        if fresh.live:
            fresh.fail(stage, reason, self.clock(), ended=ended is not None, exit_code=exit_code, output=output)
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

    async def tidy(self, batch: Batch) -> None:
        """Remove what a batch needs no more once it has ended; that this fails does not concern the batch.

        Where it was not done, because the process died, the next run does it.
        """
        if batch.live:
            return
        try:
            await self.folder.forget(batch.file_name)
            if batch.status is BatchStatus.CANCELLED:
                await self.folder.remove(batch.file_name)
            if batch.by_cli and batch.status is BatchStatus.SENT:
                if self.cli is not None:
                    await self.cli.tidy(batch.batch_id)
                if self.delete_files:
                    await self.folder.remove(batch.file_name)
        except FileNotWritten as error:
            log.warning("files of a batch are left", batch=batch.batch_id, error=str(error))
