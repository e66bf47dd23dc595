"""What a process needs that works on what has happened: for each policy a follower of the log, or of what Kafka has."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from api.bootstrap.executing import bookings
from api.bootstrap.kafka import client_options
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
from write_side.group_follower import GroupFollower
from write_side.policies import RELAYED, Policy, policies
from write_side.rebalance import Runs
from write_side.work import Retries

if TYPE_CHECKING:
    from read_side.adapters.kafka_lag import KafkaLag


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
        followers = _followers(settings, parts, _policies(settings, parts, store, runs))
        yield [*followers, Recovery(sending=sending(settings, store, parts.log), context=by_worker)]


def retries(settings: Settings, parts: Reading, store: EventStore, runs: Runs) -> Retries:
    """Return what does parked work again in a process that takes commands."""
    by_name = {policy.name: policy for policy in _policies(settings, parts, store, runs)}
    return Retries(policies=by_name, work=PostgresWork(parts.pool.connection), log=parts.log, store=store)


def parked_work(parts: Reading, elsewhere: Collection[str] = ()) -> ParkedWork:
    """Return the queries on the work that follows the log; ``elsewhere`` are the policies that ``consumed`` tells."""
    return ParkedWork(PostgresWorkSource(parts.pool.connection), parts.signals, elsewhere=elsewhere)


def consumed(settings: Settings) -> frozenset[str]:
    """Return the policies that consumer groups work for: those that can be, where the log is published to Kafka."""
    return frozenset() if settings.kafka_bootstrap_servers is None else RELAYED


def group_of(settings: Settings, policy: str) -> str:
    """Return the id of the consumer group that works for this policy."""
    return f"{settings.kafka_topic}.{policy}"


def consumer_lag(settings: Settings) -> KafkaLag | None:
    """Return what measures how far our consumer groups are; None without Kafka."""
    if settings.kafka_bootstrap_servers is None:
        return None
    from read_side.adapters.kafka_lag import KafkaLag  # here and below: it takes long to load, and not all have Kafka

    groups = sorted(group_of(settings, policy) for policy in consumed(settings))
    return KafkaLag(client_options(settings), topic=settings.kafka_topic, groups=groups)


def _followers(settings: Settings, parts: Reading, chosen: Sequence[Policy]) -> list[Worker]:
    """Return what works for each policy: a follower of the log, or a member of its consumer group."""
    tail, elsewhere = Tail(parts.log), consumed(settings)
    leadership = PostgresWorkLeadership(parts.database_url)
    followers: list[Worker] = []
    for policy in chosen:
        if policy.name in elsewhere:
            from write_side.adapters.kafka_group import KafkaGroup

            group = KafkaGroup(
                client_options(settings), topic=settings.kafka_topic, group=group_of(settings, policy.name)
            )
            work = PostgresWork(parts.pool.connection)
            followers.append(GroupFollower(policy=policy, group=group, work=work, history=parts.log))
            continue
        followers.append(
            Follower(
                policy=policy,
                pages=tail,
                leadership=leadership,
                wait=parts.signals.wait_for_head,
                renewed=tail.forget,
            )
        )
    return followers


def _policies(settings: Settings, parts: Reading, store: EventStore, runs: Runs) -> tuple[Policy, ...]:
    return policies(store, clock=lambda: datetime.now(UTC), run=runs.finish_run, bookings=bookings(settings, parts))
