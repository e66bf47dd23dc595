"""The topic in Kafka: one producer at a time, one transaction for each page of messages."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import lru_cache
from itertools import chain
from typing import Any
from uuid import UUID

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2
from aiokafka.structs import RecordMetadata

from domain.errors import Unavailable
from domain.published import Message
from read_side.adapters.kafka_tails import tails_of
from read_side.publishing import Part
from read_side.tasks import end

log = structlog.get_logger(__name__)

_LARGEST = 16 * 1024 * 1024
"""Bytes that a record may have: an event has 8 MiB at most."""
_BATCH = 1024 * 1024
"""Bytes of records that are sent together to a partition, unless one record has more."""
_FENCE = 15_000
"""Milliseconds after which the broker gives up a transaction: so long may a dead leader hold up readers."""
_CLOSE = 3.0
"""Seconds that a producer may take to end in good order."""


class KafkaTopic:
    """The port ``read_side.publishing.Topic``; ``options`` are what aiokafka's clients are made with.

    ``patience`` is how many seconds Kafka may take for anything: aiokafka itself would try for ever.
    """

    def __init__(self, name: str, options: Mapping[str, Any], *, patience: float = 20.0) -> None:
        self._name = name
        self._options = options
        self._patience = patience

    @property
    def name(self) -> str:
        return self._name

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[KafkaPublisher]:
        producer = AIOKafkaProducer(
            **self._options,
            client_id="foliolog-relay",
            transactional_id=f"{self._name}-relay",
            transaction_timeout_ms=_FENCE,
            acks="all",
            max_request_size=_LARGEST,
            max_batch_size=_BATCH,
            metadata_max_age_ms=60_000,
            request_timeout_ms=int(self._patience * 1000 / 2),
        )
        try:
            with _told(self._name):
                async with asyncio.timeout(self._patience):
                    await producer.start()
                    count = await self._partitions(producer)
            yield KafkaPublisher(producer, self._name, count, self._options, self._patience)
        finally:
            await _surely(_close(producer))

    async def _partitions(self, producer: AIOKafkaProducer) -> int:
        """Return how many there are. To ask for the topic by its name would make it, with settings of the broker's."""
        known = (await producer.client.fetch_all_metadata()).partitions_for_topic(self._name)
        if not known:
            raise Unavailable(
                f"Kafka has no topic {self._name}: `migrate` makes it, and so does `serve` when it starts"
            )
        return len(known)


