"""A relay to a real Kafka, as a task of a test, and as a process of its own.

That is `python -m tests.projections.relaying_kafka DATABASE_URL BROKERS TOPIC PAGE_SIZE`.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from domain.base import Recorded
from domain.published import recorded_of
from migrations.kafka import make_topic
from projections.relay import Relay
from read_side.adapters.kafka_publisher import KafkaTopic
from read_side.adapters.postgres_leader import PostgresLeadership
from read_side.history import History
from tests.projections.logs import Process, append, deposited, opened, process
from tests.projections.relaying import relaying

PARTITIONS = 3
_batches = itertools.count(1)


def options(brokers: str) -> dict[str, Any]:
    return {"bootstrap_servers": brokers.split(",")}


async def make(brokers: str, topic: str, partitions: int = PARTITIONS) -> None:
    await make_topic(options(brokers), topic, partitions=partitions, replication=-1)


@asynccontextmanager
async def admin(brokers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(**options(brokers))
    try:
        await client.start()
        yield client
    finally:
        await client.close()


def relay_to(one: Process, brokers: str, topic: str, **more: Any) -> AbstractAsyncContextManager[Relay]:
    """Run a relay of this process to the topic while the block lasts."""
    leadership = PostgresLeadership(one.database_url, one.signals)
    place = KafkaTopic(topic, options(brokers), patience=more.pop("patience", 10.0))
    return relaying(one, place, leadership, **{"history": one.history, "slowest": 0.5} | more)


async def reached(one: Process, topic: str, position: int, wait: float = 120) -> None:
    """Return once a relay in this process has saved this position."""
    await one.signals.wait_for(f"relay/{topic}", position, wait)


async def records(brokers: str, topic: str) -> dict[int, list[Any]]:
    """Return what a reader of what is committed sees, by partition, once nothing in the topic is undecided."""
    async with _consumer(brokers, "read_uncommitted") as other, _consumer(brokers, "read_committed") as consumer:
        known = (await consumer._client.fetch_all_metadata()).partitions_for_topic(topic) or ()
        places = [TopicPartition(topic, number) for number in sorted(known)]
        ends, found = await other.end_offsets(places), dict[int, list[Any]]()
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        async with asyncio.timeout(120):
            while [place for place in places if await consumer.position(place) < ends[place]]:
                for place, those in (await consumer.getmany(timeout_ms=50)).items():
                    found.setdefault(place.partition, []).extend(those)
        return found


@asynccontextmanager
async def _consumer(brokers: str, isolation: str) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        **options(brokers), isolation_level=isolation, auto_offset_reset="earliest", enable_auto_commit=False
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def events(brokers: str, topic: str) -> list[Recorded]:
    """Return the events of the topic by position; each key is in one partition and in order there."""
    found: list[Recorded] = []
    places: dict[bytes, int] = {}
    for partition, those in (await records(brokers, topic)).items():
        positions = []
        for record in those:
            assert places.setdefault(record.key, partition) == partition
            found.append(recorded_of(record.value, record.headers))
            positions.append(found[-1].position)
        assert positions == sorted(set(positions)), f"partition {partition} is not in order, or has some twice"
    return sorted(found, key=lambda recorded: recorded.position)


async def all_of(history: History) -> list[Recorded]:
    """Return the whole log."""
    found: list[Recorded] = []
    while page := await history.page(len(found), 2_000):
        found += page
    return found


async def eventually(true: Callable[[], Awaitable[bool]], wait: float = 120) -> None:
    """Return once it is true; raises TimeoutError."""
    async with asyncio.timeout(wait):
        while True:
            if await true():
                return
            await asyncio.sleep(0.05)


async def fill(one: Process, count: int, portfolios: int = 20) -> int:
    """Append so many events, of portfolios that nobody has yet; return the head."""
    batch, events = next(_batches), list[Any]()
    for number in range(count):
        turn, portfolio = divmod(number, portfolios)
        name = f"P{batch}-{portfolio}"
        events.append(deposited(name, turn + 1, "1") if turn else opened(name))
    return await append(one.database_url, *events)


def event(position: int, stream: str = "portfolio/A") -> Recorded:
    change = deposited(stream.partition("/")[2], position + 1, "1")
    return Recorded(position=position, stream=stream, version=position + 1, event=change, recorded_at=change.timestamp)


async def is_whole(one: Process, brokers: str, topic: str) -> None:
    """The topic has the log: each event once, the events of a key in order."""
    assert await events(brokers, topic) == await all_of(one.history)


async def stand(one: Process, topic: str) -> tuple[Any, ...]:
    async with one.pool.connection() as connection:
        cursor = await connection.execute(
            "select position, epoch, tails, state, error from app.checkpoints where view = %s", (f"relay/{topic}",)
        )
        row = await cursor.fetchone()
        return row or (0, None, [], "none", None)


async def stands(one: Process, topic: str, position: int, epoch: UUID) -> bool:
    return (await stand(one, topic))[:2] == (position, epoch)


async def says(one: Process, topic: str, words: str) -> None:
    """Return once the relay says in its row that it stands still, with these words."""

    async def said() -> bool:
        _, _, _, state, error = await stand(one, topic)
        return state == "stopped" and words in (error or "")

    await eventually(said)


async def runs(one: Process, topic: str) -> None:
    """Return once the relay says in its row that it goes on: it does so after it has saved its first page."""

    async def said() -> bool:
        return (await stand(one, topic))[3:] == ("running", None)

    await eventually(said)


async def verified(brokers: str, value: str) -> None:
    """Let the broker refuse records of a transaction that its coordinator has not heard of ("true"), or take them."""
    name, broker = "transaction.partition.verification.enable", (ConfigResourceType.BROKER, "1")

    async with admin(brokers) as client:

        async def taken_up() -> bool:
            [response] = await client.describe_configs([ConfigResource(*broker)])
            return (name, value) in {(entry[0], entry[1]) for entry in response.resources[0][4]}

        await client.alter_configs([ConfigResource(*broker, configs={name: value})])
        await eventually(taken_up)


async def widened(brokers: str, topic: str, partitions: int) -> None:
    """Give the topic so many partitions; return once the broker tells of them."""
    async with admin(brokers) as client:

        async def told() -> bool:
            [found] = [each for each in await client.describe_topics() if each["topic"] == topic]
            return len(found["partitions"]) == partitions

        await client.create_partitions({topic: NewPartitions(partitions)})
        await eventually(told)


async def gone(client: Any, topic: str) -> None:
    async def listed() -> bool:
        return topic not in await client.list_topics()

    await eventually(listed)


async def _main(database_url: str, brokers: str, topic: str, page_size: int) -> None:
    async with process(database_url) as one, relay_to(one, brokers, topic, page_size=page_size):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
