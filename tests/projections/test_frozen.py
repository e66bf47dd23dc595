"""Connections that are open and answer no more, as after a failover: nothing closes them, and new ones are served."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import psycopg
import pytest

from domain.errors import StoreUnavailable
from postgres import sessions
from read_side.adapters.postgres_leader import PostgresLeadership
from read_side.portfolio import PORTFOLIOS
from read_side.signals import Signals
from tests.projections.logs import append, deposited, opened, process
from tests.projections.running import running
from tests.servers.proxy import proxy_to, through, to_socket
from write_side.adapters.postgres_work import PostgresWorkLeadership

_ASKING = """
select count(*) from pg_stat_activity where datname = current_database() and query like 'select pg_try_advisory_lock%'
"""
LEADERSHIPS: dict[str, Callable[[str], AbstractAsyncContextManager[Any]]] = {
    "view": lambda url: PostgresLeadership(url, Signals()).lead("a"),
    "follower": lambda url: PostgresLeadership(url, Signals()).follow("a"),
    "policy": lambda url: PostgresWorkLeadership(url).lead("a"),
}


async def test_a_listener_and_an_idle_leader_come_back(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        proxy_to(to_socket(database_url)) as proxy,
        process(through(proxy, database_url)) as one,
        running(one) as runner,
    ):
        await one.store.wait_for(PORTFOLIOS, await append(database_url, opened("A", "5")), 60)
        assert runner.leading
        monkeypatch.setattr(sessions, "LIMIT", 1.0)  # only now: nothing before may fail by it
        proxy.freeze()
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as successor:
            ended = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
            await successor.execute(f"{ended} and application_name like 'foliolog-%%'", ())
        head = await append(database_url, deposited("A", 2, "6"))
        assert await one.signals.wait_for_head(head, 60)
        await one.store.wait_for(PORTFOLIOS, head, 60)


@pytest.mark.parametrize("lead", LEADERSHIPS.values(), ids=LEADERSHIPS)
async def test_who_stands_by_notices(
    database_url: str, monkeypatch: pytest.MonkeyPatch, lead: Callable[[str], AbstractAsyncContextManager[Any]]
) -> None:
    async def stand(url: str) -> None:
        async with lead(url):
            pass

    async with (
        proxy_to(to_socket(database_url)) as proxy,
        lead(database_url),
        await psycopg.AsyncConnection.connect(database_url, autocommit=True) as operator,
    ):
        standing = asyncio.create_task(stand(through(proxy, database_url)))
        async with asyncio.timeout(60):
            while await (await operator.execute(_ASKING)).fetchone() != (2,):
                pass
        monkeypatch.setattr(sessions, "LIMIT", 0.2)
        proxy.freeze()
        with pytest.raises(StoreUnavailable, match="lost the session that stood for leading"):
            await standing
