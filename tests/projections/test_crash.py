"""PostgreSQL killed in mid-traffic: a projector's commits may be lost, the log and every answer stay true."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import psycopg
import pytest

from api.embedded import EmbeddedServers
from domain.errors import Unavailable
from migrations import migrate
from projections.portfolio import PORTFOLIO_PROJECTOR
from projections.rebuild import verify
from read_side.adapters.postgres_builder import PostgresBuilder
from read_side.adapters.redis import RedisHotCopy
from read_side.adapters.redis_link import connect, guarded
from read_side.optional import Breaker
from read_side.portfolio import Portfolios
from tests.projections.logs import append, deposited, opened, process
from tests.projections.running import running


@pytest.fixture
def own_servers(tmp_path: Path) -> Iterator[EmbeddedServers]:
    with EmbeddedServers(tmp_path / "servers") as servers:
        assert servers.addresses.database_url is not None
        migrate(servers.addresses.database_url)
        yield servers


def kill_and_restart(servers: EmbeddedServers, database_url: str, data: Path) -> None:
    postmaster = int((data / "servers" / "postgres" / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGKILL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        servers.watch()
        with suppress(psycopg.OperationalError), psycopg.connect(database_url) as connection:
            connection.execute("select 1")
            return
    raise TimeoutError("PostgreSQL was not restarted")


async def test_a_killed_database_makes_no_answer_wrong(own_servers: EmbeddedServers, tmp_path: Path) -> None:
    database_url, redis_url = own_servers.addresses.database_url, own_servers.addresses.redis_url
    assert database_url is not None
    assert redis_url is not None
    async with process(database_url) as one, AsyncExitStack() as closing:
        link = guarded(connect(redis_url, timeout=1.0), breaker=Breaker(0.01, 0.05))
        closing.push_async_callback(link.close)
        hot = RedisHotCopy(link, one.signals)
        queries = Portfolios(one.store, one.signals, hot)
        acknowledged = [(await append(database_url, opened("A", "1")), 1)]
        async with running(one, hot=hot):
            for _ in range(3):
                for _ in range(30):
                    version = acknowledged[-1][1] + 1
                    position = await append(database_url, deposited("A", version, str(version)))
                    acknowledged.append((position, version))
                await asyncio.to_thread(kill_and_restart, own_servers, database_url, tmp_path)
                position, version = acknowledged[-1]
                async with asyncio.timeout(180):
                    while True:
                        with suppress(Unavailable):
                            row = await queries.by_id("A", at_least=position, wait=60)
                            break
                assert row.version == version
                found = await queries.search("a", at_least=position, wait=60)
                assert [row.version for row in found.rows] == [version]
        compared = await verify(PORTFOLIO_PROJECTOR, one.history, PostgresBuilder(database_url))
        assert compared.differences == []
