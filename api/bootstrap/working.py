"""What a process needs that works on what has happened: a follower of the log for each policy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Protocol

from api.bootstrap.executing import bookings
from api.bootstrap.reading import Reading, database_url_of, prepared, reading
from api.bootstrap.rebalancing import rebalancing
from api.bootstrap.sending import by_worker, sending
from api.settings import Settings
from read_side.adapters.postgres_work import PostgresWorkSource
from read_side.price_table import PriceTable
from read_side.prices import Prices
from read_side.tail import Tail
from read_side.work import ParkedWork
from write_side.adapters.appender import Appender
from write_side.adapters.postgres_log import connect
from write_side.adapters.postgres_work import PostgresWork, PostgresWorkLeadership
from write_side.batch import Recovery
from write_side.event_store import EventStore
from write_side.follower import Follower
from write_side.policies import Policy, policies
from write_side.rebalance import Runs
from write_side.work import Retries


class Worker(Protocol):
    """Something that works in the background of this process."""

    def start(self) -> None:
        """Begin, as a task of its own."""

    async def close(self, within: float = 10.0) -> None:
        """End; what runs has so many seconds for it."""


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[Sequence[Worker]]:
    """Open a follower for each policy, and what looks after batches.

    They do nothing until they are started, and are closed before this ends.
    """
    async with AsyncExitStack() as stack:
        database_url = database_url_of(settings)
        appender = Appender(connect=lambda: connect(database_url), capacity=settings.command_queue)
        parts = await stack.enter_async_context(reading(settings, appender=appender))
        await appender.start()
        store = EventStore(parts.log, cache_size=settings.aggregate_cache, snapshot_every=settings.snapshot_every)
        stack.push_async_callback(store.close)
        stack.push_async_callback(appender.close)
        await prepared(parts.views)
        table = PriceTable(parts.log, Prices(parts.views, parts.signals), parts.signals)
        appender.committed = table.heard
        await table.start()
        stack.push_async_callback(table.close)

        def begin_anew() -> None:
            """Forget what is remembered of the log: what is behind a new connection may be a restored one."""
            table.forget()
            store.forget()

        appender.reconnected = parts.listener.reconnected = begin_anew
        runs = await stack.enter_async_context(rebalancing(settings, parts, store, table))
        tail = Tail(parts.log)
        leadership = PostgresWorkLeadership(database_url)
        followers = [
            Follower(
                policy=policy,
                pages=tail,
                leadership=leadership,
                wait=parts.signals.wait_for_head,
                renewed=tail.forget,
            )
            for policy in _policies(settings, parts, store, runs)
        ]
        yield [*followers, Recovery(sending=sending(settings, store, parts.log), context=by_worker)]


def retries(settings: Settings, parts: Reading, store: EventStore, runs: Runs) -> Retries:
    """Return what does parked work again in a process that takes commands."""
    by_name = {policy.name: policy for policy in _policies(settings, parts, store, runs)}
    return Retries(policies=by_name, work=PostgresWork(parts.pool.connection), log=parts.log, store=store)


def parked_work(parts: Reading) -> ParkedWork:
    """Return the queries on the work that follows the log."""
    return ParkedWork(PostgresWorkSource(parts.pool.connection), parts.signals)


def _policies(settings: Settings, parts: Reading, store: EventStore, runs: Runs) -> tuple[Policy, ...]:
    return policies(store, clock=lambda: datetime.now(UTC), run=runs.finish_run, bookings=bookings(settings, parts))
