"""Where the programs of the real servers come from: a Java that is new enough, and a cache that is made once."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from tests.servers import java, maven
from tests.servers.java import Missing, java_home


def jdk(folder: Path, version: str) -> Path:
    """Make what looks like a JDK."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "java").touch()
    (folder / "release").write_text(f'IMPLEMENTOR="X"\nJAVA_VERSION="{version}"\nJAVA_VERSION_DATE="2026-01-01"\n')
    return folder


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the machine have no Java and name none."""
    monkeypatch.setattr(java, "_installed", list)
    for name in ("ES_JAVA_HOME", "JAVA_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_java_is_the_one_that_is_named_else_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, newer, newest = jdk(tmp_path / "a", "17.0.15"), jdk(tmp_path / "c", "21"), jdk(tmp_path / "b", "25.0.3")
    monkeypatch.setattr(java, "_installed", lambda: [old, newest, newer])
    assert java_home(21) == newest
    monkeypatch.setenv("JAVA_HOME", str(newer))
    assert java_home(21) == newer
    monkeypatch.setenv("ES_JAVA_HOME", str(old))
    assert (java_home(17), java_home(21)) == (old, newer)


def test_without_a_java_that_fits_it_says_what_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(jdk(tmp_path / "old", "17.0.15")))
    with pytest.raises(Missing, match=rf"Java 21 or newer is needed \(Java 17 in {tmp_path}/old\)"):
        java_home(21)


def test_without_maven_it_says_so_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Missing, match="there is no mvn"):
        maven.jars("thing-1", ["a:b:1"])
    with pytest.raises(Missing, match="there is no mvn"):
        maven.unzipped("thing-2", "a:b:1:zip")
    assert sorted(os.listdir(maven.cache_folder())) == ["thing-1.lock", "thing-2.lock"]


def test_a_folder_is_made_by_one_and_there_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made: list[Path] = []
    another = Event()

    def make(folder: Path) -> None:
        assert not (maven.cache_folder() / "thing-1").exists()
        if made:
            another.set()
        made.append(folder)
        another.wait(0.2)  # who does not keep to the lock comes in meanwhile
        (folder / "whole").touch()

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: maven._cached("thing-1", make), range(8)))
    assert len(made) == 1
    assert {tuple(os.listdir(folder)) for folder in found} == {("whole",)}
    assert sorted(os.listdir(maven.cache_folder())) == ["thing-1", "thing-1.lock"]
