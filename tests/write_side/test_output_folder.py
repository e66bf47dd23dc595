"""The folder of files on a real disk: nobody sees half a file, and every error of the disk has a name and a reason."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.embedded.process import wait_until
from tests.architecture.tree import ROOT
from write_side.adapters.output_folder import LocalOutputFolder
from write_side.batch.ports import FileNotWritten

NAME = "x.csv"
_FULL = """
import asyncio, resource, sys
from pathlib import Path
from write_side.adapters.output_folder import LocalOutputFolder
from write_side.batch.ports import FileNotWritten

async def pieces():
    for _ in range(8):
        yield b"x" * 1024 * 1024

async def main():
    folder = LocalOutputFolder(Path(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
    try:
        await folder.prepare("x.csv", pieces())
    except FileNotWritten as error:
        print(error, await folder.prepared("x.csv"))

asyncio.run(main())
"""
_KILLED = """
import asyncio, sys
from pathlib import Path
from write_side.adapters.output_folder import LocalOutputFolder

async def pieces():
    yield b"x" * 2 * 1024 * 1024
    print("half", flush=True)
    sys.stdin.read()

asyncio.run(LocalOutputFolder(Path(sys.argv[1])).prepare("x.csv", pieces()))
"""


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for each in data:
        yield each


def start(script: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def files(folder: Path) -> list[str]:
    """Return what is in the folder beside what is ours alone."""
    return [name for name in os.listdir(folder) if name != ".batches"]


async def test_two_writers_of_one_name_do_not_write_into_one_file(tmp_path: Path) -> None:
    folder, other = LocalOutputFolder(tmp_path), LocalOutputFolder(tmp_path)

    async def overtaken() -> AsyncIterator[bytes]:
        yield b"first"
        await other.prepare(NAME, pieces(b"second"))

    with pytest.raises(FileNotWritten, match="No such file"):
        await folder.prepare(NAME, overtaken())
    prepared = await folder.prepared(NAME)
    assert prepared is not None
    assert prepared.sha256 == hashlib.sha256(b"second").hexdigest()


async def test_the_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    folder = LocalOutputFolder(tmp_path / "a" / "b")
    assert await folder.published(NAME) is None
    await folder.remove(NAME)
    await folder.prepare(NAME, pieces(b"1"))
    assert files(tmp_path / "a" / "b") == [".x.csv.tmp"]
    await folder.publish(NAME)
    assert files(tmp_path / "a" / "b") == [NAME]


async def test_a_disk_that_is_full_is_named_and_keeps_nothing(tmp_path: Path) -> None:
    output, _ = await asyncio.to_thread(start(_FULL, tmp_path).communicate)
    assert re.fullmatch(rf"{tmp_path}/\.x\.csv\.[0-9a-f]{{8}}\.part: File too large None\n", output)
    assert files(tmp_path) == []


async def test_a_file_where_the_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = LocalOutputFolder(tmp_path / "file")
    with pytest.raises(FileNotWritten, match=r"/file/\.x\.csv\.\w+\.part: (File exists|Not a directory)"):
        await folder.prepare(NAME, pieces(b"1"))
    for asked in (folder.prepared, folder.published, folder.publish, folder.remove):
        with pytest.raises(FileNotWritten, match=r"/file/.*: Not a directory"):
            await asked(NAME)


async def test_a_folder_that_cannot_be_written_is_named() -> None:
    folder = LocalOutputFolder(Path("/proc/self"))
    with pytest.raises(FileNotWritten, match=r"^/proc/self/\.x\.csv\.\w+\.part: (No such file|Permission denied)"):
        await folder.prepare(NAME, pieces(b"1"))


async def test_a_folder_where_the_file_should_be_is_named(tmp_path: Path) -> None:
    folder = LocalOutputFolder(tmp_path)
    (tmp_path / NAME / "in").mkdir(parents=True)
    await folder.prepare(NAME, pieces(b"1"))
    with pytest.raises(FileNotWritten, match=r"/x\.csv: (Is a directory|Directory not empty)"):
        await folder.publish(NAME)
    assert await folder.prepared(NAME) is not None


async def test_half_a_file_is_never_prepared_when_its_process_is_killed(tmp_path: Path) -> None:
    process = start(_KILLED, tmp_path)
    assert process.stdout is not None
    assert await asyncio.to_thread(process.stdout.readline) == "half\n"
    process.kill()
    await asyncio.to_thread(process.communicate)
    folder = LocalOutputFolder(tmp_path)
    (part,) = files(tmp_path)
    assert re.fullmatch(r"\.x\.csv\.[0-9a-f]{8}\.part", part)
    assert (tmp_path / part).stat().st_size > 0
    assert await folder.prepared(NAME) is None
    assert await folder.published(NAME) is None
    written = await folder.prepare(NAME, pieces(b"1"))
    assert (written.size, written.sha256) == (1, hashlib.sha256(b"1").hexdigest())
    assert files(tmp_path) == [".x.csv.tmp"], "what the dead process has left is gone"


async def test_cancelled_it_leaves_nothing(tmp_path: Path) -> None:
    halfway, folder = asyncio.Event(), LocalOutputFolder(tmp_path, chance=lambda: "1")

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * 2 * 1024 * 1024
        halfway.set()
        await asyncio.Event().wait()
        yield b""

    task = asyncio.create_task(folder.prepare(NAME, endless()))
    await halfway.wait()
    assert files(tmp_path) == [".x.csv.1.part"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert files(tmp_path) == []


async def test_a_disk_that_hangs_does_not_hold_up_others(tmp_path: Path) -> None:
    """A pipe stands for it: to open it for writing waits until somebody reads."""
    pipe, others, read = tmp_path / ".x.csv.1.part", threading.Event(), threading.Event()
    os.mkfifo(pipe)
    seen: list[bool] = []

    def hang() -> None:
        seen.append(others.wait(30))
        with pipe.open("rb") as file:
            file.read()
        read.set()

    thread = threading.Thread(target=hang)
    thread.start()
    task = asyncio.create_task(LocalOutputFolder(tmp_path, chance=lambda: "1").prepare(NAME, pieces(b"1")))
    await asyncio.sleep(0)
    others.set()
    with pytest.raises(FileNotWritten, match="Invalid argument"):  # a pipe cannot be made durable
        await task
    assert await asyncio.to_thread(wait_until, read.is_set, 30)
    thread.join()
    assert seen == [True]


async def test_memory_stays_flat_however_long_the_file_is(tmp_path: Path) -> None:
    line = b"x" * 99 + b"\n"

    async def lines() -> AsyncIterator[bytes]:
        for _ in range(300_000):
            yield line

    tracemalloc.start()
    try:
        written = await LocalOutputFolder(tmp_path).prepare(NAME, lines())
        await LocalOutputFolder(tmp_path).publish(NAME)
        assert await LocalOutputFolder(tmp_path).published(NAME) == written
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert written.size == 30_000_000
    assert written.sha256 == hashlib.sha256(line * 300_000).hexdigest()
