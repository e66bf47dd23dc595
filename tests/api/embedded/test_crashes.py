"""What is killed comes back with everything that was acknowledged; what keeps dying is given up with a sentence."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
import redis

from api.embedded import EmbeddedError, EmbeddedServers, binaries, running, servers
from api.embedded.process import working_in
from tests.api.embedded.support import Owner, eventually, gone, postmaster, processes_under, query, valkey

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def writing(url: str | None) -> Iterator[list[int]]:
    """Insert rows one by one in a thread; the list holds the numbers whose commit was acknowledged."""
    assert url is not None
    acknowledged: list[int] = []
    done = threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url, autocommit=True) as connection:
                while not done.is_set():
                    number += 1
                    connection.execute("INSERT INTO t VALUES (%s)", [number])
                    acknowledged.append(number)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield acknowledged
    finally:
        done.set()
        thread.join()


def kill(pid: int) -> None:
    """End the process at once, and wait until it is."""
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: gone(pid))


def test_a_killed_postmaster_comes_back_with_every_acknowledged_row(data_dir: Path) -> None:
    with EmbeddedServers(data_dir, redis=False) as embedded:
        url = embedded.addresses.database_url
        query(url, "CREATE TABLE t (n int PRIMARY KEY)")
        with writing(url) as acknowledged:
            for _ in range(3):
                seen, killed = len(acknowledged), postmaster(data_dir)
                eventually(lambda seen=seen: len(acknowledged) > seen + 50)  # type: ignore[misc]
                kill(killed)
                eventually(lambda killed=killed: watched(embedded) and postmaster(data_dir) != killed)  # type: ignore[misc]
                assert running(data_dir) == embedded.addresses
            seen = len(acknowledged)
            eventually(lambda: len(acknowledged) > seen)
        assert embedded.addresses.database_url == url
        assert not set(acknowledged) - {row[0] for row in query(url, "SELECT n FROM t")}


def watched(embedded: EmbeddedServers) -> bool:
    """Watch once, as an owner does every second; True so that it can be part of a condition."""
    embedded.watch()
    return True


def test_a_backend_too_busy_to_notice_does_not_hold_up_the_restart(data_dir: Path) -> None:
    with EmbeddedServers(data_dir, redis=False) as embedded:
        url = embedded.addresses.database_url
        assert url is not None
        busy = psycopg.connect(url, autocommit=True)
        pid = busy.info.backend_pid
        loop = "DO $$ BEGIN LOOP PERFORM 1; END LOOP; END $$"

        def spin() -> None:
            with pytest.raises(psycopg.OperationalError):
                busy.execute(loop)

        thread = threading.Thread(target=spin)
        thread.start()
        active = f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid} AND query LIKE 'DO%'"
        eventually(lambda: query(url, active))
        kill(postmaster(data_dir))
        embedded.watch()
        assert query(url, "SELECT 1") == [(1,)]
        assert gone(pid)
        thread.join()
        busy.close()


def test_a_killed_valkey_comes_back(data_dir: Path) -> None:
    with EmbeddedServers(data_dir, postgres=False) as embedded:
        assert embedded.addresses.redis_url is not None
        with redis.Redis.from_url(embedded.addresses.redis_url) as cache:
            cache.set("a", "1")
        kill(valkey(data_dir))
        embedded.watch()
        with redis.Redis.from_url(embedded.addresses.redis_url) as cache:
            assert cache.get("a") is None
            cache.set("a", "2")


def test_a_server_restarted_by_a_thread_that_ends_stays(data_dir: Path) -> None:
    with Owner(data_dir) as owner:
        url = owner.started()["database_url"]
        for pid in (postmaster(data_dir), valkey(data_dir)):
            kill(pid)
        owner.tell("watch in a thread that ends")
        pids = [postmaster(data_dir), valkey(data_dir)]
        for _ in range(20):
            assert query(url, "SELECT 1") == [(1,)]
            owner.tell("watch")
        assert [postmaster(data_dir), valkey(data_dir)] == pids
        owner.kill()
        eventually(lambda: all(map(gone, pids)))


def test_what_keeps_dying_is_given_up_with_a_sentence(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_SLOWEST", 0.3)
    monkeypatch.setattr(servers, "WITHIN", 600.0)  # seconds that six starts may take on a busy machine

    def die() -> None:
        for pid in working_in(data_dir / "run", "valkey-server"):
            kill(pid)
        embedded.watch()

    with EmbeddedServers(data_dir, postgres=False) as embedded:
        for _ in range(2):
            die()  # the first restart is at once, the next waits a little: watch returns meanwhile
        assert working_in(data_dir / "run", "valkey-server") == []
        with pytest.raises(EmbeddedError, match=r"Valkey ended 6 times within 600 seconds: see .*valkey\.log"):
            eventually(die, 600)
    assert processes_under(data_dir) == []


def test_a_data_folder_that_vanished_is_never_replaced_by_an_empty_one(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "CRASHES", 2)
    with EmbeddedServers(data_dir, redis=False) as embedded:
        (data_dir / "postgres").rename(data_dir / "elsewhere")
        for pid in working_in(data_dir / "elsewhere", "postgres"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        eventually(lambda: not working_in(data_dir / "elsewhere", "postgres"))
        with pytest.raises(EmbeddedError, match=r"postgres is gone: restore it, and start again"):
            eventually(embedded.watch)
        assert not (data_dir / "postgres").exists()


@pytest.mark.parametrize(
    "moment", ["postgres.init-*", "postgres.init-*/PG_VERSION", "postgres.init-*/global/pg_control"]
)
def test_a_creation_cut_short_is_begun_anew(data_dir: Path, moment: str) -> None:
    with Owner(data_dir, "--no-redis") as owner:
        eventually(lambda: list(data_dir.glob(moment)) or (data_dir / "postgres").exists())
        owner.kill()
    with EmbeddedServers(data_dir, redis=False) as embedded:
        assert query(embedded.addresses.database_url, "SELECT 1") == [(1,)]
        assert list(data_dir.glob("postgres.init-*")) == []


def test_a_killed_initdb_is_a_sentence_and_leaves_nothing(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, programs = binaries.postgres(), data_dir.parent / "programs"
    programs.mkdir()
    (programs / "postgres").symlink_to(real / "postgres")
    (programs / "initdb").write_text('#!/bin/sh\ncd "$2" && mkdir base && sleep 600 &\nkill -9 $$\n')
    (programs / "initdb").chmod(0o755)
    monkeypatch.setattr(binaries, "postgres", lambda: programs)
    with pytest.raises(EmbeddedError, match="the database could not be created"):
        EmbeddedServers(data_dir, redis=False).start()
    assert list(data_dir.glob("postgres*")) == []
    eventually(lambda: not processes_under(data_dir))  # nor what it had started
    monkeypatch.setattr(binaries, "postgres", lambda: real)
    with EmbeddedServers(data_dir, redis=False) as embedded:
        assert query(embedded.addresses.database_url, "SELECT 1") == [(1,)]


def test_a_pid_file_that_names_somebody_else_is_no_obstacle(data_dir: Path) -> None:
    with Owner(data_dir, "--no-redis") as owner:
        query(owner.started()["database_url"], "CREATE TABLE t AS SELECT 7 AS n")
        pid_file, lock_file = data_dir / "postgres" / "postmaster.pid", data_dir / "run" / ".s.PGSQL.5432.lock"
        text, lock_text = pid_file.read_text(), lock_file.read_text()
        dead = postmaster(data_dir)
        os.kill(dead, signal.SIGKILL)  # a machine that lost its power leaves both files behind
        owner.kill()
    with another_process() as other:
        pid_file.write_text(text.replace(str(dead), str(other.pid), 1))
        lock_file.write_text(lock_text.replace(str(dead), str(other.pid), 1))
        with EmbeddedServers(data_dir, redis=False) as embedded:
            assert query(embedded.addresses.database_url, "SELECT n FROM t") == [(7,)]
            assert other.poll() is None


@contextlib.contextmanager
def another_process() -> Iterator[subprocess.Popen[bytes]]:
    """One of ours that has nothing to do with PostgreSQL."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.communicate()


def test_a_postmaster_started_by_hand_is_left_alone(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.embedded.postgres._LEFTOVERS", 0.5)
    with Owner(data_dir, "--no-redis") as owner:
        owner.started()
        pid = postmaster(data_dir)
        os.kill(owner.pid, signal.SIGSTOP)  # neither watches nor stops
        other = take_over(data_dir)
        with pytest.raises(EmbeddedError, match=f"PostgreSQL process {pid} works on .*: stop it, and start again"):
            other.start()
        assert not gone(pid)


def take_over(data_dir: Path) -> EmbeddedServers:
    """As if the servers in the folder belonged to nobody: neither lock nor state tell of them."""
    (data_dir / "servers.json").unlink()
    (data_dir / "owner.lock").unlink()
    return EmbeddedServers(data_dir, redis=False)
