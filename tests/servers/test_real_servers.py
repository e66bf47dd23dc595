"""Real Kafka and Elasticsearch: they keep what they were given, and end with whoever started them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError
from elasticsearch import AsyncElasticsearch

from tests.api.embedded.support import eventually
from tests.servers.application import ROOT
from tests.servers.daemon import members

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.elasticsearch import Elasticsearch
    from tests.servers.kafka import Kafka
    from tests.servers.proxy import Proxy


async def make(server: Kafka, topic: str) -> None:
    """Make a topic of one partition, as soon as the server's controller knows of a broker for it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=server.bootstrap_servers)
    await admin.start()
    try:
        wanted = [NewTopic(topic, num_partitions=1, replication_factor=1)]
        async with asyncio.timeout(60):
            while (await admin.create_topics(wanted)).topic_errors[0][1] not in (0, TopicAlreadyExistsError.errno):
                pass
    finally:
        await admin.close()


async def send(server: Kafka, topic: str, value: bytes) -> None:
    """Send one record that is there for good."""
    async with AIOKafkaProducer(bootstrap_servers=server.bootstrap_servers, enable_idempotence=True) as producer:
        await producer.send_and_wait(topic, value)


async def first(server: Kafka, topic: str) -> bytes | None:
    """Return the first record of a topic."""
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=server.bootstrap_servers, auto_offset_reset="earliest"
    ) as consumer:
        record = await consumer.getone()
        return bytes(record.value) if record.value is not None else None


async def test_a_record_that_was_sent_is_read(kafka: Kafka, topic: str) -> None:
    await make(kafka, topic)
    await send(kafka, topic, b"sent")
    assert await first(kafka, topic) == b"sent"


async def test_a_document_that_was_written_is_read(elasticsearch: Elasticsearch, index_prefix: str) -> None:
    async with AsyncElasticsearch(elasticsearch.url) as client:
        await client.index(index=f"{index_prefix}a", id="1", document={"name": "written"}, refresh=True)
        found = await client.search(index=f"{index_prefix}a", query={"match": {"name": "written"}})
        assert [hit["_id"] for hit in found["hits"]["hits"]] == ["1"]


async def test_kafka_keeps_its_records_over_a_kill_and_a_pause(own_kafka: Kafka, topic: str) -> None:
    await make(own_kafka, topic)
    await send(own_kafka, topic, b"kept")
    own_kafka.freeze()
    assert not own_kafka.answers()
    own_kafka.thaw()
    eventually(own_kafka.answers)
    own_kafka.kill()
    assert not own_kafka.running()
    own_kafka.start()
    assert await first(own_kafka, topic) == b"kept"


async def test_elasticsearch_keeps_its_documents_over_a_kill_and_a_pause(own_elasticsearch: Elasticsearch) -> None:
    async with AsyncElasticsearch(own_elasticsearch.url) as client:
        await client.index(index="kept", id="1", document={"name": "kept"})
    own_elasticsearch.freeze()
    assert not own_elasticsearch.answers()
    own_elasticsearch.thaw()
    eventually(own_elasticsearch.answers)
    own_elasticsearch.kill()
    assert not own_elasticsearch.running()
    own_elasticsearch.start()
    async with AsyncElasticsearch(own_elasticsearch.url) as client:
        assert (await client.get(index="kept", id="1"))["_source"] == {"name": "kept"}


def test_they_die_with_their_owner_frozen_or_not(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.servers.owner", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        try:
            assert owner.stdout is not None
            groups = json.loads(owner.stdout.readline() or '{"missing": "the owner said nothing"}')
            if "missing" in groups:
                pytest.skip(groups["missing"])
            assert [len(members(group)) for group in groups.values()] == [2, 3]
        finally:
            owner.kill()
    eventually(lambda: not any(map(members, groups.values())))


async def test_a_client_that_begins_at_the_proxy_stays_there(kafka: Kafka, kafka_proxy: Proxy, topic: str) -> None:
    await make(kafka, topic)
    await send(kafka, topic, b"sent")
    async with (
        asyncio.timeout(60),
        AIOKafkaConsumer(
            topic, bootstrap_servers=f"127.0.0.1:{kafka_proxy.port}", auto_offset_reset="earliest"
        ) as consumer,
    ):
        assert (await consumer.getone()).value == b"sent"
        kafka_proxy.black_hole()
        await send(kafka, topic, b"sent meanwhile")
        late = asyncio.create_task(consumer.getone())
        await kafka_proxy.until_swallowed(1)
        assert not late.done()
        kafka_proxy.release()
        assert (await late).value == b"sent meanwhile"
