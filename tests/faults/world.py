"""An application in roles on servers of its own, each behind a network that can fail, and what can befall them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx2
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from api.embedded import EmbeddedServers
from api.embedded.folders import Layout, live_state
from api.embedded.process import wait_until
from api.settings import Settings
from tests.faults.agreement import everything_agrees
from tests.faults.everybody import Everybody
from tests.servers.application import ROOT, _below
from tests.servers.daemon import Daemon, still
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.gateway import Gateway
from tests.servers.kafka import Kafka
from tests.servers.proxy import Proxy, proxy_to, through, to_port, to_socket
from tests.servers.roles import Roles
from tests.servers.valkey import TcpValkey

TOPIC: Final = "world"
_REFUSAL: Final = b'{"error":{"type":"es_rejected_execution_exception","reason":"on purpose"},"status":429}'
_BUSY: Final = (
    b"HTTP/1.1 429 Too Many Requests\r\nX-elastic-product: Elasticsearch\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%b"
) % (len(_REFUSAL), _REFUSAL)
"""What Elasticsearch answers whose queue is full."""


class Database:
    """PostgreSQL on a folder of its own, to be killed, frozen and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers = EmbeddedServers(folder, redis=False)

    @property
    def url(self) -> str:
        assert self.servers.addresses.database_url is not None
        return self.servers.addresses.database_url

    @property
    def pid(self) -> int:
        """The postmaster."""
        state = live_state(Layout(self.folder.resolve()))
        assert state is not None
        assert state.postgres_pid is not None
        return state.postgres_pid

    def kill(self) -> None:
        """kill -9 of the postmaster; its children end when they see that."""
        os.kill(self.pid, signal.SIGKILL)

    def start(self) -> None:
        """Have it run again after ``kill``."""
        killed = self.pid
        while self.pid == killed:
            self.servers.watch()

    def freeze(self) -> None:
        """Let all of its processes do nothing and keep their connections.

        The postmaster first: then none begins any more, and one that has ended is kept by it.
        """
        postmaster = self.pid
        os.kill(postmaster, signal.SIGSTOP)
        assert wait_until(lambda: still(postmaster), 60)
        for pid in _below(postmaster):
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        for pid in (*_below(self.pid), self.pid):
            os.kill(pid, signal.SIGCONT)


@dataclass
class World:
    """All of it; ``settings`` lead to the servers themselves, the roles go through the proxies."""

    postgres: Database
    valkey: TcpValkey
    elasticsearch: Elasticsearch
    kafka: Kafka
    roles: Roles
    settings: Settings
    to_postgres: Proxy
    to_elasticsearch: Proxy
    to_kafka: Proxy
    busy: Gateway
    _worked: list[Everybody] = field(default_factory=list)

    @asynccontextmanager
    async def at_work(self, *, patient: bool = False, whole: bool = False) -> AsyncIterator[Everybody]:
        """Have everybody at work meanwhile; afterwards what they did is there once, and no question was refused.

        With ``whole`` everything agrees then, with all that was done since the beginning: what a fault has spoilt
        stays spoilt, so not every fault has to be followed by that.
        """
        number = len(self._worked) + 1
        everybody = Everybody(self.roles.url, f"W{number}", number * 1_000_000, patient=patient)
        self._worked.append(everybody)
        try:
            async with everybody.busy():
                await everybody.more()
                yield everybody
                await everybody.more()
            if not patient:
                assert everybody.health.keys() == {200}
            if whole:
                await everything_agrees(self.settings, self._worked)
            else:
                await everybody.check()
        except Exception as error:  # raised, with what all processes have said
            error.add_note(self.roles.last_words())
            raise

    async def revived(self) -> None:
        """Start the processes that were killed and wait until all are ready."""
        self.roles.revive()
        await asyncio.to_thread(self.roles.wait_until_ready)

    @property
    def optional(self) -> tuple[Daemon, ...]:
        """The servers that the application does without while they are away."""
        return self.kafka, self.elasticsearch, self.valkey

    @property
    def proxies(self) -> tuple[Proxy, ...]:
        return self.to_postgres, self.to_elasticsearch, self.to_kafka

    async def told(self, *command: str) -> str:
        """Run an operator's command and return what it says."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "api", *command),
            cwd=ROOT,
            env={**os.environ, **self.roles.environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, complaint = await process.communicate()
        assert process.returncode == 0, complaint.decode()
        return said.decode()

    async def indexes(self, view: str) -> list[str]:
        """Return the names of the indexes of a view's copy."""
        async with httpx2.AsyncClient(base_url=self.elasticsearch.url, timeout=60) as http:
            answer = await http.get(f"/_cat/indices/{self.settings.elasticsearch_prefix}-{view}-*?h=index")
        return answer.raise_for_status().text.split()

    def flush(self) -> None:
        """Empty Valkey, once it is there again."""
        with Redis.from_url(self.valkey.url, retry=Retry(ConstantBackoff(0.05), 1200)) as client:
            client.flushall()

    def refuse(self, *, bulks: bool) -> None:
        """Have Elasticsearch answer 429 to every bulk request, or no more."""
        self.busy.instead = (lambda target: _BUSY if b"/_bulk" in target else None) if bulks else (lambda _: None)


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    """Start all servers, and the application while Kafka is away."""
    async with AsyncExitStack() as stack:
        postgres, valkey = Database(folder / "postgres"), TcpValkey(folder / "valkey")
        elasticsearch, kafka = Elasticsearch(folder / "elasticsearch"), Kafka(folder / "kafka")
        to_kafka = await stack.enter_async_context(proxy_to(to_port(kafka.far_port), port=kafka.proxy_port))
        await asyncio.gather(
            asyncio.to_thread(postgres.servers.start),
            asyncio.to_thread(valkey.start),
            asyncio.to_thread(elasticsearch.start),
            asyncio.to_thread(kafka.start),
        )
        for end in (postgres.servers.stop, valkey.stop, elasticsearch.stop, kafka.stop):
            stack.callback(end)
        busy = Gateway(commands=[elasticsearch.port], queries=[elasticsearch.port])
        busy.start()
        stack.callback(busy.stop)
        to_elasticsearch = await stack.enter_async_context(proxy_to(to_port(busy.port)))
        to_postgres = await stack.enter_async_context(proxy_to(to_socket(postgres.url)))
        given = {
            "DATABASE_URL": postgres.url,
            "REDIS_URL": valkey.url,
            "ELASTICSEARCH_URL": f"http://127.0.0.1:{to_elasticsearch.port}",
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{kafka.proxy_port}",
            "KAFKA_TOPIC": TOPIC,
            "KAFKA_PARTITIONS": "4",
        }
        settings = Settings(
            database_url=postgres.url,
            redis_url=valkey.url,
            elasticsearch_url=elasticsearch.url,
            kafka_bootstrap_servers=kafka.bootstrap_servers,
            kafka_topic=TOPIC,
        )
        app = Roles(folder / "roles", given)
        app.of_role["commands"] = {"DATABASE_URL": through(to_postgres, postgres.url)}
        await asyncio.to_thread(app.migrate)
        await asyncio.to_thread(kafka.kill)
        app.gateway.start()
        stack.callback(app.stop)
        app.revive()
        await asyncio.to_thread(app.wait_until_ready)
        yield World(
            postgres,
            valkey,
            elasticsearch,
            kafka,
            app,
            settings,
            to_postgres,
            to_elasticsearch,
            to_kafka,
            busy,
        )
