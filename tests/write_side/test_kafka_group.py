"""Members of a group over a real Kafka: each event once in effect, whoever joins, dies or cannot be reached."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from uuid import UUID

import pytest
import structlog
from psycopg_pool import AsyncConnectionPool

from domain.base import Recorded
from domain.published import message_of
from tests.projections.logs import process
from tests.servers.kafka import Kafka
from tests.servers.proxy import Streams, proxy_to, through, to_socket
from tests.write_side.following import Gate
from tests.write_side.group_desk import KEYS, Desk, Said
from tests.write_side.publishing import QUICK, Topic
from tests.write_side.stores import event_store
from tests.write_side.worker import BAD
from write_side.adapters.postgres_work import PostgresWork
from write_side.log import Context

PLACES = ["before the act", "after the append", "before parking", "before the commit", "after the commit"]


@pytest.fixture(autouse=True)
def said() -> Iterator[Said]:
    """What is logged meanwhile."""
    processors = structlog.get_config()["processors"]
    before, said = processors.copy(), Said()
    processors[:] = [said]
    yield said
    processors[:] = before


@pytest.fixture
async def published(kafka: Kafka, topic: str) -> Topic:
    """A topic on the Kafka of the run."""
    made = Topic(kafka.bootstrap_servers, topic)
    await made.make()
    return made


@pytest.fixture
async def desk(database_url: str, published: Topic) -> AsyncIterator[Desk]:
    async with event_store(database_url) as one, process(database_url) as reading:
        yield Desk(one, reading, published, [])


async def test_members_that_come_and_go_do_each_once_and_in_order(desk: Desk, said: Said) -> None:
    async with desk.member():
        await said.until("partitions are given")
        await desk.pay("1", "2")
        async with desk.member():
            await said.until("partitions are given", 3)
            await desk.pay("3")
            async with desk.member():
                await said.until("partitions are given", 6)
                await desk.pay("4")
                await desk.topic.until_done()
            await desk.pay("5")
        await desk.pay("6")
        await desk.topic.until_done()
    shares = [line["partitions"] for line in said.of("partitions are given")]
    assert [sorted(map(len, shares[begin:end])) for begin, end in ((0, 1), (1, 3), (3, 6))] == [[4], [2, 2], [1, 1, 2]]
    for key in KEYS:
        assert await desk.mirrored(key) == [1, 2, 3, 4, 5, 6]
    assert await desk.parked() == []
    assert len(set(desk.acted)) == len(desk.acted)  # who gives up a partition commits what it did
    for key in KEYS:
        assert [version for each, version in desk.acted if each == key] == [2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("place", PLACES)
async def test_a_member_killed_at_any_step_leaves_nothing_undone(desk: Desk, place: str) -> None:
    async with desk.child(place) as child:
        await desk.pay("1", "2", keys=["A", BAD, "B", "C"])
        assert child.stdout is not None
        assert (await child.stdout.readline()).decode().strip() == place
        await desk.pay("3", keys=["A", BAD, "B", "C"])
        child.kill()
        async with desk.child("nowhere"):
            await desk.topic.until_done()
    for key in ("A", "B", "C"):
        assert await desk.mirrored(key) == [1, 2, 3]
    assert await desk.mirrored(BAD) == []
    assert sorted((row.stream, row.attempts >= 5) for row in await desk.parked()) == [(f"portfolio/{BAD}", True)] * 3


async def test_a_group_without_offsets_finds_all_done_that_was_done(desk: Desk) -> None:
    async with desk.member():
        await desk.pay("1", "2")
        await desk.topic.until_done()
    head = await desk.one.log.head()
    desk.topic = _Renamed(**vars(desk.topic))
    desk.acted.clear()
    async with desk.member():
        await desk.topic.until_done()
    assert len(desk.acted) == 12
    assert await desk.one.log.head() == head
    assert await desk.parked() == []


class _Renamed(Topic):
    """The topic as another group reads it."""

    @property
    def group(self) -> str:
        return f"{self.name}.another"


async def test_what_is_no_event_of_this_log_is_passed_over_and_what_cannot_be_read_is_parked(
    desk: Desk, said: Said
) -> None:
    await desk.one.open("A")
    await desk.one.move("A", "1")
    await desk.one.open("Z")
    [opened, paid, other] = await desk.one.log.page(0, 10)
    epoch = await desk.one.log.epoch()
    await desk.topic.send(message_of(opened, UUID(int=9)), message_of(paid, UUID(int=9)))
    for partition in range(desk.topic.partitions):
        await desk.topic.put(b"hello", [], partition)
        await desk.topic.put(None, [("ce_source", b"/other")], partition)
    await desk.topic.put(b"no json", message_of(other, epoch).headers)
    await desk.topic.send(message_of(opened, epoch), message_of(paid, epoch))
    desk.topic.published = 3
    await desk.pay("2", keys=["A", "B"])
    async with desk.member():
        await desk.topic.until_done()
    assert await desk.mirrored("A") == [1, 2]
    assert await desk.mirrored("B") == [2]
    [parked] = await desk.parked()
    assert (parked.position, parked.stream, parked.attempts) == (3, "portfolio/Z", 1)
    assert len(said.of("a record that is not ours is passed over")) == 2 * desk.topic.partitions


async def test_what_was_aborted_is_not_worked_on_and_markers_leave_no_lag(desk: Desk) -> None:
    await desk.one.open("A")
    await desk.one.move("A", "1")
    messages = [message_of(each, await desk.one.log.epoch()) for each in await desk.one.log.page(0, 10)]
    async with desk.member(), desk.topic.producer(transactional_id=desk.topic.name) as producer:
        for committed in (False, True):
            await producer.begin_transaction()
            for message in messages:
                await producer.send_and_wait(
                    desk.topic.name, message.value, key=message.key, headers=list(message.headers)
                )
            assert desk.acted == []
            await (producer.commit_transaction() if committed else producer.abort_transaction())
        await desk.topic.until_done()
    assert desk.acted == [("A", 2)]


async def test_while_postgresql_is_away_it_is_tried_again_and_nothing_is_parked(
    database_url: str, published: Topic, said: Said
) -> None:
    async with (
        proxy_to(to_socket(database_url)) as proxy,
        AsyncConnectionPool(through(proxy, database_url), kwargs={"autocommit": True}, min_size=1, timeout=0.5) as pool,
        event_store(database_url) as one,
        event_store(database_url, append_url=through(proxy, database_url)) as far,
        process(database_url) as reading,
    ):
        desk, reachable = Desk(far, reading, published, []), proxy.dial
        policy, patience = desk.policy(), far.appender.limit

        async def act(recorded: Recorded, context: Context) -> None:
            if len(desk.acted) == 2:
                far.appender.limit = 0.5
                proxy.dial = nobody
                proxy.cut()
            await policy.act(recorded, context)

        async with desk.member(policy=replace(policy, act=act), work=PostgresWork(pool.connection)):
            await replace(desk, one=one).pay("1", "2", "3")
            await said.until("partition interrupted", 3)
            proxy.dial, far.appender.limit = reachable, patience
            await published.until_done()
        for key in KEYS:
            assert await desk.mirrored(key) == [1, 2, 3]
        assert await desk.parked() == []


async def nobody() -> Streams:
    raise ConnectionRefusedError


async def test_a_member_that_has_enough_to_do_stays_one(desk: Desk, said: Said) -> None:
    gate, policy = Gate(), desk.policy()

    async def act(recorded: Recorded, context: Context) -> None:
        await gate.through()
        await policy.act(recorded, context)

    await desk.pay("1", "2")
    settings = {"max_poll_interval_ms": 1_000, "max_partition_fetch_bytes": 1_000}
    async with desk.member(settings=settings, window=1, policy=replace(policy, act=act, at_once=1)):
        await gate.came.wait()
        await asyncio.sleep(3)  # three times as long as a member may be silent
        assert said.of("partitions are taken away") == []
        gate.opened.set()
        await desk.topic.until_done()
    assert len(set(desk.acted)) == len(desk.acted) == 12


async def test_a_broker_that_is_killed_or_away_at_the_start_changes_nothing(
    own_kafka: Kafka, database_url: str, topic: str, said: Said
) -> None:
    made = Topic(own_kafka.bootstrap_servers, topic)
    await made.make()
    async with event_store(database_url) as one, process(database_url) as reading:
        desk = Desk(one, reading, made, [])
        async with desk.member(settings=QUICK, slowest=2.0):
            await desk.pay("1")
            await desk.topic.until_done()
            await desk.pay("2")
            own_kafka.kill()
            async with desk.member(settings=QUICK, slowest=2.0):
                await said.until("policy interrupted, it begins again at its checkpoint")
                await asyncio.to_thread(own_kafka.start)
                await desk.pay("3")
                await desk.topic.until_done()
        for key in KEYS:
            assert await desk.mirrored(key) == [1, 2, 3]
        assert await desk.parked() == []


async def test_a_broker_that_hangs_changes_nothing_and_keeps_nobody_from_ending(
    own_kafka: Kafka, database_url: str, topic: str
) -> None:
    made = Topic(own_kafka.bootstrap_servers, topic)
    await made.make()
    async with event_store(database_url) as one, process(database_url) as reading:
        desk = Desk(one, reading, made, [])
        async with desk.member(settings=QUICK) as first, desk.member(settings=QUICK) as second:
            await desk.pay("1")
            await desk.topic.until_done()
            await asyncio.to_thread(own_kafka.freeze)
            await asyncio.sleep(8)  # longer than a session
            own_kafka.thaw()
            await desk.pay("2")
            await desk.topic.until_done()
            await asyncio.to_thread(own_kafka.freeze)
            async with asyncio.timeout(60):
                await asyncio.gather(first.close(within=1), second.close(within=1))
            own_kafka.thaw()
        for key in KEYS:
            assert await desk.mirrored(key) == [1, 2]
        assert await desk.parked() == []
