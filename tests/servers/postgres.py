"""A PostgreSQL as other people run theirs: on a TCP port."""

from __future__ import annotations

import signal
from pathlib import Path

import psycopg

from api.embedded import binaries
from api.embedded.identity import Identity, choose
from api.embedded.process import Spawner
from tests.servers.daemon import PATIENCE, Daemon

_USER = "foliolog"


class TcpPostgres(Daemon):
    """The embedded PostgreSQL's programs on 127.0.0.1, with a cluster of its own that nobody has migrated."""

    name = "PostgreSQL"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (self.port,) = self.ports
        self._cluster = self.folder / "cluster"
        self._identity = choose(self._cluster, [binaries.postgres(), self.folder])
        self.url = f"postgresql://{_USER}@127.0.0.1:{self.port}/postgres?gssencmode=disable&sslmode=disable"

    def prepare(self) -> None:
        """Make the cluster."""
        if self._cluster.exists():
            return
        self._cluster.mkdir(mode=0o700)
        self._identity.give(self._cluster)
        spawner = Spawner()
        command: list[str | Path] = [
            binaries.postgres() / "initdb",
            "-D",
            self._cluster,
            "-U",
            _USER,
            "-E",
            "UTF8",
            "--locale=C",
            "-A",
            "trust",
        ]
        child = spawner.spawn(command, identity=self._identity, death=signal.SIGKILL, log=self.log)
        code = child.wait(PATIENCE)
        spawner.close()
        assert code == 0, self.log.read_text()

    def command(self) -> tuple[Path, dict[str, str], list[str]]:
        """Return where, with what and how it runs."""
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": ""}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return self.folder, {}, [str(binaries.postgres() / "postgres"), "-D", str(self._cluster), *options]

    def identity(self) -> Identity:
        """Return somebody that PostgreSQL accepts: it refuses to run as root."""
        return self._identity

    def answers(self) -> bool:
        """Return whether it takes connections."""
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True
