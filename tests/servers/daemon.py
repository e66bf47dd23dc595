"""A real server of the tests' own in a process group of its own: started, stopped, killed, frozen, started again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from api.embedded.identity import Identity, current
from api.embedded.process import Child, Spawner, last_words, open_log, wait_until
from tests.servers import guard
from tests.servers.ports import ports_of

PATIENCE = 240.0  # seconds for a start or an end, on a machine that does much else
_END = 60.0  # seconds for processes to stop or to end that were told to


class Daemon:
    """One server on a folder and ports that stay the same; it ends with this process, however that ends (Linux).

    Use as a context manager, or pair `start` with `stop`. What it prints is in `log`. All methods block: within an
    event loop that has other work, call them by ``asyncio.to_thread``. With `ports` it is one that somebody else has
    started there, and not ours to start or stop.
    """

    name = "the server"
    needs_ports = 1

    def __init__(self, folder: Path, ports: Sequence[int] = ()) -> None:
        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ports = list(ports) or ports_of(self, self.folder / "ports", self.needs_ports)
        self.log = self.folder / "server.log"
        self._spawner: Spawner | None = None
        self._guard: Child | None = None
        self._since = 0  # where in the log this start begins
        self._deadline = 0.0

    @property
    def pid(self) -> int:
        """The leader of its process group."""
        assert self._guard is not None, f"{self.name} was not started"
        return self._guard.pid

    def prepare(self) -> None:
        """Make in the folder what the server needs and lacks; nothing for most."""

    def command(self) -> tuple[Path, dict[str, str], list[str]]:
        """Return its working directory, its settings in the environment and its command line."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Return whether it does its work."""
        raise NotImplementedError

    def identity(self) -> Identity:
        """Return as whom it runs."""
        return current()

    def start(self) -> None:
        """Start it and wait until it answers; raises RuntimeError with its last words when it does not."""
        self.launch()
        while not self.ready():
            time.sleep(0.1)

    def launch(self) -> None:
        """Start it, and leave the wait until it is `ready` to the caller."""
        assert not self.running(), f"{self.name} runs already"
        self.prepare()
        self._since = self.log.stat().st_size if self.log.exists() else 0
        self._deadline = time.monotonic() + PATIENCE
        place, settings, command = self.command()
        self._spawner = Spawner()
        self._guard = self._spawner.spawn(
            [
                sys.executable, "-I", "-S", guard.__file__, place,
                *(f"{name}={value}" for name, value in settings.items()), "--", *command,
            ],
            identity=self.identity(),
            death=signal.SIGTERM,
            log=self.log,
        )  # fmt: skip

    def ready(self) -> bool:
        """Return whether it answers; raises RuntimeError when it has ended, or has taken too long and is killed."""
        if self.answers():
            return True
        if not self.running() or time.monotonic() > self._deadline:
            self.kill()
            raise RuntimeError(f"{self.name} did not start ({last_words(self.log, self._since)}): see {self.log}")
        return False

    def running(self) -> bool:
        """Return whether it lives; frozen is alive."""
        return self._guard is not None and self._guard.poll() is None

    def stop(self, seconds: float = 20.0) -> None:
        """Shut it down in good order, and kill what is left of it after so many seconds; nothing if it is ended."""
        if self._guard is not None and self.running():
            self.thaw()
            self._guard.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):  # killed below
                self._guard.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """kill -9 of all of its processes; returns when they are gone. Nothing if it is ended."""
        if self._guard is not None:
            pid = self._guard.pid
            if self._guard.poll() is None:
                os.killpg(pid, signal.SIGKILL)
                self._guard.wait()
            assert wait_until(lambda: not members(pid), _END), f"{self.name} outlives a kill"
        if self._spawner is not None:
            self._spawner.close()
        self._guard = self._spawner = None

    def restart(self) -> None:
        """Stop it, if it is not ended already, and start it on the same data and ports."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Let it do nothing and keep its connections, as a machine that swaps or a pause of its garbage collector."""
        os.killpg(self.pid, signal.SIGSTOP)
        os.kill(self.pid, signal.SIGCONT)  # the guard alone goes on, to hear of its owner's death
        assert wait_until(self._frozen, _END), f"{self.name} does not freeze"

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        os.killpg(self.pid, signal.SIGCONT)

    def _frozen(self) -> bool:
        return all(map(still, members(self.pid).keys() - {self.pid}))

    def run(self, *command: str | Path) -> None:
        """Run one of its tools to the end, into its log; raises RuntimeError when that fails."""
        before = self.log.stat().st_size if self.log.exists() else 0
        with open_log(self.log) as log:
            code = subprocess.run(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=PATIENCE,
                check=False,
            ).returncode
        if code != 0:
            raise RuntimeError(f"a tool of {self.name} failed ({last_words(self.log, before)}): see {self.log}")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def members(group: int) -> dict[int, str]:
    """Return the processes of a group that have not ended, with their states (Linux; elsewhere none is found)."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc") if Path("/proc/self/stat").exists() else ()):
        try:
            state, _, of_group = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[:3]
        except OSError:  # ended meanwhile
            continue
        if int(of_group) == group and state not in "ZX":
            found[int(name)] = state
    return found


def still(pid: int) -> bool:
    """Return whether no thread of a process goes on (Linux): each stops by itself, the first not always the last."""
    states = []
    with contextlib.suppress(OSError):  # it has ended meanwhile
        for name in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):  # the thread has
                states.append(Path(f"/proc/{pid}/task/{name}/stat").read_text().rpartition(")")[2].split()[0])
    return set(states) <= set("TtZX")
