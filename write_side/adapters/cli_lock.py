"""The lock of the accounting CLI: a locked file that the CLI and its children inherit, and so hold while they live."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import io
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from domain.errors import Broken
from write_side.adapters.output_folder import make_folder, telling
from write_side.batch.ports import CliStillRunning

_RETRY = 0.05


class CliLock:
    """The lock of one folder, which its processes share; nobody ever removes the file."""

    def __init__(self, path: Path, wait: float) -> None:
        self._path, self._wait = path, wait
        self._file: io.FileIO | None = None
        self._inside = False
        self._lent = False

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Hold it.

        Raises ``CliStillRunning`` where another process, or another run of ours, does for longer, and
        ``FileNotWritten`` where the file, or a lock on it, cannot be had.
        """
        deadline = time.monotonic() + self._wait
        while self._inside:
            if time.monotonic() >= deadline:
                raise CliStillRunning(f"another run in this process holds {self._path}")
            await asyncio.sleep(_RETRY)
        self._inside = True
        try:
            await self._take()
            yield
        finally:
            self._leave()
            self._inside = False

    async def lend(self) -> int:
        """Return the descriptor that a child inherits to hold the lock too.

        That is one lock with ours, so that to hold it says nothing about a child that was started before. Then it is
        taken anew, and raises ``CliStillRunning`` where such a child is left.
        """
        if not self._inside:
            raise Broken(f"only who holds {self._path} can start the accounting CLI")
        if self._lent or self._file is None:
            self._leave()
            await self._take()
        self._lent = True
        assert self._file is not None  # noqa: S101 - taken
        return self._file.fileno()

    async def _take(self) -> None:
        file = await asyncio.to_thread(self._opened)
        try:
            deadline = time.monotonic() + self._wait
            while not self._locked(file):
                if time.monotonic() >= deadline:
                    raise CliStillRunning(await asyncio.to_thread(self._who))
                await asyncio.sleep(_RETRY)
        except BaseException:
            file.close()
            raise
        self._file, self._lent = file, False

    def _leave(self) -> None:
        """Close it, never unlock it: that would take it from our children too."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> io.FileIO:
        with telling(self._path):
            make_folder(self._path.parent)
            return io.FileIO(self._path, "r+", opener=lambda name, flags: os.open(name, flags | os.O_CREAT, 0o644))

    def _locked(self, file: io.FileIO) -> bool:
        """Take the lock; False where somebody holds it, ``FileNotWritten`` where the folder has no locks."""
        with telling(self._path):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

    def _who(self) -> str:
        """Return who holds it; where the system does not tell, those who have written themselves into the file."""
        holders = _holders(self._path)
        if not holders:
            with contextlib.suppress(OSError):
                holders = [int(pid) for pid in self._path.read_text().split() if pid.isdigit()]
        named = ", ".join(map(str, holders)) or "unknown"
        return f"the accounting CLI of an earlier run still holds {self._path}: process {named}"


def _holders(path: Path) -> list[int]:
    """Return the other processes that have the file open, by number (Linux with its /proc; else none is found)."""
    try:
        wanted = path.stat()
        numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []
    return sorted(pid for pid in numbers if pid != os.getpid() and _has_open(pid, wanted))


def _has_open(pid: int, wanted: os.stat_result) -> bool:
    try:
        opened = os.listdir(f"/proc/{pid}/fd")
    except OSError:  # gone meanwhile, or somebody else's
        return False
    for name in opened:
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(f"/proc/{pid}/fd/{name}"), wanted):
                return True
    return False
