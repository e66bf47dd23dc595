"""What a process needs that sends batches to accounting."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from api.bootstrap.reading import database_url_of, reading
from api.settings import Settings, seconds
from domain.batch import Quantity
from write_side.adapters.accounting_cli import LocalAccountingCli, lock_of
from write_side.adapters.appender import Appender
from write_side.adapters.output_folder import LocalOutputFolder
from write_side.adapters.postgres_log import PostgresLog, connect
from write_side.adapters.postgres_one_run import PostgresOneRun
from write_side.batch import Batches, Delivery, Sending
from write_side.claims import Claims
from write_side.event_store import EventStore
from write_side.log import Context
from write_side.policies import WORKER

_BY_FILE = "none"
"""``CLI_COMMAND`` where the file is to be the delivery although a CLI took the batches before."""


def output_folder(settings: Settings) -> Path:
    """Return the folder of the files of batches."""
    return settings.output_dir if settings.output_dir is not None else settings.data_dir / "files"


def sending(settings: Settings, store: EventStore, log: PostgresLog) -> Sending:
    """Return what sends batches."""
    folder, command = output_folder(settings), settings.cli_command
    by_file = command is not None and command.strip().lower() == _BY_FILE
    cli = None
    if command is not None and not by_file:
        cli = LocalAccountingCli(folder, command, timeout=seconds(settings.cli_timeout))
    delivery = Delivery(
        store=store,
        log=log,
        folder=LocalOutputFolder(folder),
        cli=cli,
        clock=lambda: datetime.now(UTC),
        retries=settings.cli_retries,
        delay=settings.cli_retry_delay_ms / 1000,
        delete_files=settings.delete_files,
        cli_lock=lock_of(folder).held,
    )
    one_run = PostgresOneRun(database_url_of(settings))
    return Sending(delivery=delivery, one_run=one_run, quantity=Quantity(settings.csv_quantity), by_file=by_file)


def batches(settings: Settings, store: EventStore, log: PostgresLog) -> Batches:
    """Return the commands on batches."""
    return Batches(sending=sending(settings, store, log), event_log=log, claims=Claims())


def by_worker() -> Context:
    """Return the context of what is done because nobody else does it."""
    return Context(actor=WORKER, correlation_id=str(uuid4()))


@asynccontextmanager
async def sender(settings: Settings) -> AsyncIterator[Sending]:
    """Open what sends batches on the database that is set, without a server of ours."""
    async with AsyncExitStack() as stack:
        database_url = database_url_of(settings)
        appender = Appender(connect=lambda: connect(database_url), capacity=settings.command_queue)
        parts = await stack.enter_async_context(reading(settings, appender=appender))
        await appender.start()
        store = EventStore(parts.log, cache_size=0, snapshot_every=settings.snapshot_every)
        stack.push_async_callback(store.close)
        stack.push_async_callback(appender.close)
        found = sending(settings, store, parts.log)
        stack.push_async_callback(found.close)
        yield found
