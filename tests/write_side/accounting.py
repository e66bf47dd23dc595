"""Processes that send batches, and die where they are told to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from domain.base import Aggregate
from domain.batch import HEADER, Batch, BatchStatus, Quantity
from tests.api.outside import WELL, ScriptedCli
from tests.domain.executions import NOW, recorded
from tests.write_side.stores import Store, by, event_store
from write_side.adapters.output_folder import LocalOutputFolder
from write_side.adapters.postgres_log import PostgresLog
from write_side.adapters.postgres_one_run import PostgresOneRun
from write_side.batch.delivering import Delivery
from write_side.batch.ports import AccountingCli, CliFailed, Ended, Written
from write_side.batch.sending import Sending
from write_side.event_store import Done, EventStore
from write_side.log import Context


class Died(BaseException):
    """The process is dead: nothing in it can catch that and go on."""


@dataclass
class Steps:
    """Counts what can be seen from outside, and dies before the step that it is told."""

    die_before: int = 0
    taken: list[str] = field(default_factory=list)

    def take(self, name: str) -> None:
        self.taken.append(name)
        if len(self.taken) == self.die_before:
            raise Died(name)


class MortalStore(EventStore):
    """An event store whose process may die before and after each append."""

    def __init__(self, log: PostgresLog, steps: Steps) -> None:
        super().__init__(log)
        self._steps = steps

    async def record(self, *aggregates: Aggregate, context: Context) -> Done[Aggregate]:
        kinds = "+".join(type(event).__name__ for each in aggregates for event in each.pending_events)
        self._steps.take(f"before {kinds}")
        done = await super().record(*aggregates, context=context)
        self._steps.take(f"after {kinds}")
        return done


class MortalFolder(LocalOutputFolder):
    """A folder of files whose process may die around each change; ``consume`` is done by whoever finds a file."""

    def __init__(self, folder: Path, steps: Steps, consume: Callable[[Path], None]) -> None:
        super().__init__(folder)
        self._path, self._steps, self._consume = folder, steps, consume

    async def prepare(self, file_name: str, pieces: AsyncIterator[bytes]) -> Written:
        self._steps.take("before prepare")
        written = await super().prepare(file_name, pieces)
        self._steps.take("after prepare")
        return written

    async def publish(self, file_name: str) -> None:
        self._steps.take("before publish")
        await super().publish(file_name)
        self._consume(self._path / file_name)
        self._steps.take("after publish")


@dataclass
class Desk:
    """One process that sends batches."""

    one: Store
    store: EventStore
    sending: Sending

    async def record(self, first: int, number: int, portfolio_id: str = "ACC-1") -> list[int]:
        """Record so many executions and return their ids."""
        executions = [recorded(portfolio_id, execution_service_id=first + index) for index in range(number)]
        done = await self.one.store.record(*executions, context=by())
        return list(range(done.position - number + 1, done.position + 1))


@asynccontextmanager
async def desk(
    database_url: str,
    folder: Path,
    cli: AccountingCli | None,
    *,
    steps: Steps | None = None,
    consume: Callable[[Path], None] = lambda path: None,
    **options: Any,
) -> AsyncIterator[Desk]:
    """Run a process that sends batches into this folder; it dies before the step that ``steps`` says."""
    steps = steps or Steps()
    quantity, by_file = options.pop("quantity", Quantity.QUANTITY), options.pop("by_file", False)
    if isinstance(cli, ScriptedCli):
        cli.step = steps.take
    async with event_store(database_url) as one:
        store = MortalStore(one.log, steps)
        delivery = Delivery(
            store=store,
            log=one.log,
            folder=MortalFolder(folder, steps, consume),
            cli=cli,
            clock=lambda: NOW,
            delay=0,
            **options,
        )
        sending = Sending(delivery=delivery, one_run=PostgresOneRun(database_url), quantity=quantity, by_file=by_file)
        try:
            yield Desk(one, store, sending)
        finally:
            await sending.close()


def rows(content: bytes) -> list[int]:
    """Return the ids of executions in a file."""
    lines = content.decode().splitlines(keepends=True)
    assert lines[0] == HEADER
    assert all(line.endswith("\n") for line in lines)
    return [int(line.split(",")[2].removeprefix("AC")) for line in lines[1:]]


def files_in(folder: Path) -> list[str]:
    """Return the names of the files that others see in the folder."""
    return sorted(path.name for path in folder.glob("[!.]*"))


async def load(one: Desk, number: int) -> Batch:
    """Return this batch as the log has it."""
    batch = await one.store.load(Batch, str(number))
    assert batch is not None
    return batch


async def cut_off(database_url: str, folder: Path, cli: ScriptedCli, end: Ended | None) -> None:
    """Have a batch that is FAILED, and of whose CLI nobody has noted how it ended; None: it has kept no end."""
    cli.ends = [end or WELL]
    async with desk(database_url, folder, cli, steps=Steps(14 if end else 12)) as one:
        await one.record(1, 2)
        with pytest.raises(Died):
            await one.sending.send(by())
    async with desk(database_url, folder, None) as one:  # a process that was not told of the CLI
        with pytest.raises(CliFailed, match="CLI_COMMAND is not set"):
            await one.sending.finish(by())
        assert (await load(one, 1)).status is BatchStatus.FAILED
