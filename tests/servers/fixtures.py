"""Real servers for tests: started once a run; every test has a fresh migrated database and an empty Valkey."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool
from redis import Redis

from api.embedded import EmbeddedServers
from api.embedded.process import wait_until
from migrations import migrate
from postgres.sessions import Connection

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Servers:
    """Where the servers of the run are; ``database_url`` is of a database for administration only."""

    database_url: str
    redis_url: str

    def database(self, name: str) -> str:
        """Return the URL of another database on the same server."""
        parts = urlsplit(self.database_url)
        return f"{parts.scheme}://{parts.netloc}/{name}?{parts.query}"

    def admin(self, statement: str) -> None:
        """Run a statement that cannot be in a transaction."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute(statement)

    def until_left(self, name: str) -> None:
        """Return when no session is in the database: one that was closed is there until the server has heard of it."""
        there = "select 1 from pg_stat_activity where datname = %s"
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            assert wait_until(lambda: connection.execute(there, [name]).fetchone() is None, 240)

    def drop(self, name: str) -> None:
        """Drop a database, however long those that are in it take to be ended: the server waits five seconds."""
        end = "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s"
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute(f"alter database {name} allow_connections false")
            connection.execute(end, [name])
            self.until_left(name)
            connection.execute(f"drop database {name} with (force)")


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """PostgreSQL with a migrated template database, and Valkey."""
    with EmbeddedServers(tmp_path_factory.mktemp("servers")) as embedded:
        addresses = embedded.addresses
        assert addresses.database_url is not None
        assert addresses.redis_url is not None
        found = Servers(addresses.database_url, addresses.redis_url)
        found.admin("create database migrated")
        migrate(found.database("migrated"))
        found.admin("alter database migrated allow_connections false")  # none ever stands in the way of a copy
        found.until_left("migrated")
        yield found


@contextmanager
def _migrated(servers: Servers) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    servers.admin(f"create database {name} template migrated")
    with psycopg.connect(servers.database(name), autocommit=True) as connection:
        connection.execute("update app.log set epoch = gen_random_uuid()")
    yield servers.database(name)
    servers.drop(name)


@pytest.fixture
def database_url(servers: Servers) -> Iterator[str]:
    """A fresh database with an empty log, dropped after the test."""
    with _migrated(servers) as url:
        yield url


@pytest.fixture(scope="module")
def kept_database_url(servers: Servers) -> Iterator[str]:
    """The same, one for all tests of a module that ask for it and change nothing."""
    with _migrated(servers) as url:
        yield url


@pytest.fixture
def empty_database_url(servers: Servers) -> Iterator[str]:
    """A fresh database in which nothing was ever made, dropped after the test."""
    name = f"test_{next(_numbers)}"
    servers.admin(f"create database {name}")
    yield servers.database(name)
    servers.drop(name)


@pytest.fixture
def redis_url(servers: Servers) -> str:
    """The Valkey of the run, empty."""
    with Redis.from_url(servers.redis_url) as client:
        client.flushall()
    return servers.redis_url


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[AsyncConnectionPool[Connection]]:
    """Connections to the test's database, as the processes of the application have them."""
    kwargs = {"autocommit": True}
    async with AsyncConnectionPool[Connection](database_url, min_size=1, max_size=8, kwargs=kwargs) as pool:
        yield pool


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[EmbeddedServers]:
    """A Valkey of the test's own, to be killed and set back."""
    with EmbeddedServers(tmp_path / "valkey", postgres=False) as servers:
        yield servers
