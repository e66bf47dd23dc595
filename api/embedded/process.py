"""Starting, finding and ending server processes, and waiting for what they do."""

from __future__ import annotations

import contextlib
import io
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path

from api.embedded import launcher
from api.embedded.identity import Identity

Child = subprocess.Popen[bytes]

_POLL = 0.005
_LOG_LIMIT = 16 * 1024 * 1024


class Spawner:
    """Starts every child from one thread of its own.

    Linux sends the death signal when the *thread* that made the child ends, so a server (re)started by a thread that
    comes and goes would die with it; this one lives until `close`.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Child], Future[Child]] | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="embedded-spawner", daemon=True).start()

    def spawn(self, command: Sequence[str | Path], *, identity: Identity, death: signal.Signals, log: Path) -> Child:
        """Start `command` as `identity`; it gets the signal `death` when this process ends, however it ends.

        Elsewhere than on Linux nothing is sent: an owner that is killed leaves its servers to the next start.
        """
        launch = [sys.executable, "-I", "-S", launcher.__file__, str(os.getpid()), str(int(death)), *identity.arguments]

        def start() -> Child:
            with open_log(log) as output:
                return subprocess.Popen(
                    [*launch, *map(str, command)],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd="/",
                    env=environment(),
                    start_new_session=True,  # Ctrl-C in a terminal is for the owner, which stops them in its own order
                )

        result: Future[Child] = Future()
        self._jobs.put((start, result))
        return result.result()

    def close(self) -> None:
        """End the thread; only for when no child is left, which would get its death signal."""
        self._jobs.put(None)

    def _work(self) -> None:
        while job := self._jobs.get():
            start, result = job
            try:
                result.set_result(start())
            except BaseException as error:
                result.set_exception(error)


def environment() -> dict[str, str]:
    """What the servers see of our environment: nothing that would change their behaviour (PG*, LC_*, TZ)."""
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"LC_ALL": "C", "TZ": "UTC"}


def wait_until(condition: Callable[[], bool], seconds: float, stopping: threading.Event | None = None) -> bool:
    """Whether `condition` came true within `seconds` and before `stopping` was set."""
    deadline = time.monotonic() + seconds
    pause = stopping or threading.Event()
    while not condition():
        if time.monotonic() > deadline or pause.wait(_POLL):
            return False
    return True


def alive(pid: int) -> bool:
    """Whether there is a process (or a zombie) `pid`."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def can_look() -> bool:
    """Whether `working_in` can find anything: Linux with its /proc."""
    return Path("/proc/self/cwd").exists()


def working_in(folder: Path, program: str) -> list[int]:
    """The running processes of `program` whose working directory is `folder` (Linux; elsewhere none is found)."""
    try:
        wanted = folder.stat()
        numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []
    return [pid for pid in numbers if _works_in(pid, wanted, program)]


def _works_in(pid: int, wanted: os.stat_result, program: str) -> bool:
    try:
        if Path(f"/proc/{pid}/comm").read_text().strip() != program:
            return False
        return os.path.samestat(os.stat(f"/proc/{pid}/cwd"), wanted)
    except OSError:  # gone meanwhile, a zombie, or somebody else's
        return False


def send(number: signal.Signals, pids: Iterable[int]) -> None:
    """Send a signal to each that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def open_log(path: Path) -> io.FileIO:
    """The log file, to be appended to; readable by its owner only."""
    return io.FileIO(path, "ab", opener=lambda name, flags: os.open(name, flags | os.O_CLOEXEC, 0o600))


def trim_log(path: Path) -> None:
    """Move what a long log holds aside into `<name>.1`, in place, for the server keeps its file open.

    Where there is no room for it, it is dropped: what is left of the disk is for the server.
    """
    with contextlib.suppress(OSError):  # tried again at the next look: a long log is nothing to end a server for
        size = path.stat().st_size
        if size > _LOG_LIMIT:
            _set_aside(path, path.with_suffix(path.suffix + ".1"), size)
            os.truncate(path, 0)


def _set_aside(path: Path, aside: Path, size: int) -> None:
    try:
        aside.unlink(missing_ok=True)
        if shutil.disk_usage(path.parent).free > 2 * size:
            shutil.copyfile(path, aside)
    except OSError:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


def last_words(path: Path, start: int) -> str:
    """The line of the log after byte `start` that best says what went wrong."""
    if not path.exists():
        return "nothing was logged"
    with path.open("rb") as file:
        file.seek(start)
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines if any(word in line for word in ("FATAL", "PANIC", "rror"))]
    return (telling or lines or ["nothing was logged"])[-1]
