"""Role ``all``: one process that owns the embedded servers and two children, and ends with all of them.

The parent holds the listening socket, so a request that comes while the HTTP child is restarted waits instead of being
refused. The children die with the parent, also when it is killed.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from api.embedded import EmbeddedServers
from api.orphans import PARENT

CRASHES = 5
WITHIN = 60.0
_LOOK = 0.2

log = structlog.get_logger(__name__)


class GaveUp(Exception):
    """A child keeps ending; the message is the sentence for the operator."""


@dataclass
class Child:
    """One process of ours: how it is started, and when it ended of late without being asked to."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    inherited: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    ends: deque[float] = field(default_factory=deque)
    next_try: float = 0.0

    def start(self) -> None:
        """Start it in a session of its own: Ctrl-C in a terminal is for the parent, which stops it in order."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "api", *self.arguments],
            env={**os.environ, **self.environment, PARENT: str(os.getpid())},
            pass_fds=self.inherited,
            start_new_session=True,
        )

    def look_after(self) -> None:
        """Start it again when it has ended, later each time; raises ``GaveUp`` when it ends too often."""
        if self.process is not None:
            code = self.process.poll()
            if code is None:
                return
            self.process = None
            now = time.monotonic()
            self.ends.append(now)
            while self.ends[0] < now - WITHIN:
                self.ends.popleft()
            if len(self.ends) > CRASHES:
                raise GaveUp(f"process {self.name} ended {len(self.ends)} times within {WITHIN:.0f} seconds")
            self.next_try = now + 0.1 * 2 ** (len(self.ends) - 1)
            log.warning("process ended", process=self.name, exit_code=code)
        if time.monotonic() >= self.next_try:
            self.start()

    def stop(self, seconds: float) -> None:
        """Ask it to end and wait; kill it after so many seconds."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            log.warning("process did not stop in time", process=self.name, seconds=seconds)
            self.process.kill()
            self.process.wait()


def listen(host: str, port: int, *, patience: float = 5.0) -> socket.socket:
    """Return a socket that listens; raises ``OSError`` when the port stays taken for so many seconds."""
    deadline = time.monotonic() + patience
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
            listening.listen(2048)
        except OSError:
            listening.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            listening.set_inheritable(True)
            return listening


def supervise(
    servers: EmbeddedServers | None, children: Sequence[Child], *, stop_within: float, ready: Callable[[], None]
) -> None:
    """Run until SIGTERM or SIGINT, then stop the children in their order; raises what made it give up.

    ``ready`` is called once, when all has been started.
    """
    stopping = threading.Event()
    previous = {number: signal.signal(number, lambda *_: stopping.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        for child in children:
            child.start()
        ready()
        while not stopping.wait(_LOOK):
            if servers is not None:
                servers.watch()
            for child in children:
                child.look_after()
    finally:
        for child in children:
            child.stop(stop_within)
        for number, handler in previous.items():
            signal.signal(number, handler)
