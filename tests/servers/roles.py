"""The application as processes of one role each, on servers that are given, behind one address."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

import httpx2

from api.embedded.process import wait_until
from api.orphans import PARENT
from tests.servers.application import ROOT, _below, _command
from tests.servers.daemon import still
from tests.servers.gateway import Gateway
from tests.servers.ports import ports_of

ALL: Final[Mapping[str, int]] = MappingProxyType({"commands": 2, "queries": 2, "projector": 2, "worker": 2, "relay": 2})
"""How many processes there are of each role."""
PATIENCE: Final = 120.0
"""Seconds that all may take to answer, on a machine that does much else."""


class Process:
    """One process of one role; can be killed, frozen and started again. What it prints is in ``log``."""

    def __init__(self, role: str, number: int, folder: Path) -> None:
        self.name, self.role = f"{role}-{number}", role
        self.port = ports_of(self, folder / f"{self.name}.port", 1)[0] if role in ("commands", "queries") else 0
        self.log = folder / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers, if it does."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    def start(self, environment: Mapping[str, str]) -> None:
        """Start it; from the main thread, since it is to end with this process and would end with its thread."""
        assert threading.current_thread() is threading.main_thread()
        assert not self.running()
        listening = ["--port", str(self.port)] if self.port else []
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "api", "serve", "--role", self.role, *listening],
                cwd=ROOT,
                env={**os.environ, **environment, PARENT: str(os.getpid())},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def running(self) -> bool:
        """Return whether it lives."""
        return self._process is not None and self._process.poll() is None

    def ready(self) -> bool:
        """Return whether it says so, or lives where it does not answer HTTP; AssertionError once it has ended."""
        assert self.running(), f"{self.name} has ended:\n{self.words()}"
        if not self.port:
            return True
        try:
            return httpx2.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx2.TransportError:
            return False

    def words(self) -> str:
        """Return the last that it has printed, nothing if it never was."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""

    def kill(self) -> None:
        """kill -9."""
        os.kill(self.pid, signal.SIGKILL)
        assert self._process is not None
        self._process.wait(PATIENCE)

    def freeze(self) -> None:
        """Let it do nothing and keep its connections."""
        os.kill(self.pid, signal.SIGSTOP)
        assert wait_until(lambda: still(self.pid), PATIENCE), f"{self.name} does not freeze"

    def thaw(self) -> None:
        """Let it go on after ``freeze``."""
        os.kill(self.pid, signal.SIGCONT)

    def ask_to_stop(self) -> None:
        """SIGTERM, if it runs."""
        if self._process is not None and self.running():
            self.thaw()
            self._process.terminate()

    def stopped(self, seconds: float = PATIENCE) -> int | None:
        """Wait for its end and return its exit code; kill it after so many seconds. None if it never was."""
        if self._process is None:
            return None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.returncode


class Roles:
    """All processes of an application, and the gateway in front of them; like ``Application`` to those who ask it."""

    def __init__(self, folder: Path, environment: Mapping[str, str], counts: Mapping[str, int] = ALL) -> None:
        folder.mkdir(parents=True)
        self.of_role: dict[str, dict[str, str]] = {}
        """What the processes of one role have in their environment beside the rest or in its place."""
        self.environment = {"DATA_DIR": str(folder / "data"), "OUTPUT_DIR": str(folder / "files"), **environment}
        self.processes = [
            Process(role, number, folder) for role, count in counts.items() for number in range(1, count + 1)
        ]
        self.gateway = Gateway(
            commands=[each.port for each in self.of("commands")], queries=[each.port for each in self.of("queries")]
        )

    @property
    def port(self) -> int:
        return self.gateway.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def of(self, role: str) -> list[Process]:
        """Return the processes of a role."""
        return [each for each in self.processes if each.role == role]

    def start(self) -> None:
        """Bring the servers to this program's revision, start all processes and wait until they are ready."""
        self.migrate()
        self.gateway.start()
        self.revive()
        self.wait_until_ready()

    def migrate(self) -> None:
        """Bring the servers to this program's revision; raises AssertionError with what is said where that fails."""
        done = subprocess.run(
            [sys.executable, "-m", "api", "migrate"],
            cwd=ROOT,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def revive(self, *roles: str) -> None:
        """Start those that do not run, of these roles or of all; they are not waited for."""
        for each in self.processes:
            if not each.running() and (not roles or each.role in roles):
                self.gateway.resting.add(each.port)
                each.start(self.environment | self.of_role.get(each.role, {}))

    def wait_until_ready(self) -> None:
        """Return when all say that they are; raises AssertionError with the last words of one that has ended."""
        for each in self.processes:
            assert wait_until(each.ready, PATIENCE), f"{each.name} is not ready:\n{each.words()}"
            self.gateway.resting.discard(each.port)

    def restart(self, *roles: str) -> None:
        """Stop the processes of these roles and start them again, on what is set by now; waits until they are ready."""
        found = [each for role in roles for each in self.of(role)]
        for each in found:
            each.ask_to_stop()
        assert [each.stopped() for each in found] == [0] * len(found)
        self.revive(*roles)
        self.wait_until_ready()

    def ready(self) -> bool:
        """Return whether every process is."""
        return all(each.ready() for each in self.processes)

    def stop(self) -> dict[str, int | None]:
        """Ask all to stop and return their exit codes by name."""
        for each in self.processes:
            each.ask_to_stop()
        codes = {each.name: each.stopped() for each in self.processes}
        self.gateway.stop()
        return codes

    def log(self) -> str:
        """Return what all have printed."""
        return "".join(each.log.read_text(errors="replace") for each in self.processes if each.log.exists())

    def last_words(self) -> str:
        """Return the last that each has printed, for who has to find out why a test failed."""
        return "\n".join(f"--- {each.name}, runs: {each.running()}\n{each.words()}" for each in self.processes)

    def child(self, word: str) -> int:
        """Return the first of them."""
        return self.children(word)[0]

    def children(self, word: str) -> list[int]:
        """Return the ids of all processes, and of those under them, whose command line contains the word."""
        own = [each.pid for each in self.processes if each.running()]
        return [pid for pid in own + [child for each in own for child in _below(each)] if word in _command(pid)]


@contextmanager
def roles(folder: Path, environment: Mapping[str, str], counts: Mapping[str, int] = ALL) -> Iterator[Roles]:
    """Run the application in roles; whatever the test did to it, it is gone afterwards."""
    app = Roles(folder, environment, counts)
    try:
        app.start()
        yield app
    finally:
        app.stop()
