"""Role ``all``: one process that owns the embedded servers and three children, and ends with all of them.

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
REST = 30.0
"""Seconds at most between two tries of a process that keeps ending."""
_LOOK = 0.2

log = structlog.get_logger(__name__)


class GaveUp(Exception):
    """A child keeps ending; the message is the sentence for the operator."""


@dataclass
class Child:
    """One process of ours: how it is started, and when it ended of late without being asked to.

    The others go on without one that is not ``needed``: when it ends too often it rests before it is tried again.
    """

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    inherited: tuple[int, ...] = ()
    needed: bool = True
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
            if len(self.ends) > CRASHES and self.needed:
                raise GaveUp(f"process {self.name} ended {len(self.ends)} times within {WITHIN:.0f} seconds")
            self.next_try = now + min(0.1 * 2 ** (len(self.ends) - 1), REST)
            log.warning("process ended, it is started again", process=self.name, exit_code=code)
        if time.monotonic() >= self.next_try:
            self.start()

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def stopped(self) -> bool:
        """Whether it has ended."""
        return self.process is None or self.process.poll() is not None

    def kill(self) -> None:
        """End it without asking."""
        if self.process is not None and self.process.poll() is None:
            log.warning("process did not stop in time", process=self.name)
            self.process.kill()
            self.process.wait()


def listen(host: str, port: int, *, patience: float = 2.0) -> socket.socket:
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


class _Signals:
    """How often SIGTERM or SIGINT came. A plain counter: a handler must not take a lock that it interrupts."""

    def __init__(self) -> None:
        self.count = 0
        self._previous = {number: signal.signal(number, self._heard) for number in (signal.SIGTERM, signal.SIGINT)}

    def _heard(self, _number: int, _frame: object) -> None:
        self.count += 1

    def restore(self) -> None:
        """Put the former handlers back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)


class _Watch(threading.Thread):
    """Looks after the embedded servers beside the main thread: a restart can take minutes, a stop must not wait."""

    def __init__(self, servers: EmbeddedServers) -> None:
        super().__init__(name="watch", daemon=True)
        self._servers = servers
        self.ending = threading.Event()
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            while not self.ending.wait(_LOOK):
                self._servers.watch()
        except Exception as error:
            self._report(error)

    def _report(self, error: Exception) -> None:
        """Hand it to the main thread, which raises it."""
        self.error = error


def supervise(
    servers: EmbeddedServers | None,
    children: Sequence[Child],
    listening: socket.socket,
    *,
    stop_within: float,
    ready: Callable[[], None],
    until: Callable[[], bool] = lambda: False,
) -> None:
    """Run until SIGTERM or SIGINT, then stop the children; a second signal ends them at once.

    It also ends when ``until`` says so. ``ready`` is called once, when all has been started. Raises what made it give
    up: ``GaveUp``, ``EmbeddedError``.
    """
    signals = _Signals()
    watch = _Watch(servers) if servers is not None else None
    try:
        for child in children:
            child.start()
        if watch is not None:
            watch.start()
        ready()
        while not signals.count and not until():
            time.sleep(_LOOK)
            if watch is not None and watch.error is not None:
                raise watch.error
            for child in children:
                child.look_after()
    finally:
        if watch is not None:
            watch.ending.set()
        listening.close()
        _stop(children, signals, stop_within)
        signals.restore()


def _stop(children: Sequence[Child], signals: _Signals, seconds: float) -> None:
    """Ask all children to end and wait for them, for so long at most or until another signal comes."""
    heard, deadline = signals.count, time.monotonic() + seconds
    for child in children:
        child.ask_to_stop()
    while time.monotonic() < deadline and signals.count == heard and not all(child.stopped() for child in children):
        time.sleep(0.02)
    for child in children:
        child.kill()
