"""A topic of a real Kafka for a test: made, published to by a plain producer, and the group that reads it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from domain.published import Header, Message, message_of
from read_side.adapters.kafka_lag import KafkaLag
from write_side.adapters.kafka_group import KafkaGroup
from write_side.group import History

QUICK = {"session_timeout_ms": 6_000, "heartbeat_interval_ms": 200, "metadata_max_age_ms": 1_000}
"""A group that misses its dead as soon as brokers allow it to."""


@dataclass
class Topic:
    """A topic and one group that reads it."""

    bootstrap_servers: str
    name: str
    partitions: int = 4
    published: int = 0

    @property
    def options(self) -> dict[str, Any]:
        """How its broker is reached."""
        return {"bootstrap_servers": self.bootstrap_servers}

    @property
    def group(self) -> str:
        """The id of its group."""
        return f"{self.name}.mirror"

    def members(self, **settings: Any) -> KafkaGroup:
        """Return its group, as a member joins it."""
        return KafkaGroup(self.options, topic=self.name, group=self.group, **{**QUICK, **settings})

    async def make(self) -> None:
        """Make it."""
        admin = AIOKafkaAdminClient(**self.options)
        try:
            await admin.start()
            await admin.create_topics([NewTopic(self.name, self.partitions, 1)])
        finally:
            await admin.close()

    async def publish(self, history: History, *, epoch: UUID | None = None) -> None:
        """Publish what the log has and the topic has not, in the order of the log."""
        epoch = epoch or await history.epoch()
        page = await history.page(self.published, 10_000)
        await self.send(*(message_of(recorded, epoch) for recorded in page))
        self.published += len(page)

    async def send(self, *messages: Message) -> None:
        """Publish these."""
        async with self.producer() as producer:
            for message in messages:
                await producer.send_and_wait(self.name, message.value, key=message.key, headers=list(message.headers))

    async def put(self, value: bytes | None, headers: Sequence[Header], partition: int = 0) -> None:
        """Put anything into a partition."""
        async with self.producer() as producer:
            await producer.send_and_wait(self.name, value, key=b"key", headers=list(headers), partition=partition)

    @asynccontextmanager
    async def producer(self, **settings: Any) -> AsyncIterator[AIOKafkaProducer]:
        """Have a producer meanwhile."""
        producer = AIOKafkaProducer(**self.options, **settings)
        try:
            await producer.start()
            yield producer
        finally:
            await producer.stop()

    async def until_done(self, seconds: float = 60) -> None:
        """Return once the group has committed all that is in the topic."""
        lag = KafkaLag(self.options, topic=self.name, groups=[self.group])
        try:
            async with asyncio.timeout(seconds):
                while lag.error is not None or lag.lags[self.group]:
                    await lag.measure()
        finally:
            await lag.close()
