"""Kafka and Elasticsearch from Maven Central by coordinates, kept in a cache folder that every run shares."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.servers.java import Missing

PATIENCE = 600.0  # seconds for one download

_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"

_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>foliolog</groupId>
  <artifactId>servers</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>{}</dependencies>
</project>
"""
_DEPENDENCY = "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"


def jars(name: str, coordinates: Sequence[str]) -> Path:
    """Return a folder with these artifacts (`group:artifact:version`) and all they need to run.

    `name` is the folder's in the cache. Raises Missing without Maven or when it cannot fetch them.
    """

    def make(folder: Path) -> None:
        dependencies = "".join(_DEPENDENCY.format(*one.split(":")) for one in coordinates)
        pom = folder / "pom.xml"
        pom.write_text(_POM.format(dependencies))
        _maven("-f", str(pom), f"{_PLUGIN}:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder}")

    return _cached(name, make)


def unzipped(name: str, coordinates: str) -> Path:
    """Return what the artifact (`group:artifact:version:zip`) holds, which is one folder, with its modes.

    Raises as `jars` does.
    """

    def make(folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=folder.parent) as aside:
            _maven(f"{_PLUGIN}:copy", f"-Dartifact={coordinates}", f"-DoutputDirectory={aside}")
            (path,) = Path(aside).glob("*.zip")
            with zipfile.ZipFile(path) as archive:
                for member in archive.infolist():
                    place = archive.extract(member, folder)
                    if mode := member.external_attr >> 16 & 0o777:
                        Path(place).chmod(mode | 0o200)
        (inner,) = folder.iterdir()
        for part in inner.iterdir():
            part.rename(folder / part.name)
        inner.rmdir()

    return _cached(name, make)


def cache_folder() -> Path:
    """Return where the servers' programs are kept: `$XDG_CACHE_HOME/foliolog/servers`, or under `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "foliolog" / "servers"


def _cached(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder, made by one process while others wait, and there only when it is whole."""
    folder = cache_folder() / name
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_name(f"{name}.lock")):
        if not folder.is_dir():
            begun = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=folder.parent))
            try:
                make(begun)
                begun.chmod(0o755)
                begun.rename(folder)
            finally:
                shutil.rmtree(begun, ignore_errors=True)
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _maven(*arguments: str) -> None:
    program = shutil.which("mvn")
    if program is None:
        raise Missing("Maven is needed to fetch Kafka and Elasticsearch, and there is no mvn on the PATH: install it")
    done = subprocess.run(
        [program, "--quiet", "--batch-mode", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]
        raise Missing(f"Maven could not fetch what is needed: {lines[0] if lines else done.stderr.strip()}")
