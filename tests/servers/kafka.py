"""A real Kafka: one node that is broker and controller, from Maven Central, without Docker."""

from __future__ import annotations

import socket
import struct
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from pathlib import Path

from tests.servers import maven
from tests.servers.daemon import Daemon
from tests.servers.java import java_home

VERSION = "4.3.1"

_LOGGING = """status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
logger.kafka.name = kafka
logger.kafka.level = info
"""


class Kafka(Daemon):
    """Kafka on a folder and ports of its own; topics are made by those who use them, never by a mere question.

    It sends clients that come by `far_port` back to `proxy_port`, where a test may put a proxy to `far_port`: a client
    that begins at the proxy never leaves it.
    """

    name = "Kafka"
    needs_ports = 5

    def __init__(self, folder: Path, ports: Sequence[int] = ()) -> None:
        super().__init__(folder, ports)
        self.port, self.far_port, self.proxy_port, self._inner, self._controller = self.ports

    @property
    def bootstrap_servers(self) -> str:
        """Where its clients begin."""
        return f"127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Write the settings, and make the data folder at the first start."""
        self._settings.write_text("".join(f"{name}={value}\n" for name, value in self._properties().items()))
        (self.folder / "log4j2.properties").write_text(_LOGGING)
        if not (self.folder / "data" / "meta.properties").exists():
            cluster = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
            self.run(*self._java("-Xmx64m"), "kafka.tools.StorageTool", "format", f"-t={cluster}", "-c", self._settings)

    def command(self) -> tuple[Path, dict[str, str], list[str]]:
        """Return where, with what and how it runs."""
        java = self._java("-Xms128m", "-Xmx384m", f"-Dlog4j2.configurationFile={self.folder}/log4j2.properties")
        return self.folder, {}, [*java, "kafka.Kafka", str(self._settings)]

    def answers(self) -> bool:
        """Return whether it says which requests it knows (ApiVersions, version 0)."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(struct.pack(">ihhih", 10, 18, 0, 1, -1))
                return len(connection.recv(4)) == 4
        except OSError:
            return False

    @property
    def _settings(self) -> Path:
        return self.folder / "server.properties"

    def _java(self, *options: str) -> list[str]:
        jars = maven.jars(
            f"kafka-{VERSION}",
            [f"org.apache.kafka:kafka_2.13:{VERSION}", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"],
        )
        program = java_home(17) / "bin" / "java"
        return [str(program), *options, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*"]

    def _properties(self) -> dict[str, object]:
        heard = {"PLAINTEXT": self.port, "FAR": self.far_port, "INNER": self._inner, "CONTROLLER": self._controller}
        told = {"PLAINTEXT": self.port, "FAR": self.proxy_port, "INNER": self._inner}
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller}",
            "listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in heard.items()),
            "advertised.listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in told.items()),
            "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in heard),
            "inter.broker.listener.name": "INNER",  # its own requests take no way through a proxy
            "controller.listener.names": "CONTROLLER",
            "log.dirs": self.folder / "data",
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 4,
            "group.initial.rebalance.delay.ms": 0,
            "auto.create.topics.enable": "false",
            "broker.session.timeout.ms": 3000,  # how long a start after a kill waits
            "broker.heartbeat.interval.ms": 1000,
            "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
        }
