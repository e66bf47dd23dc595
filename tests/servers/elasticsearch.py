"""A real Elasticsearch: one node of the official distribution without its optional modules, without Docker."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from api.embedded.identity import Identity, current
from tests.servers import maven
from tests.servers.daemon import Daemon
from tests.servers.java import java_home

VERSION = "9.5.0"

_LEFT_OUT = ("-XX:+UseG1GC", "-XX:+HeapDumpOnOutOfMemoryError", "-Xlog:gc")  # of the options of its JVM
_OPTIONS = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:-AlwaysPreTouch", "-XX:TieredStopAtLevel=1")


class Elasticsearch(Daemon):
    """Elasticsearch on a folder and ports of its own; its two JVMs are one process group."""

    name = "Elasticsearch"
    needs_ports = 2

    def __init__(self, folder: Path, ports: Sequence[int] = ()) -> None:
        super().__init__(folder, ports)
        self.port, self._transport = self.ports

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Write the settings, which the folder keeps, for the program's own folder serves others too."""
        home, config = self._home(), self.folder / "config"
        shutil.copytree(home / "config", config, dirs_exist_ok=True)
        for name in ("tmp", "logs"):
            (self.folder / name).mkdir(exist_ok=True)
        (config / "elasticsearch.yml").write_text("".join(f"{name}: {value}\n" for name, value in self._settings()))
        options = (home / "config" / "jvm.options").read_text().splitlines()
        kept = [line for line in options if not line.startswith(_LEFT_OUT)]
        (config / "jvm.options").write_text("\n".join([*kept, *_OPTIONS, ""]))

    def command(self) -> tuple[Path, dict[str, str], list[str]]:
        """Return where, with what and how it runs."""
        settings = {
            "ES_PATH_CONF": str(self.folder / "config"),
            "ES_TMPDIR": str(self.folder / "tmp"),
            "ES_JAVA_HOME": str(java_home(21)),
            "CLI_JAVA_OPTS": "-XX:TieredStopAtLevel=1",
        }
        return self._home(), settings, [str(self._home() / "bin" / "elasticsearch")]

    def identity(self) -> Identity:
        """Return us, or for root a user namespace where it looks like somebody else: it refuses to run as root."""
        if os.geteuid() == 0 and sys.platform == "linux":
            return Identity("namespace", 1000, 1000)
        return current()

    def answers(self) -> bool:
        """Return whether it is up and has all its indices at hand."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/_cluster/health?wait_for_status=yellow&timeout=1s")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def _home(self) -> Path:
        return maven.unzipped(
            f"elasticsearch-{VERSION}", f"org.elasticsearch.distribution.integ-test-zip:elasticsearch:{VERSION}:zip"
        )

    def _settings(self) -> list[tuple[str, object]]:
        return [
            ("cluster.name", "tests"),
            ("discovery.type", "single-node"),
            ("network.host", "127.0.0.1"),
            ("http.port", self.port),
            ("transport.port", self._transport),
            ("path.data", self.folder / "data"),
            ("path.logs", self.folder / "logs"),
            ("xpack.security.enabled", "false"),
            ("cluster.routing.allocation.disk.threshold_enabled", "false"),
        ]
