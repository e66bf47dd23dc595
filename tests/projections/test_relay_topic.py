"""What a relay finds in Kafka: topics cut, emptied, deleted or widened, a log set back, a broker that fails."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
from aiokafka import TopicPartition
from aiokafka.admin.records_to_delete import RecordsToDelete

from domain.published import message_of, origin_of
from read_side.adapters.kafka_publisher import KafkaTopic
from tests.projections.logs import process
from tests.projections.relaying_kafka import (
    admin,
    all_of,
    event,
    events,
    eventually,
    fill,
    gone,
    is_whole,
    make,
    options,
    reached,
    records,
    relay_to,
    says,
    stands,
    verified,
    widened,
)
from tests.servers.kafka import Kafka


@pytest.fixture(autouse=True)
def connections_that_were_not_finished() -> Iterator[None]:
    """aiokafka leaves a connection that is given up while it is made to the garbage collector, which complains."""
    yield
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()


# --- what the topic holds -------------------------------------------------------------------------------------------


async def test_the_last_record_is_found_behind_those_of_others(kafka: Kafka, topic: str) -> None:
    await make(kafka.bootstrap_servers, topic)
    ours, others = uuid4(), uuid4()
    async with KafkaTopic(topic, options(kafka.bootstrap_servers)).opened() as publisher:
        await publisher.publish([(0, message_of(event(5), ours)), (1, message_of(event(6), ours))])
        foreign = message_of(event(9), others)
        for _ in range(3):
            await publisher.publish([(0, foreign._replace(headers=(("app", b"x"),)))] * 300 + [(1, foreign)] * 300)
        found = await publisher.parts(ours, ())
        assert [part.last.position if part.last else 0 for part in found] == [5, 0, 0], "not behind another log's"
        found = await publisher.parts(ours, (5, 6, 0))
        assert [part.last.position if part.last else 0 for part in found] == [5, 6, 0], "unless there was one"
        assert [part.start for part in found] == [0, 0, 0]
        assert found[0].end > 900


async def test_what_was_given_up_is_not_there(kafka: Kafka, topic: str) -> None:
    await make(kafka.bootstrap_servers, topic)
    place, epoch = KafkaTopic(topic, options(kafka.bootstrap_servers)), uuid4()
    async with place.opened() as publisher:
        await publisher.publish([(0, message_of(event(1), epoch))])
        for _ in range(40):
            await publisher._producer.begin_transaction()
            await publisher._send([(0, message_of(event(2), epoch))])
            await publisher._producer.abort_transaction()
        await publisher._producer.begin_transaction()
        await publisher._send([(0, message_of(event(3), epoch))])  # and left open
        async with place.opened() as other:
            [part, *_] = await other.parts(epoch, ())
    assert part.last is not None
    assert part.last.position == 1


async def test_a_transaction_that_hangs_is_given_up_and_published_again(own_kafka: Kafka, topic: str) -> None:
    brokers, epoch = own_kafka.bootstrap_servers, uuid4()
    await make(brokers, topic)
    await verified(brokers, "false")
    place = KafkaTopic(topic, options(brokers))
    first, then = ([message_of(event(n + 3 * turn, f"portfolio/{n}"), epoch) for n in (1, 2, 3)] for turn in (0, 1))
    async with place.opened() as publisher:
        await publisher.publish(list(enumerate(first)))
        producer = publisher._producer
        await producer.begin_transaction()
        await publisher._send([(2, then[2])])
        for number in range(2):  # the coordinator does not hear of these partitions, and tells them of no commit
            producer._txn_manager._txn_partitions.add(TopicPartition(topic, number))
        await publisher._send(lost := list(enumerate(then[:2])))
        await producer.commit_transaction()
    await verified(brokers, "true")
    async with place.opened() as publisher:
        found = await publisher.parts(epoch, (4, 5, 6))
        assert [part.last.position for part in found if part.last] == [1, 2, 6]
        await publisher.publish(lost)
    assert [recorded.position for recorded in await events(brokers, topic)] == [1, 2, 3, 4, 5, 6]


async def test_a_topic_deleted_and_made_again_gets_the_whole_log(database_url: str, kafka: Kafka, topic: str) -> None:
    await make(kafka.bootstrap_servers, topic)
    async with process(database_url) as one:
        head = await fill(one, 500)
        async with relay_to(one, kafka.bootstrap_servers, topic):
            await reached(one, topic, head)
            async with admin(kafka.bootstrap_servers) as client:
                await client.delete_topics([topic])
                await gone(client, topic)
            await make(kafka.bootstrap_servers, topic)
            head = await fill(one, 10)
            await reached(one, topic, head)
        await is_whole(one, kafka.bootstrap_servers, topic)


async def test_a_topic_that_is_not_there_is_told(database_url: str, kafka: Kafka, topic: str) -> None:
    async with process(database_url) as one:
        head = await fill(one, 10)
        async with relay_to(one, kafka.bootstrap_servers, topic):
            await says(one, topic, "Kafka has no topic")
            await make(kafka.bootstrap_servers, topic)
            await reached(one, topic, head)
        await is_whole(one, kafka.bootstrap_servers, topic)


async def test_partitions_added_by_hand_stop_it(database_url: str, kafka: Kafka, topic: str) -> None:
    await make(kafka.bootstrap_servers, topic)
    async with process(database_url) as one:
        head = await fill(one, 100)
        async with relay_to(one, kafka.bootstrap_servers, topic):
            await reached(one, topic, head)
        await widened(kafka.bootstrap_servers, topic, 5)
        await fill(one, 100)
        async with relay_to(one, kafka.bootstrap_servers, topic):
            await says(one, topic, "has 5 partitions")
        assert len(await events(kafka.bootstrap_servers, topic)) == 100


async def test_a_partition_that_retention_has_emptied_has_lost_nothing(
    database_url: str, kafka: Kafka, topic: str
) -> None:
    await make(kafka.bootstrap_servers, topic)
    async with process(database_url) as one:
        head = await fill(one, 300)
        async with relay_to(one, kafka.bootstrap_servers, topic):
            await reached(one, topic, head)
        before = await records(kafka.bootstrap_servers, topic)
        async with admin(kafka.bootstrap_servers) as client:
            await client.delete_records({TopicPartition(topic, 1): RecordsToDelete(-1)})
        head = await fill(one, 40)
        async with relay_to(one, kafka.bootstrap_servers, topic):
            await reached(one, topic, head)
        after = await records(kafka.bootstrap_servers, topic)
        kept = {place: [record.offset for record in those] for place, those in before.items() if place != 1}
        assert {place: [each.offset for each in after[place]][: len(those)] for place, those in kept.items()} == kept
        found = await events(kafka.bootstrap_servers, topic)
        assert [each for each in await all_of(one.history) if each.position > 300] == [
            each for each in found if each.position > 300
        ]
        assert not [each for each in after.get(1, []) if origin_of(each.headers).position <= 300]


# --- the log --------------------------------------------------------------------------------------------------------


async def test_a_new_epoch_is_published_from_the_beginning(database_url: str, kafka: Kafka, topic: str) -> None:
    await make(kafka.bootstrap_servers, topic)
    async with process(database_url) as one:
        head = await fill(one, 300)
        async with relay_to(one, kafka.bootstrap_servers, topic):
            await reached(one, topic, head)
            async with one.pool.connection() as connection:
                await connection.execute("update app.log set epoch = %s", (epoch := uuid4(),))
            await eventually(lambda: stands(one, topic, head, epoch))
        found: dict[UUID, list[int]] = {}
        for those in (await records(kafka.bootstrap_servers, topic)).values():
            for record in those:
                origin = origin_of(record.headers)
                found.setdefault(origin.epoch, []).append(origin.position)
        assert len(found) == 2
        assert all(sorted(positions) == list(range(1, head + 1)) for positions in found.values())


async def test_a_log_that_was_set_back_stops_it(database_url: str, kafka: Kafka, topic: str) -> None:
    await make(kafka.bootstrap_servers, topic)
    async with process(database_url) as one:
        head = await fill(one, 100)
        async with relay_to(one, kafka.bootstrap_servers, topic):
            await reached(one, topic, head)
        async with one.pool.connection() as connection:
            await connection.execute("alter table es.stored_events disable trigger user")
            await connection.execute("delete from es.stored_events where notification_id > 60")
            await connection.execute("update app.checkpoints set position = 60")
        async with relay_to(one, kafka.bootstrap_servers, topic):
            await says(one, topic, "migrate --new-epoch")
        assert len(await events(kafka.bootstrap_servers, topic)) == 100


# --- brokers that fail ----------------------------------------------------------------------------------------------


async def test_a_broker_that_is_away_killed_and_frozen(database_url: str, own_kafka: Kafka, topic: str) -> None:
    brokers = own_kafka.bootstrap_servers
    await make(brokers, topic)
    async with process(database_url) as one:
        await asyncio.to_thread(own_kafka.kill)
        head = await fill(one, 200)
        async with relay_to(one, brokers, topic, page_size=40, patience=4.0):
            await says(one, topic, "Kafka")
            await asyncio.to_thread(own_kafka.start)
            await reached(one, topic, head)
            head = await fill(one, 1_000)
            await reached(one, topic, head - 800)
            await asyncio.to_thread(own_kafka.kill)  # while it publishes
            await fill(one, 100)
            await says(one, topic, "Kafka")
            await asyncio.to_thread(own_kafka.start)
            head = await fill(one, 1_000)
            await reached(one, topic, head - 800)
            own_kafka.freeze()  # while it publishes, until it gives up
            await says(one, topic, "Kafka")
            own_kafka.thaw()
            await reached(one, topic, head)
        await is_whole(one, brokers, topic)
