"""The lag of consumer groups as brokers tell it, and what is said of it when they are away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition

from domain.published import Message
from read_side.adapters.kafka_lag import KafkaLag
from tests.servers.kafka import Kafka
from tests.write_side.publishing import Topic

MESSAGE = Message(b"key", b"value", ())


@asynccontextmanager
async def measured(topic: Topic, *groups: str) -> AsyncIterator[KafkaLag]:
    lag = KafkaLag(topic.options, topic=topic.name, groups=groups)
    try:
        yield lag
    finally:
        await lag.close()


async def until(lag: KafkaLag, *, answers: bool) -> None:
    """Measure until the brokers answer, or do not."""
    async with asyncio.timeout(60):
        await lag.measure()
        while (lag.error is None) is not answers:
            await lag.measure()


async def commit(topic: Topic, group: str, offset: int) -> None:
    """Commit this offset for the first partition."""
    consumer = AIOKafkaConsumer(**topic.options, group_id=group, enable_auto_commit=False)
    partition = TopicPartition(topic.name, 0)
    try:
        await consumer.start()
        consumer.assign([partition])
        await consumer.commit({partition: offset})
    finally:
        await consumer.stop()


async def test_a_group_is_behind_by_what_it_has_not_committed(kafka: Kafka, topic: str) -> None:
    made = Topic(kafka.bootstrap_servers, topic, partitions=2)
    await made.make()
    async with measured(made, "one", "other") as lag:
        assert lag.error == "not measured yet"
        await until(lag, answers=True)
        assert lag.lags == {"one": 0, "other": 0}
        for partition in (0, 0, 0, 1):
            await made.put(b"value", [], partition)
        await commit(made, "one", 2)
        await until(lag, answers=True)
        assert lag.lags == {"one": 2, "other": 4}


async def test_what_is_not_committed_to_the_topic_does_not_count_and_markers_do(kafka: Kafka, topic: str) -> None:
    made = Topic(kafka.bootstrap_servers, topic, partitions=1)
    await made.make()
    async with measured(made, "one") as lag, made.producer(transactional_id=topic) as producer:
        async with producer.transaction():
            await producer.send_and_wait(topic, b"value")
            await until(lag, answers=True)
            assert lag.lags == {"one": 0}
        await until(lag, answers=True)
        while lag.lags == {"one": 0}:  # the marker is written after the answer
            await lag.measure()
        assert lag.lags == {"one": 2}


async def test_a_topic_that_nobody_has_made_is_said(kafka: Kafka, topic: str) -> None:
    async with measured(Topic(kafka.bootstrap_servers, topic), "one") as lag:
        await lag.measure()
        assert f"there is no topic {topic}" in str(lag.error)


async def test_brokers_that_are_away_are_said_and_the_last_figures_stay(own_kafka: Kafka, topic: str) -> None:
    made = Topic(own_kafka.bootstrap_servers, topic, partitions=1)
    await made.make()
    await made.send(MESSAGE)
    async with measured(made, "one") as lag:
        await until(lag, answers=True)
        await asyncio.to_thread(own_kafka.freeze)
        await until(lag, answers=False)
        assert (lag.error, lag.lags) != (None, {"one": 0})
        own_kafka.thaw()
        await until(lag, answers=True)
        own_kafka.kill()
        await until(lag, answers=False)
        assert lag.lags == {"one": 1}
        await asyncio.to_thread(own_kafka.start)
        await until(lag, answers=True)
        assert lag.lags == {"one": 1}
