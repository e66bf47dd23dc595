"""Starting, stopping, owning and joining: one owner a folder, and servers that end with it, however it ends."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from typing import TYPE_CHECKING

import psycopg
import pytest
import redis

from api.embedded import Addresses, EmbeddedError, EmbeddedServers, folders, launcher, running
from api.embedded.valkey import Valkey
from tests.api.embedded.support import Owner, eventually, gone, postmaster, processes_under, query, valkey

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_started_is_durable_private_and_answers(data_dir: Path) -> None:
    with EmbeddedServers(data_dir) as servers:
        url, cache_url = servers.addresses.database_url, servers.addresses.redis_url
        assert cache_url is not None
        wanted = {
            "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "data_checksums": "on",
            "listen_addresses": "", "unix_socket_permissions": "0700", "server_encoding": "UTF8", "jit": "off",
            "max_connections": "200", "shared_buffers": "128MB", "TimeZone": "UTC",
        }  # fmt: skip
        found = {name: query(url, f"SELECT current_setting('{name}')")[0][0] for name in wanted}
        assert found == wanted
        locale = "SELECT datlocprovider, datlocale, current_database(), current_user FROM pg_database"
        assert query(url, f"{locale} WHERE datname = current_database()") == [("b", "C.UTF-8", "foliolog", "foliolog")]
        with redis.Redis.from_url(cache_url) as cache:
            cache.set("a", "1")
            assert cache.config_get("maxmemory*")["maxmemory-policy"] == "allkeys-lru"
            assert cache.config_get("save") == {"save": ""}
        for folder in ("run", "postgres", "log"):
            assert stat.S_IMODE((data_dir / folder).stat().st_mode) == 0o700
        assert {path.name for path in (data_dir / "log").iterdir()} == {"initdb.log", "postgres.log", "valkey.log"}
        assert os.getpgid(postmaster(data_dir)) != os.getpgid(0)  # Ctrl-C is for the owner


def test_data_outlives_the_servers(data_dir: Path) -> None:
    with EmbeddedServers(data_dir, redis=False) as servers:
        query(servers.addresses.database_url, "CREATE TABLE t AS SELECT 7 AS n")
        assert servers.addresses.redis_url is None
        query(servers.addresses.database_url, "ALTER SYSTEM SET work_mem = '11MB'")
    assert processes_under(data_dir) == []
    servers = EmbeddedServers(data_dir, redis=False)
    for _ in range(2):  # an owner can start again, and stopping twice is fine
        url = servers.start().database_url
        assert query(url, "SELECT n, current_setting('work_mem') FROM t") == [(7, "11MB")]
        assert servers.start() == servers.addresses
        servers.stop()
        servers.stop()


def test_only_what_is_asked_for_is_run(data_dir: Path) -> None:
    with EmbeddedServers(data_dir, postgres=False) as servers:
        assert servers.addresses.database_url is None
        assert servers.addresses.redis_url is not None
        assert not (data_dir / "postgres").exists()


def test_a_cache_that_has_answered_once_is_there(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([False, True])  # and no other comes in time
    monkeypatch.setattr(Valkey, "_answers", lambda _: next(answers, False))
    with EmbeddedServers(data_dir, postgres=False) as servers:
        assert servers.addresses.redis_url is not None


def test_a_second_owner_is_refused_and_told_who_has_the_folder(data_dir: Path) -> None:
    assert running(data_dir) is None
    with Owner(data_dir) as owner:
        url = owner.started()["database_url"]
        sentence = f"in use by process {owner.pid}: stop that one, or choose another --data-dir"
        with pytest.raises(EmbeddedError, match=sentence):
            EmbeddedServers(data_dir).start()
        assert query(url, "SELECT 1") == [(1,)]
        owner.tell("stop")
        assert running(data_dir) is None
        with EmbeddedServers(data_dir) as servers:
            assert running(data_dir) == servers.addresses
            with pytest.raises(EmbeddedError, match=f"in use by process {os.getpid()}"):
                EmbeddedServers(data_dir).start()
            assert running(data_dir) == servers.addresses


def test_tools_join_the_servers_of_a_live_owner(data_dir: Path) -> None:
    with Owner(data_dir) as owner, Owner(data_dir, "--join") as early:
        early.answer()  # whatever it saw, it did not stand in the owner's way
        said = owner.started()
        assert running(data_dir) == Addresses(said["database_url"], said["redis_url"])
        with Owner(data_dir, "--join") as tool:
            assert query(tool.answer()["database_url"], "SELECT 1") == [(1,)]
        owner.kill()
        assert running(data_dir) is None


def test_one_who_only_looks_does_not_stand_in_the_way_however_long_it_takes(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "_MOMENTS", 0.0)
    layout = folders.make(data_dir)
    folders.Ownership(layout).release()
    with layout.lock.open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        with ThreadPoolExecutor(1) as threads:
            starting = threads.submit(folders.Ownership, layout)
            assert not wait([starting], timeout=0.2).done
            fcntl.flock(looking, fcntl.LOCK_UN)
            starting.result().release()


def test_of_many_that_start_at_once_one_wins(data_dir: Path) -> None:
    with ExitStack() as stack:
        owners = [stack.enter_context(Owner(data_dir)) for _ in range(5)]
        answers = [owner.answer() for owner in owners]
        assert sum("error" not in answer for answer in answers) == 1
        assert all("in use by process" in answer["error"] for answer in answers if "error" in answer)


def test_servers_end_with_a_killed_owner(data_dir: Path) -> None:
    with Owner(data_dir) as owner:
        url = owner.started()["database_url"]
        pids = [postmaster(data_dir), valkey(data_dir)]
        with psycopg.connect(url) as idle:  # a client that stays connected does not hold up the end
            owner.kill()
            eventually(lambda: all(map(gone, pids)) and not processes_under(data_dir))
            assert idle.closed is False
    assert "database system is shut down" in (data_dir / "log" / "postgres.log").read_text()


def test_a_start_right_after_a_killed_owner_waits_for_its_servers(data_dir: Path) -> None:
    for round_ in range(4):
        with Owner(data_dir) as owner:
            url = owner.started()["database_url"]
            if round_ == 0:
                query(url, "CREATE TABLE t (n int)")
            query(url, f"INSERT INTO t SELECT {round_} FROM generate_series(1, 20000)")
            owner.kill()
    with EmbeddedServers(data_dir) as servers:
        assert query(servers.addresses.database_url, "SELECT count(*) FROM t") == [(80000,)]


def test_an_owner_that_forgets_to_stop_leaves_nothing(data_dir: Path) -> None:
    with Owner(data_dir) as owner:
        owner.started()
        assert owner.leave() == 0
        assert processes_under(data_dir) == []
        assert running(data_dir) is None


def test_a_fork_of_the_owner_owns_nothing(data_dir: Path) -> None:
    with Owner(data_dir) as owner:
        url = owner.started()["database_url"]
        owner.tell("fork")
        assert query(url, "SELECT 1") == [(1,)]


def test_servers_outlive_the_thread_that_started_them(data_dir: Path) -> None:
    servers = EmbeddedServers(data_dir)
    thread = threading.Thread(target=servers.start)
    thread.start()
    thread.join()
    try:
        before = [postmaster(data_dir), valkey(data_dir)]
        for _ in range(20):
            assert query(servers.addresses.database_url, "SELECT 1") == [(1,)]
            servers.watch()
        assert [postmaster(data_dir), valkey(data_dir)] == before
    finally:
        servers.stop()


def test_a_server_that_hangs_is_killed_at_the_deadline(data_dir: Path) -> None:
    servers = EmbeddedServers(data_dir)
    url = servers.start().database_url
    query(url, "CREATE TABLE t AS SELECT 7 AS n")
    for pid in (postmaster(data_dir), valkey(data_dir)):
        os.kill(pid, signal.SIGSTOP)
    before = time.monotonic()
    servers.stop(0.3)
    assert time.monotonic() - before < 30  # which is when it would be without another word
    assert processes_under(data_dir) == []
    with EmbeddedServers(data_dir) as again:
        assert query(again.addresses.database_url, "SELECT n FROM t") == [(7,)]


def test_a_child_whose_owner_died_before_it_was_tied_to_it_does_nothing(data_dir: Path) -> None:
    other = [str(os.getppid()), str(int(signal.SIGKILL)), "direct", "0", "0"]
    command = [sys.executable, "-I", "-S", launcher.__file__, *other, "/usr/bin/touch", str(data_dir)]
    assert subprocess.run(command, check=False).returncode == launcher.ORPHANED
    assert not data_dir.exists()
