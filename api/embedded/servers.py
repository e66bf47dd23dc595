"""The owner of the embedded servers: starts both, watches over them, stops them."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from api.embedded import binaries, folders
from api.embedded.errors import EmbeddedError
from api.embedded.folders import Layout, Ownership, State
from api.embedded.identity import choose, current
from api.embedded.postgres import Postgres
from api.embedded.process import Spawner, trim_log
from api.embedded.valkey import Valkey

CRASHES = 5  # so many ends of one server ...
WITHIN = 60.0  # ... in so many seconds are too many
_SLOWEST = 5.0  # seconds between restarts at most


@dataclass(frozen=True)
class Addresses:
    """Where the servers are: for psycopg and libpq, and for redis-py; None for one that is not run."""

    database_url: str | None
    redis_url: str | None


class _Server(Protocol):
    """What the owner needs of a server."""

    name: str
    url: str
    log: Path

    @property
    def pid(self) -> int | None: ...
    def start(self, known: int | None, *, create: bool) -> None: ...
    def running(self) -> bool: ...
    def ask_to_stop(self) -> None: ...
    def make_stopped(self, seconds: float) -> None: ...


@dataclass
class _Watched:
    """A server, and when it ended of late without being asked to."""

    server: _Server
    ends: deque[float] = field(default_factory=deque)
    down: bool = False
    next_try: float = 0.0


class EmbeddedServers:
    """PostgreSQL and Valkey on one data folder, for as long as this object is started or this process lives.

    One owner at a time has a data folder. On Linux the servers end with their owner however it ends; elsewhere a killed
    owner leaves them to the next start, which ends them. Use as a context manager, or pair `start` with `stop`.
    """

    def __init__(self, data_dir: Path, *, redis: bool = True, postgres: bool = True) -> None:
        self._data_dir, self._redis, self._postgres = data_dir, redis, postgres
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._servers: list[_Watched] = []
        self._ownership: Ownership | None = None
        self._spawner: Spawner | None = None
        self._layout: Layout | None = None
        self._process = 0
        self.addresses = Addresses(None, None)

    def start(self) -> Addresses:
        """Start the servers and wait until they answer; the database is made at the first start.

        Raises EmbeddedError when it cannot be, and has then stopped whatever it had started.
        """
        with self._lock:
            if self._ownership is not None:
                return self.addresses
            self._stopping.clear()
            self._layout = folders.make(self._data_dir)
            self._ownership = Ownership(self._layout)
            self._process = os.getpid()
            self._spawner = Spawner()
            atexit.register(self.stop)
            try:
                self._start_all(self._layout, self._spawner)
            except OSError as error:
                self.stop()
                raise folders.unusable(self._layout.root, error) from error
            except BaseException:
                self.stop()
                raise
            return self.addresses

    def watch(self) -> None:
        """Restart what has died, with growing pauses; returns at once when all is well, or while a pause lasts.

        To be called every second or so, from any thread. Raises EmbeddedError when a server keeps dying.
        """
        with self._lock:
            if self._ownership is None or self._stopping.is_set():
                return
            for watched in self._servers:
                self._look_after(watched)
                trim_log(watched.server.log)

    def stop(self, seconds: float = 30.0) -> None:
        """Shut the servers down and wait; kill what is still there after `seconds`. Can be called again."""
        self._stopping.set()
        with self._lock:
            if self._ownership is None or self._process != os.getpid():  # a fork of the owner owns nothing
                return
            for watched in self._servers:
                watched.server.ask_to_stop()
            deadline = time.monotonic() + seconds
            for watched in self._servers:
                watched.server.make_stopped(max(0.0, deadline - time.monotonic()))
            if self._layout:
                self._layout.state.unlink(missing_ok=True)
            if self._spawner:
                self._spawner.close()
            self._ownership.release()
            self._servers, self._ownership, self._spawner = [], None, None
            self.addresses = Addresses(None, None)
            atexit.unregister(self.stop)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start_all(self, layout: Layout, spawner: Spawner) -> None:
        last = folders.read_state(layout)
        programs = binaries.postgres() if self._postgres else None
        cache = binaries.valkey() if self._redis else None
        needed = [
            layout.root,
            *((programs / "postgres", programs / "initdb") if programs else ()),
            *([cache] if cache else []),
        ]
        identity = choose(layout.cluster, needed) if programs else current()
        sockets = folders.socket_folder(layout, identity)
        if cache:
            valkey = Valkey(layout, sockets, cache, identity, spawner, self._stopping)
            self._servers.append(_Watched(valkey))
            valkey.start(last.valkey_pid if last else None, create=True)
        if programs:
            postgres = Postgres(layout, sockets, programs, identity, spawner, self._stopping)
            self._servers.append(_Watched(postgres))
            postgres.start(last.postgres_pid if last else None, create=True)
        self._publish()

    def _look_after(self, watched: _Watched) -> None:
        server, now = watched.server, time.monotonic()
        if server.running():
            watched.down = False
            return
        if not watched.down:
            watched.down = True
            self._count(watched, now)
        if now < watched.next_try:
            return
        try:
            server.start(server.pid, create=False)
        except EmbeddedError as error:
            if not self._stopping.is_set():
                self._count(watched, time.monotonic(), error)
            return
        watched.down = False
        self._publish()

    @staticmethod
    def _count(watched: _Watched, now: float, error: EmbeddedError | None = None) -> None:
        """Enter one end; the first restart is at once, each further one later."""
        watched.ends.append(now)
        while watched.ends[0] < now - WITHIN:
            watched.ends.popleft()
        if len(watched.ends) > CRASHES:
            raise EmbeddedError(
                f"{watched.server.name} ended {len(watched.ends)} times within {WITHIN:.0f} seconds: "
                f"{error or f'see {watched.server.log}'}"
            ) from error
        watched.next_try = now + (0.0 if len(watched.ends) == 1 else min(0.1 * 2 ** len(watched.ends), _SLOWEST))

    def _publish(self) -> None:
        by_name = {watched.server.name: watched.server for watched in self._servers}
        postgres, valkey = by_name.get(Postgres.name), by_name.get(Valkey.name)
        self.addresses = Addresses(postgres.url if postgres else None, valkey.url if valkey else None)
        if self._layout and self._ownership:
            state = State(
                token=self._ownership.token,
                owner=os.getpid(),
                database_url=self.addresses.database_url,
                redis_url=self.addresses.redis_url,
                postgres_pid=postgres.pid if postgres else None,
                valkey_pid=valkey.pid if valkey else None,
            )
            folders.write_state(self._layout, state)


def running(data_dir: Path) -> Addresses | None:
    """The servers of a live owner of the data folder, for tools that join it; None when there are none (yet)."""
    state = folders.live_state(Layout(data_dir.resolve()))
    return Addresses(state.database_url, state.redis_url) if state else None
