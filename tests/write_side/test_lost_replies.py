"""The network fails in the middle of a commit: the command is answered by what stands in the log."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import psycopg
import pytest

from domain.errors import OutcomeUnknown, StoreUnavailable
from tests.servers.proxy import Streams, proxy_to, through, to_socket
from tests.write_side.stores import event_store, once


async def test_a_lost_commit_reply_is_answered_as_success_once(database_url: str) -> None:
    async with (
        proxy_to(to_socket(database_url)) as proxy,
        event_store(database_url, append_url=through(proxy, database_url)) as one,
    ):
        await one.open("A")
        for keyed in (False, True):
            proxy.lose_next_reply()
            done = await one.move("A", "1", context=once("k") if keyed else None)
            assert done.version == done.position == (3 if keyed else 2)
        assert proxy.lost_replies == 2
        assert await one.cash("A") == Decimal(2)
        assert (await one.move("A", "1", context=once("k"))).replayed


async def test_a_lost_reply_in_a_group_settles_every_caller(database_url: str) -> None:
    async with (
        proxy_to(to_socket(database_url)) as proxy,
        event_store(database_url, append_url=through(proxy, database_url)) as one,
    ):
        await one.open("warm")
        proxy.lose_next_reply()
        done = await asyncio.gather(*(one.open(f"P{number}") for number in range(50)))
        assert sorted(result.position for result in done) == list(range(2, 52))
        assert await one.log.head() == 51


async def test_a_connection_cut_again_and_again_loses_and_doubles_nothing(database_url: str) -> None:
    async with (
        proxy_to(to_socket(database_url)) as proxy,
        event_store(database_url, append_url=through(proxy, database_url)) as one,
    ):
        await one.open("A")

        moves = 0

        async def keep_moving() -> None:
            nonlocal moves
            for _ in range(40):
                await one.move("A", "1")
                moves += 1
                if moves % 10 == 0:
                    proxy.lose_next_reply()

        await asyncio.gather(*(keep_moving() for _ in range(4)))
        assert await one.cash("A") == Decimal(160)
        assert proxy.lost_replies >= 10


async def test_a_log_that_stays_away_is_told_within_the_limit(database_url: str) -> None:
    async with (
        proxy_to(to_socket(database_url)) as proxy,
        event_store(database_url, append_url=through(proxy, database_url)) as one,
    ):
        await one.open("A")
        reachable, patience = proxy.dial, one.appender.limit

        async def nobody() -> Streams:
            raise ConnectionRefusedError

        proxy.dial = nobody
        proxy.cut()
        one.appender.limit = 0.5
        with pytest.raises((StoreUnavailable, OutcomeUnknown)):
            await one.move("A", "1")
        with pytest.raises(StoreUnavailable):
            await one.move("A", "1")
        proxy.dial, one.appender.limit = reachable, patience
        assert (await one.move("A", "1")).version == 2


async def test_the_appenders_session_killed_by_an_operator(database_url: str) -> None:
    async with event_store(database_url) as one:
        await one.open("A")
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as operator:
            await operator.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where application_name = 'foliolog-appender' and datname = current_database()"
            )
        assert (await one.move("A", "1")).version == 2
