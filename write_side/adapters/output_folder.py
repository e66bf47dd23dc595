"""The folder in which accounting finds the files, on a disk: what stands in it is complete and durable."""

from __future__ import annotations

import asyncio
import contextlib
import glob
import hashlib
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from write_side.batch.ports import FileNotWritten, Written

_AT_ONCE = 1024 * 1024
"""Bytes that are gathered before they are handed to a thread, which would be slow line by line."""


def _chance() -> str:
    """Return what no other writer has in its name."""
    return os.urandom(4).hex()


class LocalOutputFolder:
    """The port ``write_side.batch.ports.OutputFolder`` on a folder of this machine, which is made when it is missing.

    A file is written to `.<name>.<random>.part`, becomes `.<name>.tmp` once it is complete (prepared), and `<name>`
    once it is published; `.batches/prepared/<name>` is its mark. All work on the disk is done in threads.
    """

    def __init__(self, folder: Path, *, chance: Callable[[], str] = _chance) -> None:
        self._folder = Path(os.path.abspath(folder))
        self._chance = chance

    async def prepare(self, file_name: str, pieces: AsyncIterator[bytes]) -> Written:
        writer = _Writer(self._folder / f".{file_name}.{self._chance()}.part")
        try:
            if parts := await asyncio.to_thread(self._parts, file_name):
                await asyncio.to_thread(_remove, parts)
            await asyncio.to_thread(writer.begin)
            async for gathered in _gathered(pieces):
                await asyncio.to_thread(writer.write, gathered)
            await asyncio.to_thread(_mark, self._mark(file_name))
            return await asyncio.to_thread(writer.finish, self._hidden(file_name))
        finally:
            await asyncio.to_thread(writer.close)

    async def prepared(self, file_name: str) -> Written | None:
        return await asyncio.to_thread(_standing, self._hidden(file_name))

    async def publish(self, file_name: str) -> None:
        await asyncio.to_thread(_rename, self._hidden(file_name), self._folder / file_name)

    async def published(self, file_name: str) -> Written | None:
        return await asyncio.to_thread(_standing, self._folder / file_name)

    async def withdraw(self, file_name: str) -> None:
        if await self.published(file_name) is not None:
            await asyncio.to_thread(_rename, self._folder / file_name, self._hidden(file_name))

    async def was_prepared(self, file_name: str) -> bool:
        return await asyncio.to_thread(_is_there, self._mark(file_name))

    async def remove(self, file_name: str) -> None:
        parts = await asyncio.to_thread(self._parts, file_name)
        await asyncio.to_thread(_remove, [*parts, self._hidden(file_name), self._folder / file_name])

    async def forget(self, file_name: str) -> None:
        await asyncio.to_thread(_remove, [self._mark(file_name)])

    def _mark(self, file_name: str) -> Path:
        return self._folder / ".batches" / "prepared" / file_name

    def _parts(self, file_name: str) -> list[Path]:
        """Return what those have left who died while they wrote it, or write without having the place any more."""
        return [path for path in self._folder.glob(f".{glob.escape(file_name)}.*.part") if path.is_file()]

    def _hidden(self, file_name: str) -> Path:
        return self._folder / f".{file_name}.tmp"


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """Let every error of the system be a ``FileNotWritten`` that names this path and the reason."""
    try:
        yield
    except OSError as error:
        raise FileNotWritten(f"{path}: {error.strerror or error}") from error


def make_folder(folder: Path) -> None:
    """Make the folder and those above it, durably, where they are missing; raises ``OSError``."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in missing:
        sync_folder(each.parent)


def sync_folder(folder: Path) -> None:
    """Let the names in the folder outlive a loss of power; raises ``OSError``."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mark(path: Path) -> None:
    with telling(path):
        make_folder(path.parent)
        path.touch()
        sync_folder(path.parent)


def _is_there(path: Path) -> bool:
    with telling(path):
        return path.exists()


class _Writer:
    """A file in the making. A step whose caller was cancelled goes on in its thread: the lock lets it end first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._file: BinaryIO | None = None
        self._sha256, self._size = hashlib.sha256(), 0

    def begin(self) -> None:
        with self._lock, telling(self._path):
            make_folder(self._path.parent)
            self._file = self._path.open("wb")

    def write(self, data: bytes) -> None:
        with self._lock, telling(self._path):
            assert self._file is not None  # noqa: S101 - begun
            self._file.write(data)
            self._sha256.update(data)
            self._size += len(data)

    def finish(self, as_path: Path) -> Written:
        with self._lock, telling(self._path):
            assert self._file is not None  # noqa: S101 - begun
            self._file.flush()
            os.fsync(self._file.fileno())
            _rename(self._path, as_path)
            return Written(self._sha256.hexdigest(), self._size)

    def close(self) -> None:
        """End it; what is not finished is gone. A failure has been told before, or does no harm."""
        with self._lock, contextlib.suppress(OSError):
            if self._file is not None:
                with contextlib.suppress(OSError):
                    self._file.close()
                self._path.unlink(missing_ok=True)


async def _gathered(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    waiting = bytearray()
    async for piece in pieces:
        waiting += piece
        if len(waiting) >= _AT_ONCE:
            yield bytes(waiting)
            waiting.clear()
    yield bytes(waiting)


def _standing(path: Path) -> Written | None:
    with telling(path):
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256")
                return Written(digest.hexdigest(), file.tell())
        except FileNotFoundError:
            return None


def _rename(path: Path, as_path: Path) -> None:
    with telling(as_path):
        path.rename(as_path)
        sync_folder(as_path.parent)


def _remove(paths: list[Path]) -> None:
    for path in paths:
        with telling(path):
            path.unlink(missing_ok=True)
    folder = paths[0].parent
    with telling(folder):
        if folder.exists():
            sync_folder(folder)
