"""The topic that the log is published to: made where it is not there, looked over where somebody else has made it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code

from domain.errors import Unavailable

LARGEST: Final = 16 * 1024 * 1024
"""Bytes that a batch of records may have: an event has 8 MiB at most."""
_SETTINGS: Final = {"cleanup.policy": "delete", "retention.ms": "-1", "max.message.bytes": str(LARGEST)}
_EXISTS: Final = 36
_PATIENCE = 10
"""Seconds for one answer."""


@dataclass(frozen=True, slots=True)
class Made:
    """Whether the topic was made now, how many partitions it has, and a sentence for each thing about it to look at."""

    made: bool
    partitions: int
    faults: tuple[str, ...] = ()


async def make_topic(options: Mapping[str, Any], topic: str, *, partitions: int, replication: int) -> Made:
    """Make the topic with so many partitions and copies of each (-1: the broker's default), where it is not there.

    ``options`` are what aiokafka's clients are made with. A topic that is there stays as it is. How many copies have to
    be in sync is left to the broker. Raises ``Unavailable`` where Kafka cannot be reached or refuses.
    """
    async with _admin(options) as admin:
        if (there := await _partitions(admin, topic)) is None:
            new = NewTopic(topic, partitions, 1, topic_configs=_SETTINGS)
            new.replication_factor = replication  # -1 is for brokers to know, the constructor does not
            response = await admin.create_topics([new])
            [(_, code, *said)] = response.topic_errors
            if code not in (0, _EXISTS):
                raise Unavailable(
                    f"Kafka does not make topic {topic}: {for_code(code).__name__}: {' '.join(map(str, said))}"
                )
            there = await _listed(admin, topic)
            if code == 0:
                return Made(True, there)
        return Made(False, there, tuple(_faults(topic, partitions, there, await _settings(admin, topic))))


async def _partitions(admin: AIOKafkaAdminClient, topic: str) -> int | None:
    """Return how many the topic has; None for no topic. To ask for it by its name would make it."""
    found = [each for each in await admin.describe_topics() if each["topic"] == topic]
    return len(found[0]["partitions"]) if found else None


async def _listed(admin: AIOKafkaAdminClient, topic: str) -> int:
    """Return how many partitions it has, once the broker asked knows it: they hear of it one after the other."""
    while True:
        if there := await _partitions(admin, topic):
            return there
        await asyncio.sleep(0.05)


async def _settings(admin: AIOKafkaAdminClient, topic: str) -> dict[str, str] | None:
    """Return the topic's settings; None where they are not for us to see."""
    [response] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    [(code, _, _, _, entries)] = response.resources
    return None if code else {name: value for name, value, *_ in entries}


def _faults(topic: str, asked: int, there: int, settings: dict[str, str] | None) -> list[str]:
    """Return a sentence for each thing that the topic has otherwise than we would have made it."""
    faults = []
    if there != asked:
        faults.append(f"topic {topic} has {there} partitions and KAFKA_PARTITIONS is {asked}: it keeps what it has")
    if settings is None:
        return [*faults, f"the settings of topic {topic} cannot be read: whether they fit is not known"]
    if int(settings["max.message.bytes"]) < LARGEST:
        faults.append(
            f"topic {topic} takes batches of {settings['max.message.bytes']} bytes (max.message.bytes): a larger event "
            f"stops the relay; say {LARGEST}"
        )
    if "compact" in settings["cleanup.policy"]:
        faults.append(
            f"topic {topic} is compacted (cleanup.policy): it loses all but the last event of a key; say delete"
        )
    faults += [
        f"topic {topic} forgets events ({name} is {settings[name]}): say -1 to keep the whole log"
        for name in ("retention.ms", "retention.bytes")
        if settings[name] != "-1"
    ]
    return faults


@asynccontextmanager
async def _admin(options: Mapping[str, Any]) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**options, client_id="foliolog-migrate", request_timeout_ms=_PATIENCE * 1000)
    try:
        async with asyncio.timeout(3 * _PATIENCE):
            await admin.start()
            yield admin
    except (KafkaError, TimeoutError) as error:
        raise Unavailable(f"Kafka cannot be reached: {str(error) or type(error).__name__}") from error
    finally:
        await admin.close()
