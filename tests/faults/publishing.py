"""What a reader of the topic gets, and what it ought to be by the log: every event once, those of a key in order."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from aiokafka import AIOKafkaConsumer, TopicPartition

from domain.published import key_of, origin_of

LONG: Final = 120
"""Seconds after which what should come is taken not to come."""


@dataclass(frozen=True)
class Published:
    """One record as it was read."""

    partition: int
    offset: int
    source: str
    position: int
    key: bytes
    value: bytes
    kind: str
    stream: str


async def published(servers: str, topic: str, position: int = 0) -> list[Published]:
    """Return all records of a topic that are not of a transaction under way, once there is one of this position.

    Records of a partition are in their order.
    """
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, isolation_level="read_committed", enable_auto_commit=False)
    found: list[Published] = []
    async with asyncio.timeout(LONG), consumer:
        partitions = [TopicPartition(topic, number) for number in await _partitions(consumer, topic)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        while True:
            got = await consumer.getmany(timeout_ms=200)
            found += [_read(record) for records in got.values() for record in records]
            ends = await consumer.end_offsets(partitions)
            at_end = [await consumer.position(each) >= ends[each] for each in partitions]
            if all(at_end) and position <= max((each.position for each in found), default=0):
                return found


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    while True:
        await consumer._client.force_metadata_update()
        if found := consumer.partitions_for_topic(topic):
            return set(found)


def _read(record: Any) -> Published:
    headers = dict(record.headers)
    origin = origin_of(record.headers)
    return Published(
        record.partition,
        record.offset,
        str(origin.epoch),
        origin.position,
        record.key,
        record.value,
        headers["ce_type"].decode(),
        headers["ce_subject"].decode(),
    )


async def published_once(database_url: str, servers: str, topic: str) -> None:
    """Check that the topic holds the whole log: every event once, and those of a key in one partition, in order."""
    log, epoch = await recorded(database_url)
    found = await published(servers, topic, len(log))
    assert {each.source for each in found} <= {epoch}
    assert sorted(each.position for each in found) == list(range(1, len(log) + 1))
    by_key: dict[bytes, list[Published]] = defaultdict(list)
    for each in found:
        stream, kind, state = log[each.position - 1]
        assert (each.stream, each.kind, each.value) == (stream, kind, state)
        assert each.key == key_of(stream).encode()
        by_key[each.key].append(each)
    for key, records in by_key.items():
        assert len({each.partition for each in records}) == 1, key
        in_order = [each.position for each in sorted(records, key=lambda each: each.offset)]
        assert in_order == sorted(in_order), key


async def recorded(database_url: str) -> tuple[list[tuple[str, str, bytes]], str]:
    """Return stream, topic and state of every event, in the order of the log, and the log's epoch."""
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        query = "select originator_id, topic, state from es.stored_events order by notification_id"
        rows = await (await connection.execute(query)).fetchall()
        epoch = await (await connection.execute("select epoch from app.log")).fetchone()
    assert epoch is not None
    return [(str(stream), str(topic), bytes(state)) for stream, topic, state in rows], str(epoch[0])