class KafkaPublisher:
    """The port ``read_side.publishing.Publisher``, on a producer that has shut out the one before."""

    def __init__(
        self, producer: AIOKafkaProducer, topic: str, count: int, options: Mapping[str, Any], patience: float
    ) -> None:
        self._producer = producer
        self._topic = topic
        self._options = options
        self._patience = patience
        self._ends = [0] * count
        self.partition_of = lru_cache(65_536)(lambda key: (murmur2(key) & 0x7FFFFFFF) % count)

    async def parts(self, epoch: UUID, tails: Sequence[int]) -> list[Part]:
        with _told(self._topic):
            async with tails_of(self._options, self._topic, len(self._ends), self._patience) as topic:
                if hanging := await topic.undecided():
                    await self._give_up(hanging)
                parts = await topic.parts(epoch, tails)
            self._ends = [part.end for part in parts]
            return parts

    async def _give_up(self, hanging: Sequence[int]) -> None:
        """Give up what this producer, or the one before, has committed in partitions that were never told of it.

        A broker that begins again, and does not know yet that it leads a partition, takes a commit that it still owes
        it for done ("these partitions are likely deleted already"). Its records stay undecided then, and go with the
        next transaction of the producer, behind those that are published again: they go with one that is given up.
        Nobody has read them, and they are missing in what the topic holds.
        """
        log.warning("transactions were left open", topic=self._topic, partitions=hanging)
        async with asyncio.timeout(self._patience):
            await self._producer.begin_transaction()
            for partition in hanging:
                await self._producer.send_and_wait(self._topic, b"", partition=partition)
            await self._producer.abort_transaction()

    async def publish(self, messages: Sequence[tuple[int, Message]]) -> None:
        with _told(self._topic):
            async with asyncio.timeout(self._patience):
                await self._as_many_partitions()
                await self._producer.begin_transaction()
                await self._send(messages)
                await self._producer.commit_transaction()

    async def _as_many_partitions(self) -> None:
        known = await self._producer.partitions_for(self._topic)
        if len(known) != len(self._ends):
            raise Unavailable(f"topic {self._topic} has {len(known)} partitions now, it had {len(self._ends)}")

    async def _send(self, messages: Sequence[tuple[int, Message]]) -> None:
        """Return once all are written, none of them where something else was: a commit does not look at that."""
        by_partition: defaultdict[int, list[Message]] = defaultdict(list)
        for partition, message in messages:
            by_partition[partition].append(message)
        sent: list[asyncio.Future[RecordMetadata]] = []
        try:
            for partition, those in by_partition.items():
                for batch in self._batches(those):
                    future = await self._producer.send_batch(batch, self._topic, partition=partition)
                    sent.append(future)
            for future in sent:
                self._goes_on(await future)
        finally:
            for future in sent:
                if not future.cancel() and not future.cancelled():
                    future.exception()  # one is enough to be raised

    def _batches(self, messages: Sequence[Message]) -> Iterator[Any]:
        batch = self._producer.create_batch()
        for message in messages:
            record = {"key": message.key, "value": message.value, "timestamp": None, "headers": list(message.headers)}
            if batch.append(**record) is None:
                yield batch
                batch = self._producer.create_batch()
                batch.append(**record)  # an empty one takes a record of any size
        yield batch

    def _goes_on(self, written: RecordMetadata) -> None:
        """Make sure that the partition is the one that was looked at: one made anew begins at 0 again."""
        if 0 <= written.offset < self._ends[written.partition]:
            raise Unavailable(
                f"partition {written.partition} of topic {self._topic} went on at {written.offset}, and ended at "
                f"{self._ends[written.partition]} before: the topic has lost records, or was made anew"
            )
        self._ends[written.partition] = max(self._ends[written.partition], written.offset + 1)


@contextmanager
def _told(topic: str) -> Iterator[None]:
    """Give what aiokafka raises as ``Unavailable``."""
    try:
        yield
    except (KafkaError, TimeoutError, AssertionError) as error:  # assertions are its way to refuse after an error
        said = str(error) or type(error).__name__
        raise Unavailable(f"Kafka does not take what is published to {topic}: {said}") from error


async def _close(producer: AIOKafkaProducer) -> None:
    """Give up what is open, so that readers are not held up, and end the producer, whether Kafka answers or not."""
    with suppress(KafkaError, TimeoutError, AssertionError):  # none is open, or it cannot be given up any more
        async with asyncio.timeout(_CLOSE):
            await producer.abort_transaction()
    for task in _tasks_of(producer._sender):
        await end(task)
    accumulator = producer._message_accumulator
    for batch in [*accumulator._pending_batches, *chain(*accumulator._batches.values())]:
        batch.done_noack()  # nobody sends it any more, and stop would wait for it
    with suppress(TimeoutError):
        async with asyncio.timeout(_CLOSE):
            await producer.stop()


def _tasks_of(sender: object) -> list[asyncio.Task[Any]]:
    """Return the tasks of a producer: it cannot end them itself while they wait for a broker that is away."""
    frames = [(task, getattr(task.get_coro(), "cr_frame", None)) for task in asyncio.all_tasks()]
    return [task for task, frame in frames if frame is not None and frame.f_locals.get("self") is sender]


async def _surely(ending: Coroutine[Any, Any, None]) -> None:
    """Go through with it, also where this task is cancelled meanwhile, which it then is afterwards."""
    task, cancelled = asyncio.ensure_future(ending), False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
    task.result()
    if cancelled:
        raise asyncio.CancelledError
