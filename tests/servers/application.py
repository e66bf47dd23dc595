"""The application as its users start it: a process tree on a port, with servers and data of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from api.embedded.process import wait_until
from api.orphans import PARENT
from tests.servers.daemon import PATIENCE
from tests.servers.ports import free_port, listened_to

ROOT = Path(__file__).parent.parent.parent


@dataclass
class Application:
    """``./run serve`` on one data folder; can be killed and started again."""

    data_dir: Path
    port: int = field(default_factory=free_port)
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *arguments: str) -> None:
        """Start it and wait until it says that it is ready."""
        with (self.data_dir.parent / "application.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "api",
                    "serve",
                    "--port",
                    str(self.port),
                    "--data-dir",
                    str(self.data_dir),
                    *arguments,
                ],
                cwd=ROOT,
                env={**os.environ, **self.environment, **_mortal()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + PATIENCE
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"the application did not start:\n{self.log()[-4000:]}")
            time.sleep(0.05)

    def ready(self) -> bool:
        """Return whether it answers that it is ready."""
        try:
            return httpx2.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx2.TransportError:
            return False

    def log(self) -> str:
        """Return what it has printed."""
        return (self.data_dir.parent / "application.log").read_text(errors="replace")

    def kill(self) -> None:
        """kill -9 of the process that was started; returns when none of those under it is at its port."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE)
        assert wait_until(lambda: not listened_to(self.port), PATIENCE), "a process outlives its parent"

    def stop(self) -> int:
        """Ask it to stop and return its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def child(self, word: str) -> int:
        """Return the id of a process under it whose command line contains the word, once there is one."""
        deadline = time.monotonic() + PATIENCE
        while not (found := self.children(word)):
            if time.monotonic() > deadline:
                raise AssertionError(f"no process with {word!r} under the application:\n{self.log()[-4000:]}")
            time.sleep(0.05)
        return found[0]

    def children(self, word: str) -> list[int]:
        """Return the ids of all processes under it whose command line contains the word."""
        assert self.process is not None
        return [pid for pid in _below(self.process.pid) if word in _command(pid)]


def _mortal() -> dict[str, str]:
    """Return what makes it end with this process, however that ends; only the main thread lives as long."""
    return {PARENT: str(os.getpid())} if threading.current_thread() is threading.main_thread() else {}


def _below(pid: int) -> list[int]:
    found = []
    with suppress(OSError):  # it has ended meanwhile
        for task in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError):  # threads come and go
                for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                    found += [int(child), *_below(int(child))]
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


@contextmanager
def application(folder: Path, *arguments: str, **environment: str) -> Iterator[Application]:
    """Run the application; whatever the test did to it, it is gone afterwards."""
    app = Application(folder / "data", environment=environment)
    app.start(*arguments)
    try:
        yield app
    finally:
        app.stop()


@contextmanager
def role(name: str, folder: Path, **environment: str) -> Iterator[Application]:
    """Run one role that answers HTTP as a process of its own, on the servers given."""
    folder.mkdir()
    with application(folder, "--role", name, **environment) as app:
        yield app


@contextmanager
def projector(**environment: str) -> Iterator[int]:
    """Run the role that projects as a process of its own, on the servers given; yield its id."""
    command = [sys.executable, "-m", "api", "serve", "--role", "projector"]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment, **_mortal()})
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(PATIENCE)
