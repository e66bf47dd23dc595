"""A database that takes no writes for a while, as after a failover or on a full disk: refused, not failed, and over."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from psycopg import sql

from domain.errors import OutcomeUnknown, StoreUnavailable
from tests.servers.proxy import proxy_to, through, to_socket
from tests.write_side.stores import event_store


def takes_writes(database_url: str, allowed: bool, *, cut: bool) -> None:
    """Let sessions that begin from now on write or not; ``cut`` ends those of the appender."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("set default_transaction_read_only = off")
        name = sql.Identifier(connection.info.dbname)
        value = sql.Literal("off" if allowed else "on")
        connection.execute(sql.SQL("alter database {} set default_transaction_read_only = {}").format(name, value))
        if cut:
            connection.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
                " where application_name = 'foliolog-appender' and datname = current_database()"
            )


async def test_commands_are_refused_while_it_takes_no_writes_and_accepted_again_after(database_url: str) -> None:
    async with event_store(database_url) as one:
        await one.open("A")
        takes_writes(database_url, False, cut=True)
        patience, one.appender.limit = one.appender.limit, 1.0
        with pytest.raises(OutcomeUnknown):  # it met the session as that was cut
            await one.open("B")
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            await one.open("C")
        takes_writes(database_url, True, cut=False)
        one.appender.limit = patience
        await one.open("C")
        assert await one.log.head() == 2


async def test_a_session_that_begins_to_refuse_is_left(database_url: str) -> None:
    """The server has said that nothing of the command stands, so its caller may be told."""
    async with event_store(database_url) as one:
        await one.open("A")
        connection = one.appender._connection
        assert connection is not None
        await connection.execute("set default_transaction_read_only = on")
        assert (await one.open("B")).position == 2
        assert one.appender._connection is not connection


async def test_who_may_stand_is_not_told_that_he_failed(database_url: str) -> None:
    async with (
        proxy_to(to_socket(database_url)) as proxy,
        event_store(database_url, append_url=through(proxy, database_url)) as one,
    ):
        await one.open("A")
        takes_writes(database_url, False, cut=False)
        proxy.lose_next_reply()
        opening = asyncio.create_task(one.open("B"))
        async with asyncio.timeout(60):
            await proxy.until_lost(1)
        one.appender.limit = 0.0  # the log has it: whatever happens now, it may stand
        with pytest.raises(OutcomeUnknown):
            await opening
        takes_writes(database_url, True, cut=False)
        assert await one.log.head() == 2
