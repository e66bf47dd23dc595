"""Fixtures of real servers that run on TCP ports: Kafka, Elasticsearch, and a Valkey with a password.

One Kafka and one Elasticsearch serve a test run, in however many processes, each started when the first test asks.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest

from tests.servers.daemon import Daemon
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.java import Missing
from tests.servers.kafka import Kafka
from tests.servers.proxy import Proxy, proxy_to, to_port
from tests.servers.shared import Keeper, wanted
from tests.servers.valkey import TcpValkey

_numbers = itertools.count(1)

D = TypeVar("D", bound=Daemon)


_keeper = pytest.StashKey[Keeper]()
_KEPT = "folder of the servers of the run"


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process that runs tests where the servers of the run are asked for; called where tests are handed out."""
    if (keeper := node.config.stash.get(_keeper, None)) is None:
        keeper = node.config.stash[_keeper] = Keeper(Path(tempfile.mkdtemp(prefix="foliolog-servers-")))
        keeper.start()
    node.workerinput[_KEPT] = str(keeper.folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the servers of the run where the tests were handed out."""
    if (keeper := config.stash.get(_keeper, None)) is not None:
        keeper.stop()
        shutil.rmtree(keeper.folder, ignore_errors=True)


@contextmanager
def _or_skipped() -> Iterator[None]:
    """Skip the test on a machine that lacks what the server needs; in continuous integration that fails the run."""
    try:
        yield
    except Missing as error:
        pytest.skip(str(error))


def _started(server: D) -> Iterator[D]:
    with _or_skipped():
        server.start()
    yield server
    server.stop()


def _of_the_run(kind: type[D], folder: Path, config: pytest.Config) -> Iterator[D]:
    """Return the one of the run: of all its processes, or of this one where there are no others."""
    kept = getattr(config, "workerinput", {}).get(_KEPT)
    if kept is None:
        yield from _started(kind(folder))
        return
    with _or_skipped():
        server = wanted(Path(kept), kind)
    yield server


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Kafka]:
    """The Kafka of the run, which no test stops or freezes."""
    yield from _of_the_run(Kafka, tmp_path_factory.mktemp("kafka"), pytestconfig)


@pytest.fixture(scope="session")
def elasticsearch(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Elasticsearch]:
    """The Elasticsearch of the run, which no test stops or freezes."""
    yield from _of_the_run(Elasticsearch, tmp_path_factory.mktemp("elasticsearch"), pytestconfig)


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[Kafka]:
    """A Kafka of the test's own, to be killed and frozen."""
    yield from _started(Kafka(tmp_path / "kafka"))


@pytest.fixture
def own_elasticsearch(tmp_path: Path) -> Iterator[Elasticsearch]:
    """An Elasticsearch of the test's own, to be killed and frozen."""
    yield from _started(Elasticsearch(tmp_path / "elasticsearch"))


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[TcpValkey]:
    """A Valkey of the test's own on a TCP port, with a password, to be killed and frozen."""
    yield from _started(TcpValkey(tmp_path / "tcp-valkey"))


@pytest.fixture
def redis_by_url(own_redis: TcpValkey) -> str:
    """The URL of a Valkey on a TCP port, with its password and a database other than the first."""
    return own_redis.url


@pytest.fixture
async def kafka_proxy(kafka: Kafka) -> AsyncIterator[Proxy]:
    """A proxy to the Kafka of the run: clients that begin at its port stay on it."""
    async with proxy_to(to_port(kafka.far_port), port=kafka.proxy_port) as proxy:
        yield proxy


@pytest.fixture
async def elasticsearch_proxy(elasticsearch: Elasticsearch) -> AsyncIterator[Proxy]:
    """A proxy to the Elasticsearch of the run."""
    async with proxy_to(to_port(elasticsearch.port)) as proxy:
        yield proxy


@pytest.fixture
def topic() -> str:
    """A topic's name that no other test has; nobody has made it."""
    return f"test-{os.getpid()}-{next(_numbers)}"


@contextmanager
def _prefix(elasticsearch: Elasticsearch) -> Iterator[str]:
    prefix = f"test-{os.getpid()}-{next(_numbers)}-"
    yield prefix
    with httpx2.Client(base_url=elasticsearch.url, timeout=60) as client:
        found = client.get(f"/_cat/indices/{prefix}*", params={"h": "index", "expand_wildcards": "all"})
        for index in found.raise_for_status().text.split():
            gone = client.delete(f"/{index}")
            if gone.status_code != httpx2.codes.NOT_FOUND:  # what a copier asked for before it ended may be first
                gone.raise_for_status()


@pytest.fixture
def index_prefix(elasticsearch: Elasticsearch) -> Iterator[str]:
    """What the names of all indices of one test begin with; they are deleted after it."""
    with _prefix(elasticsearch) as prefix:
        yield prefix


@pytest.fixture(scope="module")
def kept_index_prefix(elasticsearch: Elasticsearch) -> Iterator[str]:
    """The same of all tests of a module that ask for it and change nothing."""
    with _prefix(elasticsearch) as prefix:
        yield prefix
