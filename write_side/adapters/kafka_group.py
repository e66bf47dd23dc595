"""A group whose members share the partitions of a Kafka topic: the port ``write_side.group.Group``, by aiokafka.

What is known of aiokafka 0.14 stands where it matters. It has no cooperative protocol: at every change of the group all
partitions of all members are taken away and given out anew. Its auto commit is off; the offsets of a group are only
what ``commit`` is told.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import KafkaError

from write_side.group import Away, Delivery, Share

_MOST: Final = 500
"""Records that are delivered at once at most."""
_START: Final = 20.0
_COMMIT: Final = 5.0
_LEAVE: Final = 5.0
_POSITION: Final = 0.1
"""Seconds for each, then the brokers count as away."""
_SETTINGS: Final[Mapping[str, Any]] = {
    "isolation_level": "read_committed",
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",
    "session_timeout_ms": 10_000,  # a member that dies is missed after this
    "heartbeat_interval_ms": 1_000,  # a member that lives hears of a change of the group after this at the latest
    "rebalance_timeout_ms": 60_000,  # so long it may take to give its partitions up
    "request_timeout_ms": 30_000,
    "metadata_max_age_ms": 30_000,  # partitions that are added, and a topic that is made later, are found after this
}

log = structlog.get_logger(__name__)


class KafkaGroup:
    """The members of ``group`` share the partitions of ``topic``; ``options`` say how its brokers are reached.

    ``settings`` are arguments of ``AIOKafkaConsumer`` that are to be others than ours.
    """

    def __init__(self, options: Mapping[str, Any], *, topic: str, group: str, **settings: Any) -> None:
        self._topic = topic
        self._arguments = {**options, **_SETTINGS, "group_id": group, **settings}

    @asynccontextmanager
    async def join(self, share: Share) -> AsyncIterator[KafkaMember]:
        """Take part meanwhile. Raises ``Away``."""
        consumer = AIOKafkaConsumer(**self._arguments)
        try:
            with _away("Kafka cannot be reached"):
                async with asyncio.timeout(_START):
                    await consumer.start()
            member = KafkaMember(consumer, self._topic, share)
            # By a pattern: to ask for the topic by its name would make it, where brokers make what they are asked for.
            consumer.subscribe(pattern=f"{re.escape(self._topic)}$", listener=_Listener(member))
            yield member
        finally:
            await _leave(consumer)


class KafkaMember:
    """One consumer of the group: the port ``write_side.group.Member``."""

    def __init__(self, consumer: AIOKafkaConsumer, topic: str, share: Share) -> None:
        self._consumer = consumer
        self._topic = topic
        self._share = share
        self._given: set[int] = set()
        self._failure: Exception | None = None

    async def poll(self, within: float) -> None:
        if self._failure is not None:
            raise self._failure
        with _away("no records from Kafka"):
            # Cancelled or failed, it counts as polling for ever after: such a consumer is closed and made anew.
            found = await self._consumer.getmany(timeout_ms=round(within * 1000), max_records=_MOST)
        # From here to the deliveries nothing is awaited: a partition is ours as long as aiokafka gives its records out.
        for partition, records in found.items():
            self._given.add(partition.partition)
            self._share.deliver(
                [
                    Delivery(
                        record.partition,
                        record.offset,
                        record.value,
                        [(name, value or b"") for name, value in record.headers],
                    )
                    for record in records
                ]
            )
        await self._tell_positions()

    async def _tell_positions(self) -> None:
        """Tell how far each partition was read: behind its last record stand markers of transactions."""
        for partition in sorted(self._given):
            with suppress(KafkaError, TimeoutError):  # it was taken away, or its place is being asked for
                async with asyncio.timeout(_POSITION):
                    position = await self._consumer.position(TopicPartition(self._topic, partition))
                self._share.passed(partition, position)

    def hold(self, partition: int) -> None:
        # What aiokafka has read ahead of it is dropped and read again later.
        with suppress(KafkaError):  # it was taken away this moment
            self._consumer.pause(TopicPartition(self._topic, partition))

    def go_on(self, partition: int) -> None:
        with suppress(KafkaError):
            self._consumer.resume(TopicPartition(self._topic, partition))

    def rewind(self, partition: int, offset: int) -> None:
        with suppress(KafkaError):
            self._consumer.seek(TopicPartition(self._topic, partition), offset)

    async def commit(self, offsets: Mapping[int, int]) -> None:
        wanted = {TopicPartition(self._topic, partition): offset for partition, offset in offsets.items()}
        with _away("offsets were not committed"):
            async with asyncio.timeout(_COMMIT):  # aiokafka tries for ever
                await self._consumer.commit(wanted)

    async def given(self, partitions: Collection[int]) -> None:
        """Hear of the partitions that are ours from now on."""
        log.info("partitions are given", topic=self._topic, partitions=sorted(partitions))

    async def taken_away(self, partitions: Collection[int]) -> None:
        """End the work on these partitions and commit what is done; heartbeats go on meanwhile."""
        self._given.difference_update(partitions)
        if not partitions:
            return
        try:
            offsets = await self._share.give_up(partitions)
            if offsets:
                await self.commit(offsets)
        except Away as error:
            log.warning("not committed, it may come again", topic=self._topic, error=str(error))
        except Exception as error:  # aiokafka would go on
            self._report(error)
        log.info("partitions are taken away", topic=self._topic, partitions=sorted(partitions))

    def _report(self, error: Exception) -> None:
        """Let the next poll raise it."""
        self._failure = error


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    def __init__(self, member: KafkaMember) -> None:
        self._member = member

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        await self._member.taken_away([each.partition for each in revoked])

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        await self._member.given([each.partition for each in assigned])


@contextmanager
def _away(what: str) -> Iterator[None]:
    try:
        yield
    except (KafkaError, TimeoutError) as error:
        raise Away(f"{what}: {type(error).__name__}: {error}") from error


async def _leave(consumer: AIOKafkaConsumer) -> None:
    """Leave the group and close the connections, whether the brokers answer or not."""
    leaving = asyncio.ensure_future(consumer.stop())
    try:
        await asyncio.wait([leaving], timeout=_LEAVE)
    finally:
        if not leaving.done():
            # Without connections all that it waits for fails at once; aiokafka has no other way to that.
            await consumer._client.close()
            await asyncio.wait([leaving], timeout=_LEAVE)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
