"""How far consumer groups are behind the end of a Kafka topic, and whether its brokers answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

_LIMIT = 5.0
"""Seconds that the brokers may take for all questions of a measurement."""

log = structlog.get_logger(__name__)


class KafkaLag:
    """Measures the groups that read a topic; ``options`` say how its brokers are reached.

    ``lags`` are the last figures by group, ``error`` why they are not of now, None where they are. The lag of a group
    is how many offsets are between what it has committed and the end of what is committed of each partition: records,
    and one marker for every transaction that wrote into the partition.
    """

    def __init__(self, options: Mapping[str, Any], *, topic: str, groups: Sequence[str]) -> None:
        self.lags: dict[str, int] = {}
        self.error: str | None = "not measured yet"
        self._options = {**options, "request_timeout_ms": round(_LIMIT * 1000)}
        self._topic = topic
        self._groups = groups
        self._admin: AIOKafkaAdminClient | None = None
        self._consumer: AIOKafkaConsumer | None = None

    async def measure(self) -> None:
        """Ask the brokers; where they do not answer, say so and keep the last figures. Never raises."""
        before = self.error
        try:
            async with asyncio.timeout(_LIMIT):
                self.lags = await self._ask()
            self.error = None
        except Exception as error:  # aiokafka's errors are of many kinds; whatever it is, it is told by ``error``
            self._report(error)
            await self.close()
        if self.error != before and before is None:
            log.warning("Kafka does not answer", topic=self._topic, error=self.error)
        elif self.error is None and before is not None:
            log.info("Kafka answers", topic=self._topic)

    def _report(self, error: Exception) -> None:
        self.error = f"{type(error).__name__}: {error}"

    async def close(self) -> None:
        """Close the connections; the next measurement makes new ones."""
        admin, consumer, self._admin, self._consumer = self._admin, self._consumer, None, None
        if admin is not None:
            await admin.close()
        if consumer is not None:
            await consumer.stop()

    async def _ask(self) -> dict[str, int]:
        if self._admin is None or self._consumer is None:
            self._admin = AIOKafkaAdminClient(**self._options)
            self._consumer = AIOKafkaConsumer(**self._options, isolation_level="read_committed")
            await self._admin.start()
            await self._consumer.start()
        # To ask for the topic by its name would make it, where brokers make what they are asked for.
        described = [each for each in await self._admin.describe_topics() if each["topic"] == self._topic]
        partitions = [
            TopicPartition(self._topic, each["partition"]) for topic in described for each in topic["partitions"]
        ]
        if not partitions:
            raise KafkaError(f"there is no topic {self._topic}: run `./run migrate`")
        first = await self._consumer.beginning_offsets(partitions)
        ends = await self._consumer.end_offsets(partitions)
        lags = {}
        for group in self._groups:
            offsets = await self._admin.list_consumer_group_offsets(group)
            done = {each: offsets[each].offset for each in partitions if each in offsets and offsets[each].offset >= 0}
            lags[group] = sum(max(0, ends[each] - max(first[each], done.get(each, 0))) for each in partitions)
        return lags
