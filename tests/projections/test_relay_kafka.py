"""The relay to a real Kafka: every event once and in its order for whoever reads what is committed, whatever fails."""

from __future__ import annotations

import asyncio
import gc
import importlib
import pkgutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from aiokafka.partitioner import murmur2

import domain
from domain.errors import Unavailable
from domain.published import message_of, origin_of
from projections.relay import Relay
from read_side.adapters.kafka_publisher import KafkaTopic
from read_side.tasks import end
from tests.projections.logs import append, append_rows, deposited, opened, process
from tests.projections.relaying_kafka import (
    PARTITIONS,
    all_of,
    event,
    events,
    eventually,
    fill,
    is_whole,
    make,
    options,
    reached,
    records,
    relay_to,
    runs,
    stand,
)
from tests.servers.kafka import Kafka

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "events"


@pytest.fixture(scope="module", autouse=True)
def every_event_is_known() -> None:
    for module in pkgutil.walk_packages(domain.__path__, "domain."):
        importlib.import_module(module.name)


@pytest.fixture(autouse=True)
def connections_that_were_not_finished() -> Iterator[None]:
    """aiokafka leaves a connection that is given up while it is made to the garbage collector, which complains."""
    yield
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()


def deposits(name: str, count: int) -> Iterator[Any]:
    yield opened(name)
    yield from (deposited(name, version, "1") for version in range(2, count + 1))


# --- what is published ----------------------------------------------------------------------------------------------


async def test_every_event_is_published_as_it_stands_in_the_log(database_url: str, kafka: Kafka, topic: str) -> None:
    await make(kafka.bootstrap_servers, topic)
    rows = [(f"portfolio/{path.stem}", 1, path.stem, path.read_bytes()) for path in sorted(GOLDEN.glob("*.json"))]
    async with process(database_url) as one:
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
            head = await append_rows(connection, rows)
        async with relay_to(one, kafka.bootstrap_servers, topic):
            await reached(one, topic, head)
            await runs(one, topic)
        stored, epoch = await all_of(one.history), await one.history.epoch()
        assert await events(kafka.bootstrap_servers, topic) == stored
        found = {}
        for partition, those in (await records(kafka.bootstrap_servers, topic)).items():
            for record in those:
                assert partition == (murmur2(record.key) & 0x7FFFFFFF) % PARTITIONS
                found[origin_of(record.headers).position] = (record.key, record.value, record.headers)
        assert found == {each.position: message_of(each, epoch) for each in stored}
        assert len(found) == len(rows)
        position, at, tails, state, error = await stand(one, topic)
        assert (position, at, max(tails), state, error) == (head, epoch, head, "running", None)


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
    ],
)
async def test_partitions_are_those_that_java_chooses(kafka: Kafka, topic: str, key: bytes, hashed: int) -> None:
    """The hashes are those of Kafka's own test of its murmur2 (UtilsTest)."""
    await make(kafka.bootstrap_servers, topic, 12)
    async with KafkaTopic(topic, options(kafka.bootstrap_servers)).opened() as publisher:
        assert publisher.partition_of(key) == (hashed & 0x7FFFFFFF) % 12


async def test_an_event_of_six_megabytes_goes_out(database_url: str, kafka: Kafka, topic: str) -> None:
    await make(kafka.bootstrap_servers, topic)
    async with process(database_url) as one:
        large = opened("L", name="x" * 6_000_000)
        head = await append(database_url, opened("A"), large, deposited("A", 2, "1"), deposited("L", 2, "1"))
        async with relay_to(one, kafka.bootstrap_servers, topic):
            await reached(one, topic, head)
        await is_whole(one, kafka.bootstrap_servers, topic)


async def test_many_pages_of_few_keys(database_url: str, kafka: Kafka, topic: str) -> None:
    """A partition gets several batches of a page, one after the other."""
    await make(kafka.bootstrap_servers, topic)
    async with process(database_url) as one:
        wide = [opened(f"W{number}", name="y" * 50_000) for number in range(100)]
        await append(database_url, *wide)
        head = await append(database_url, *deposits("A", 3_000))
        async with relay_to(one, kafka.bootstrap_servers, topic):
            await reached(one, topic, head)
        await is_whole(one, kafka.bootstrap_servers, topic)


# --- leaders that end ----------------------------------------------------------------------------------------------


async def test_a_relay_that_is_ended_again_and_again_goes_on(database_url: str, kafka: Kafka, topic: str) -> None:
    await make(kafka.bootstrap_servers, topic)
    async with process(database_url) as one:
        head = await fill(one, 3_000)
        for target in range(300, 3_000, 300):
            async with relay_to(one, kafka.bootstrap_servers, topic, page_size=100):
                await reached(one, topic, target)
        async with relay_to(one, kafka.bootstrap_servers, topic):
            await reached(one, topic, head)
        await is_whole(one, kafka.bootstrap_servers, topic)


async def test_a_relay_killed_in_the_middle_of_pages_loses_and_doubles_nothing(
    database_url: str, kafka: Kafka, topic: str
) -> None:
    await make(kafka.bootstrap_servers, topic)
    async with process(database_url) as one:
        head = await fill(one, 4_000)
        for target in (200, 900, 1_700):
            killed = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.projections.relaying_kafka",
                database_url,
                kafka.bootstrap_servers,
                topic,
                "50",
                cwd=ROOT,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                await reached(one, topic, target)  # as all processes hear of checkpoints
            finally:
                killed.kill()
                await killed.communicate()
        async with relay_to(one, kafka.bootstrap_servers, topic):
            await reached(one, topic, head)
        await is_whole(one, kafka.bootstrap_servers, topic)


async def test_a_leader_whose_session_is_cut_while_it_publishes_is_shut_out(
    database_url: str, kafka: Kafka, topic: str
) -> None:
    await make(kafka.bootstrap_servers, topic)
    async with process(database_url) as one, process(database_url) as two:
        head = await fill(one, 4_000)
        async with (
            relay_to(one, kafka.bootstrap_servers, topic, page_size=40) as first,
            relay_to(two, kafka.bootstrap_servers, topic, page_size=40) as second,
        ):
            for target in (400, 1_200, 2_000):
                waiting = [asyncio.create_task(reached(each, topic, target)) for each in (one, two)]
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for each in waiting:
                    await end(each)
                async with one.pool.connection() as connection:
                    await connection.execute(
                        "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted "
                        "and objid = (hashtext(%s)::bigint & 4294967295)::oid",
                        (f"relay/{topic}",),
                    )
            await reached(one, topic, head)
            await eventually(lambda: at_most_one_leads(first, second))
        await is_whole(one, kafka.bootstrap_servers, topic)


async def at_most_one_leads(*relays: Relay) -> bool:
    """Whether whoever was shut out has noticed: the other does not wait for that."""
    return sum(relay.leading for relay in relays) <= 1


async def test_who_opens_the_topic_shuts_out_the_one_before(kafka: Kafka, topic: str) -> None:
    await make(kafka.bootstrap_servers, topic)
    place, epoch = KafkaTopic(topic, options(kafka.bootstrap_servers)), uuid4()
    async with place.opened() as older:
        await older.publish([(0, message_of(event(1), epoch))])
        async with place.opened() as newer:
            parts = await newer.parts(epoch, ())
            assert [part.last.position if part.last else 0 for part in parts] == [1, 0, 0]
            with pytest.raises(Unavailable, match="Fenced"):
                await older.publish([(0, message_of(event(2), epoch))])
            await newer.publish([(0, message_of(event(2), epoch))])
    assert [origin_of(each.headers).position for each in (await records(kafka.bootstrap_servers, topic))[0]] == [1, 2]
