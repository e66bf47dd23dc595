"""The topic as `migrate` makes it, and what is said of one that somebody else has made."""

from __future__ import annotations

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from domain.errors import Unavailable
from migrations.kafka import LARGEST, Made, make_topic
from tests.projections.relaying_kafka import admin, options
from tests.servers.kafka import Kafka


async def settings(client: AIOKafkaAdminClient, topic: str) -> dict[str, str]:
    [response] = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    return {name: value for name, value, *_ in response.resources[0][4]}


async def test_it_is_made_once_to_keep_the_whole_log(kafka: Kafka, topic: str) -> None:
    where = options(kafka.bootstrap_servers)
    assert await make_topic(where, topic, partitions=5, replication=-1) == Made(True, 5)
    assert await make_topic(where, topic, partitions=5, replication=-1) == Made(False, 5)
    async with admin(kafka.bootstrap_servers) as client:
        found = await settings(client, topic)
    assert (found["cleanup.policy"], found["retention.ms"], found["retention.bytes"]) == ("delete", "-1", "-1")
    assert int(found["max.message.bytes"]) == LARGEST


async def test_what_does_not_fit_is_said(kafka: Kafka, topic: str) -> None:
    async with admin(kafka.bootstrap_servers) as client:
        await client.create_topics([NewTopic(topic, 2, 1, topic_configs={"cleanup.policy": "compact,delete"})])
    made = await make_topic(options(kafka.bootstrap_servers), topic, partitions=5, replication=-1)
    assert (made.made, made.partitions) == (False, 2)
    said = "\n".join(made.faults)
    for words in ("KAFKA_PARTITIONS is 5", "max.message.bytes", "is compacted", "retention.ms is 604800000"):
        assert words in said


async def test_a_refusal_and_an_absent_broker_are_told(kafka: Kafka, topic: str) -> None:
    with pytest.raises(Unavailable, match="InvalidReplicationFactor"):
        await make_topic(options(kafka.bootstrap_servers), topic, partitions=1, replication=7)
    with pytest.raises(Unavailable, match="cannot be reached"):
        await make_topic(options("127.0.0.1:1"), topic, partitions=1, replication=-1)
