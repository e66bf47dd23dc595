"""The embedded Valkey: a cache on a unix socket that keeps nothing."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import threading
from pathlib import Path
from urllib.parse import quote

from api.embedded.errors import EmbeddedError
from api.embedded.folders import Layout
from api.embedded.identity import Identity
from api.embedded.process import Child, Spawner, last_words, send, trim_log, wait_until, working_in

MAX_MEMORY = "256mb"

_PATIENCE = 60.0  # seconds to answer the first PING, on a machine that is busy with its own start too


class Valkey:
    """One Valkey server; a direct child of this process. What it held is gone when it ends, as with any cache."""

    name = "Valkey"

    def __init__(
        self,
        layout: Layout,
        sockets: Path,
        program: Path,
        identity: Identity,
        spawner: Spawner,
        stopping: threading.Event,
    ) -> None:
        self._socket = sockets / "valkey.sock"
        self.url = f"unix://{quote(str(self._socket))}?db=0"
        self._sockets, self._program = sockets, program
        self._identity, self._spawner, self._stopping = identity, spawner, stopping
        self._child: Child | None = None
        self.log = layout.logs / "valkey.log"

    @property
    def pid(self) -> int | None:
        """The process last started."""
        return self._child.pid if self._child else None

    def start(self, known: int | None, *, create: bool) -> None:
        """Start and wait until it answers; one that a dead owner left behind is ended first."""
        send(signal.SIGKILL, working_in(self._sockets, "valkey-server"))
        self._socket.unlink(missing_ok=True)
        trim_log(self.log)
        before = self.log.stat().st_size if self.log.exists() else 0
        settings = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._sockets),
            "save": "",
            "appendonly": "no",
            "maxmemory": MAX_MEMORY,
            "maxmemory-policy": "allkeys-lru",
            "daemonize": "no",
            "loglevel": "warning",
        }
        options = [part for name, value in settings.items() for part in (f"--{name}", value)]
        self._child = child = self._spawner.spawn(
            [self._program, *options], identity=self._identity, death=signal.SIGKILL, log=self.log
        )
        answered = wait_until(lambda: child.poll() is not None or self._answers(), _PATIENCE, self._stopping)
        if not answered or child.poll() is not None:  # not asked again: another answer can take longer
            raise EmbeddedError(
                f"Valkey did not start ({last_words(self.log, before)}): see {self.log}, or set REDIS_URL"
            )

    def running(self) -> bool:
        """Whether the server lives; a dead one is reaped."""
        return self._child is not None and self._child.poll() is None

    def ask_to_stop(self) -> None:
        """Begin the shutdown."""
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()

    def make_stopped(self, seconds: float) -> None:
        """Wait for the end, and kill it after `seconds`: there is nothing to lose."""
        if self._child is not None:
            try:
                self._child.wait(seconds)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        self._socket.unlink(missing_ok=True)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1.0)
            connection.connect(str(self._socket))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        return False
