"""Ten processes on four servers, and what can befall them under traffic: nothing is lost, doubled or wrong.

All of it befalls one application, one after the other, and after the last everything is compared with the log: what a
fault has spoilt stays spoilt. Whoever asks meanwhile is answered, and exactly; PostgreSQL is the only server that is
missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.faults.everybody import LONG
from tests.faults.world import World, world
from tests.servers.java import Missing


@pytest.fixture(scope="module")
async def given(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    try:
        async with world(tmp_path_factory.mktemp("world")) as found:
            yield found
    except Missing as error:
        pytest.skip(str(error))


async def test_kafka_that_is_away_at_the_start_gets_everything_once_it_is_there(given: World) -> None:
    async with given.at_work() as everybody:
        await everybody.missing("kafka", "relay")
        await asyncio.to_thread(given.kafka.start)
        await everybody.well()


@pytest.mark.parametrize("number", [0, 1])
async def test_of_each_two_processes_of_a_role_one_is_killed(given: World, number: int) -> None:
    async with given.at_work() as everybody:
        for role in ("relay", "worker", "projector", "queries", "commands"):
            given.roles.of(role)[number].kill()
        await everybody.more()
        await given.revived()


async def test_kafka_elasticsearch_and_redis_are_killed(given: World) -> None:
    async with given.at_work() as everybody:
        for server in given.optional:
            await asyncio.to_thread(server.kill)
        await everybody.missing("kafka", "elasticsearch", "hot copy")
        await everybody.more()
        await asyncio.gather(*(asyncio.to_thread(server.start) for server in given.optional))
        await everybody.well()


async def test_kafka_elasticsearch_and_redis_are_frozen(given: World) -> None:
    async with given.at_work() as everybody:
        for server in given.optional:
            await asyncio.to_thread(server.freeze)
        try:
            await everybody.missing("kafka", "elasticsearch", "hot copy")
            await everybody.more()
        finally:
            for server in given.optional:
                server.thaw()
        await everybody.well()


async def test_redis_is_flushed_again_and_again(given: World) -> None:
    async with given.at_work() as everybody:
        for _ in range(8):
            given.flush()
            await everybody.more(5)


async def test_elasticsearch_takes_no_bulk_request_for_a_while(given: World) -> None:
    async with given.at_work() as everybody:
        given.refuse(bulks=True)
        try:
            await everybody.missing("search copy transactions")
            await everybody.more()
        finally:
            given.refuse(bulks=False)
        await everybody.well()


async def test_postgresql_is_killed(given: World) -> None:
    async with given.at_work(patient=True) as everybody:
        for _ in range(2):
            given.postgres.kill()
            await asyncio.to_thread(given.postgres.start)
            await everybody.more()


async def test_postgresql_is_frozen(given: World) -> None:
    async with given.at_work(patient=True) as everybody:
        given.postgres.freeze()
        try:
            await everybody.unwell()
        finally:
            given.postgres.thaw()


async def test_replies_are_lost_on_the_way(given: World) -> None:
    async with given.at_work() as everybody:
        for _ in range(4):
            before = [proxy.lost_replies for proxy in given.proxies]
            for proxy in given.proxies:
                proxy.lose_next_reply()
            async with asyncio.timeout(LONG):
                while any(proxy.lost_replies == lost for proxy, lost in zip(given.proxies, before, strict=True)):
                    await everybody.more(5)


async def test_the_way_to_kafka_and_elasticsearch_is_long_and_then_leads_nowhere(given: World) -> None:
    ways = (given.to_kafka, given.to_elasticsearch)
    async with given.at_work() as everybody:
        for way in ways:
            way.latency = 0.05
        await everybody.more()
        for way in ways:
            way.black_hole()
        await everybody.missing("kafka", "elasticsearch")
        await everybody.more()
        for way in ways:
            way.latency = 0.0
            way.release()
        await everybody.well()


async def test_the_way_of_commands_to_postgresql_leads_nowhere_for_a_while(given: World) -> None:
    async with given.at_work() as everybody:
        given.to_postgres.black_hole()
        try:
            await everybody.retries()
        finally:
            given.to_postgres.release()


async def test_a_copy_is_made_anew_while_clients_search_it(given: World) -> None:
    async with given.at_work(whole=True) as everybody:
        before = await given.indexes("transactions")
        done = await given.told("rebuild", "copy/transactions")
        assert done.startswith("copy/transactions: ")
        async with asyncio.timeout(LONG):
            while len(after := await given.indexes("transactions")) > 1:  # the one before is kept a while
                await everybody.more()
    assert (len(before), len(after)) == (1, 1)
    assert before != after
