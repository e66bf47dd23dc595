"""The process around the accounting CLI: keeps its time limit, ends with its owner, and leaves how it ended in a file.

Run by its path in a fresh interpreter: `python -I -S cli_wrapper.py OWNER LOCK SECONDS GRACE FOLDER NAME COMMAND...`.
OWNER is the parent's process id, LOCK the descriptor that the CLI inherits, NAME the file that it works on. FOLDER gets
`result.json`, which outlives the owner. SIGTERM, which comes from the owner or when it has died, stops the CLI, and
then there is no result: it has not ended.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable

RESULT = "result.json"
ORPHANED = 73
STOPPED = 74
NOT_KEPT = 75
"""The folder did not take the result; standard output has it."""
TAIL = 16 * 1024
"""Bytes of output that are kept, the last ones."""
_PR_SET_PDEATHSIG = 1
_AFTERWARDS = 1.0
"""Seconds that output of its children is waited for once the CLI has ended, and SIGTERM where that has ended it."""


def main(arguments: list[str]) -> int:
    """Run COMMAND and return the exit code of this process, 0 where `result.json` tells the end of the CLI."""
    owner, lock, seconds, grace, folder, name, *command = arguments
    signals = _signals()
    _die_with(int(owner))()
    cli = Cli(signals, float(grace))
    try:
        result = cli.run(command, int(lock), float(seconds))
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        why = getattr(error, "strerror", None) or str(error)
        result = {"exit_code": None, "output": "", "failure": f"{command[0]} cannot be started: {why}"}
    if result is None:
        return STOPPED
    text = json.dumps({"file": name, **result})
    try:
        _keep(folder, text)
    except OSError:
        sys.stdout.write(text)
        return NOT_KEPT
    return 0


class Cli:
    """One run of the CLI: a process group of its own, its output, its end."""

    def __init__(self, signals: int, grace: float) -> None:
        self._signals, self._grace = signals, grace
        self._output = b""
        self._cut = False
        self._open = True
        self._heard: set[int] = set()
        """The signals that have come."""

    def run(self, command: list[str], lock: int, seconds: float) -> dict[str, object] | None:
        """Return how it ended, None where it was stopped by SIGTERM; raises where it cannot be started."""
        self._listen(None, 0)
        if signal.SIGTERM in self._heard:
            return None
        deadline = time.monotonic() + seconds
        cli = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(lock,),
            process_group=0,
            preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509 - this process has one thread
        )
        _tell(lock, f"{os.getpid()} {cli.pid}\n")
        assert cli.stdout is not None  # noqa: S101 - a pipe was asked for
        stopped = self._until_ended(cli.pid, cli.stdout.fileno(), deadline)
        self._read_on(cli.stdout.fileno())
        _signal(cli.pid, signal.SIGKILL)  # what is left of the group, whose number is ours until the CLI is waited for
        code = cli.wait()
        # Who stops all processes of a service at once may have come to the CLI first.
        self._hear(_AFTERWARDS if code == -signal.SIGTERM and not stopped else 0.0)
        if signal.SIGTERM in self._heard and (stopped or code != 0):
            return None
        failure = f"stopped after {seconds:g} s" if stopped else _failure(code)
        return {"exit_code": None if stopped or code < 0 else code, "output": self._text(), "failure": failure}

    def _until_ended(self, pid: int, pipe: int, deadline: float) -> bool:
        """Return whether it had to be stopped: asked first, then killed."""
        stopping = False
        while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            now = time.monotonic()
            if now >= deadline or (signal.SIGTERM in self._heard and not stopping):
                _signal(pid, signal.SIGKILL if stopping else signal.SIGTERM)
                stopping, deadline = True, now + self._grace
            self._listen(pipe, max(0.0, deadline - now))
        return stopping

    def _read_on(self, pipe: int) -> None:
        deadline = time.monotonic() + _AFTERWARDS
        while self._open and (left := deadline - time.monotonic()) > 0:
            self._listen(pipe, left)

    def _hear(self, seconds: float) -> None:
        """Hear what signals have come, and wait so long for SIGTERM."""
        deadline = time.monotonic() + seconds
        self._listen(None, 0)
        while signal.SIGTERM not in self._heard and (left := deadline - time.monotonic()) > 0:
            self._listen(None, left)

    def _listen(self, pipe: int | None, seconds: float) -> None:
        """Wait for output, a signal or the end of the CLI."""
        pipes = [pipe] if pipe is not None and self._open else []
        readable, _, _ = select.select([self._signals, *pipes], [], [], seconds)
        if self._signals in readable:
            self._heard.update(os.read(self._signals, 512))
        if pipe in readable and pipe is not None:
            data = os.read(pipe, 65536)
            self._open = bool(data)
            self._output += data
            self._cut = self._cut or len(self._output) > TAIL
            self._output = self._output[-TAIL:]

    def _text(self) -> str:
        inside = bytes(range(0x80, 0xC0))  # the rest of a character whose beginning was cut off
        return (self._output.lstrip(inside) if self._cut else self._output).decode(errors="replace")


def _signals() -> int:
    """Return a descriptor from which the numbers of signals are read: an ended child, and SIGTERM."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    return reading


def _die_with(parent: int) -> Callable[[], None]:
    """Return what lets its caller get SIGTERM when this parent dies (Linux only), or end at once where it has died."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None

    def set_signal() -> None:
        if prctl is not None and prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        if os.getppid() != parent:
            os._exit(ORPHANED)

    return set_signal


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _failure(code: int) -> str | None:
    if code == 0:
        return None
    return f"exit code {code}" if code > 0 else f"killed by signal {-code}"


def _tell(lock: int, text: str) -> None:
    """Write into the lock file who holds it; that is for people only, and nothing depends on it."""
    with contextlib.suppress(OSError):
        os.ftruncate(lock, 0)
        os.pwrite(lock, text.encode(), 0)


def _keep(folder: str, text: str) -> None:
    """Write the result, durably, so that there is all of it or nothing."""
    part = os.path.join(folder, f".{RESULT}.part")
    with open(part, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(part, os.path.join(folder, RESULT))
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
