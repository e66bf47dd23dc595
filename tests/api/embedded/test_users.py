"""As whom it works: root with and without user namespaces, ordinary users, users without an account."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from api.embedded import EmbeddedServers
from tests.api.embedded.support import (
    NOBODY,
    ROOT,
    Owner,
    copy_wheels,
    eventually,
    gone,
    namespaces_allowed,
    postmaster,
    python_for_nobody,
    query,
)

am_root = os.geteuid() == 0
needs_namespaces = pytest.mark.skipif(not namespaces_allowed(), reason="user namespaces are forbidden here")
needs_root = pytest.mark.skipif(not am_root, reason="only root can become other users")

AS_ROOT = [] if am_root else ["unshare", "--user", "--map-root-user"]


def real_uid(pid: int) -> int:
    """The user of a process, as we see it from outside of any namespace."""
    return Path(f"/proc/{pid}").stat().st_uid


def proven(owner: Owner, data_dir: Path) -> dict[str, Any]:
    """What the owner said once it had started; its database works, and ends with it even when it is killed."""
    said = owner.started()
    leader = postmaster(data_dir)
    query(said["database_url"], "CREATE TABLE IF NOT EXISTS t (n int)")
    query(said["database_url"], "INSERT INTO t VALUES (1)")
    owner.kill()
    eventually(lambda: gone(leader))
    return said


@needs_namespaces
def test_root_in_a_folder_that_only_root_can_enter(data_dir: Path) -> None:
    private = data_dir.parent / "private"
    private.mkdir(mode=0o700)
    inside = private / "data"
    for _ in range(2):
        with Owner(inside, prefix=AS_ROOT) as owner:
            assert proven(owner, inside)["uid"] == 0
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert (inside / "postgres").stat().st_uid == os.geteuid()


@needs_namespaces
def test_an_ordinary_user(data_dir: Path) -> None:
    """Really another one where the tests run as root and its Python can be run by all; else one in a namespace."""
    python = python_for_nobody() if am_root else None
    data_dir.mkdir(mode=0o700)
    paths = [copy_wheels(data_dir.parent / "wheels")]
    if python:
        os.chown(data_dir, NOBODY, NOBODY)
        owner = Owner(data_dir, python=python, paths=paths, user=NOBODY, group=NOBODY, extra_groups=[])
    else:
        owner = Owner(data_dir, prefix=["unshare", "--user", "--map-user=1000", "--map-group=1000"] if am_root else [])
    with owner:
        assert proven(owner, data_dir)["uid"] not in (None, 0)
    assert (data_dir / "postgres").stat().st_uid == (NOBODY if python else os.geteuid())
    if python:  # and root, who comes later, works as the one to whom the data belongs
        with Owner(data_dir, paths=paths) as root:
            said = root.started()
            assert real_uid(postmaster(data_dir)) == NOBODY
            assert query(said["database_url"], "SELECT count(*) FROM t") == [(1,)]


@needs_namespaces
def test_a_user_without_an_account(data_dir: Path) -> None:
    """As containers are run by some orchestrators; initdb alone would refuse."""
    data_dir.mkdir(mode=0o700)
    with Owner(data_dir, prefix=["unshare", "--user", "--map-user=54321", "--map-group=54321"]) as owner:
        assert proven(owner, data_dir)["uid"] == 54321
    with Owner(data_dir, prefix=["unshare", "--user", "--map-user=54321", "--map-group=54321"]) as owner:
        assert query(owner.started()["database_url"], "SELECT n FROM t") == [(1,)]


def without_namespaces(data_dir: Path, **more: Any) -> Owner:
    """An owner who is root, knows all users, and may not make namespaces."""
    owner = Owner(data_dir, prefix=[python_for_nobody() or "python3", ROOT / "tests/api/embedded/forbidden.py"], **more)
    assert owner.answer() == {"ready": True}
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{owner.pid}/{name}").write_text("0 0 65536")
    owner.say("mapped")
    return owner


@needs_root
@needs_namespaces
def test_root_without_namespaces_works_as_nobody(data_dir: Path) -> None:
    paths = [copy_wheels(data_dir.parent / "wheels")]
    for rows in (1, 2):
        with without_namespaces(data_dir, paths=paths) as owner:
            assert proven(owner, data_dir)["uid"] == 0
        assert (data_dir / "postgres").stat().st_uid == NOBODY
        with Owner(data_dir, paths=paths) as owner:  # with namespaces again: still as the one to whom the data belongs
            said = owner.started()
            assert real_uid(postmaster(data_dir)) == NOBODY
            assert query(said["database_url"], "SELECT count(*) FROM t") == [(rows,)]


@needs_root
@needs_namespaces
def test_root_without_namespaces_where_nobody_can_go_is_a_sentence(data_dir: Path) -> None:
    private = data_dir.parent / "private"
    private.mkdir(mode=0o700)
    with without_namespaces(private / "data") as owner:
        error = owner.answer()["error"]
    assert f"no other user reaches {private / 'data'}" in error
    assert "run as an ordinary user" in error
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    with EmbeddedServers(data_dir, redis=False):
        pass
    with without_namespaces(data_dir) as owner:
        assert f"'chown -R nobody {data_dir / 'postgres'}'" in owner.answer()["error"]


@needs_root
@needs_namespaces
def test_root_in_the_home_of_somebody_works_as_that_one(data_dir: Path) -> None:
    home = data_dir.parent / "home"
    home.mkdir(mode=0o700)
    os.chown(home, 1, 1)
    wheels = copy_wheels(data_dir.parent / "wheels")
    with Owner(home / "data", paths=[wheels]) as owner:
        proven(owner, home / "data")
    assert (home / "data" / "postgres").stat().st_uid == 1


@needs_root
def test_the_data_of_another_user_is_a_sentence(data_dir: Path) -> None:
    with EmbeddedServers(data_dir, redis=False):
        pass
    for folder in (data_dir, data_dir / "log"):
        folder.chmod(0o777)
    (data_dir / "owner.lock").chmod(0o666)
    python = python_for_nobody()
    if python is None:
        pytest.skip("nobody can run none of the Pythons here")
    wheels = copy_wheels(data_dir.parent / "wheels")
    with Owner(data_dir, python=python, paths=[wheels], user=NOBODY, group=NOBODY, extra_groups=[]) as owner:
        assert "belongs to user root and you are nobody: run as that user" in owner.answer()["error"]
