"""How fast the log goes to Kafka, against a bare producer of the same messages, and how soon a command is consumed."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from psycopg_pool import AsyncConnectionPool

from benchmarks.harness import Place, Result, percentile
from domain.base import Event
from domain.published import Message, message_of, origin_of
from migrations.kafka import make_topic
from projections.relay import Relay
from read_side.adapters.kafka_publisher import KafkaTopic
from read_side.adapters.postgres_leader import PostgresLeadership
from read_side.adapters.postgres_signals import Listener
from read_side.signals import Signals
from read_side.tasks import end
from tests.projections.logs import append_rows, deposited, opened, stored
from tests.servers.kafka import Kafka
from write_side.adapters.postgres_log import PostgresLog

EVENTS = 100_000
PORTFOLIOS = 1_000
PARTITIONS = 12
PAGE = 2_000
RATE = 500
SECONDS = 10.0
TOPIC = "foliolog.events"


async def run(place: Place) -> list[Result]:
    """Return events a second from the log to the topic, and the times from a commit to a consumer."""
    with Kafka(place.folder / "kafka") as kafka:
        options: dict[str, Any] = {"bootstrap_servers": [kafka.bootstrap_servers]}
        for topic in (TOPIC, "bare", "warm"):
            await make_topic(options, topic, partitions=PARTITIONS, replication=-1)
        async with _log(place.database_url) as log:
            await _fill(place.database_url)
            messages = await log.messages()
            await _bare(options, "warm", messages[: EVENTS // 5])  # a broker is slow at first
            bare = await _bare(options, "bare", messages)
            async with _relay(log, options) as relay:
                began = time.perf_counter()
                await log.signals.wait_for(relay.name, EVENTS, 600)
                rate = EVENTS / (time.perf_counter() - began)
                latencies = await _latencies(log, options)
    return [
        Result(
            name="relay: log to Kafka, pages of 2,000 in a transaction",
            value=rate,
            unit="events/s",
            baseline=bare,
            ratio=rate / bare,
            target=">= 20,000/s",
            note="baseline: an idempotent producer that sends the same messages, encoded before",
        ),
        Result(
            name=f"relay: commit to consumer, {RATE} commands/s",
            value=percentile(latencies, 0.5),
            unit="ms",
            p50_ms=percentile(latencies, 0.5),
            p99_ms=percentile(latencies, 0.99),
            target="P99 < 100 ms",
            note="from the commit's answer to the record, as a reader of what is committed sees it",
        ),
    ]


@dataclass
class _Log:
    database_url: str
    log: PostgresLog
    signals: Signals

    async def messages(self) -> list[Message]:
        """Return the whole log as it is published."""
        epoch, found = await self.log.epoch(), list[Message]()
        while page := await self.log.page(len(found), PAGE):
            found += [message_of(recorded, epoch) for recorded in page]
        return found


@asynccontextmanager
async def _log(database_url: str) -> AsyncIterator[_Log]:
    signals = Signals()
    listener = Listener(database_url, signals)
    async with AsyncConnectionPool(database_url, min_size=2, max_size=4, kwargs={"autocommit": True}) as pool:
        await listener.start()
        try:
            yield _Log(database_url, PostgresLog(pool), signals)
        finally:
            await listener.close()


@asynccontextmanager
async def _relay(log: _Log, options: dict[str, Any]) -> AsyncIterator[Relay]:
    relay = Relay(
        topic=KafkaTopic(TOPIC, options),
        history=log.log,
        leadership=PostgresLeadership(log.database_url, log.signals),
        signals=log.signals,
        page_size=PAGE,
    )
    task = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        await end(task)


async def _bare(options: dict[str, Any], topic: str, messages: list[Message]) -> float:
    """Send them one by one, as aiokafka is used, and wait for all of a page at a time; return messages a second."""
    producer = AIOKafkaProducer(**options, enable_idempotence=True, acks="all", max_batch_size=1024 * 1024)
    await producer.start()
    try:
        await producer.partitions_for(topic)
        began = time.perf_counter()
        for first in range(0, len(messages), PAGE):
            sent = [
                await producer.send(topic, message.value, message.key, headers=list(message.headers))
                for message in messages[first : first + PAGE]
            ]
            await asyncio.gather(*sent)
        return len(messages) / (time.perf_counter() - began)
    finally:
        await producer.stop()


# --- latency --------------------------------------------------------------------------------------------------------


async def _latencies(log: _Log, options: dict[str, Any]) -> list[float]:
    """Return the seconds from a commit to the record, of commands at a steady rate."""
    consumer = AIOKafkaConsumer(**options, isolation_level="read_committed", enable_auto_commit=False)
    await consumer.start()
    try:
        places = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
        consumer.assign(places)
        await consumer.seek_to_end(*places)
        seen: dict[int, float] = {}
        reading = asyncio.create_task(_read(consumer, seen, await log.log.epoch()))
        committed = await _commands(log.database_url)
        async with asyncio.timeout(60):
            while not committed.keys() <= seen.keys():  # noqa: ASYNC110  (the reader has no event for the last)
                await asyncio.sleep(0.05)
        await end(reading)
        return [seen[position] - at for position, at in committed.items()]
    finally:
        await consumer.stop()


async def _read(consumer: AIOKafkaConsumer, seen: dict[int, float], epoch: UUID) -> None:
    while True:
        for records in (await consumer.getmany(timeout_ms=1000)).values():
            now = time.perf_counter()
            for record in records:
                origin = origin_of(record.headers)
                if origin.epoch == epoch:
                    seen[origin.position] = now


async def _commands(database_url: str) -> dict[int, float]:
    """Append one event after the other at the rate; return when each position was committed."""
    committed: dict[int, float] = {}
    versions: defaultdict[int, int] = defaultdict(int)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        began = time.perf_counter()
        for number in range(int(RATE * SECONDS)):
            await asyncio.sleep(max(0.0, began + number / RATE - time.perf_counter()))
            portfolio = number % PORTFOLIOS
            versions[portfolio] += 1
            event = _event(f"L{portfolio}", versions[portfolio])
            committed[await append_rows(connection, [stored(event)])] = time.perf_counter()
    return committed


# --- the log --------------------------------------------------------------------------------------------------------


async def _fill(database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        events = _events()
        while group := [stored(event) for _, event in zip(range(5_000), events, strict=False)]:
            await append_rows(connection, group)


def _events() -> Iterator[Event]:
    """Yield the events of portfolios that are opened once and then moved in turn."""
    for number in range(EVENTS):
        yield _event(f"R{number % PORTFOLIOS}", number // PORTFOLIOS + 1)


def _event(name: str, version: int) -> Event:
    return opened(name) if version == 1 else deposited(name, version, "1000.25")
