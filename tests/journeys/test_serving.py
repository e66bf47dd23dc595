"""Starting the application: roles, other people's servers, what is refused with a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from tests.servers.application import ROOT, application, projector, role
from tests.servers.ports import free_port

LONG = 180
"""Seconds after which what should come is taken not to come."""
OPENING = {"portfolio_id": "A", "portfolio_name": "Growth", "cash_balance": 10}


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", "api", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )


def test_roles_run_as_processes_on_given_servers_and_nothing_embedded_starts(
    empty_database_url: str, redis_url: str, tmp_path: Path
) -> None:
    given = {"DATABASE_URL": empty_database_url, "REDIS_URL": redis_url}
    migrated = run("migrate", **given)
    assert migrated.returncode == 0, migrated.stderr
    assert "revision" in migrated.stdout
    with ExitStack() as stack:
        stack.enter_context(projector(**given))
        commands = [stack.enter_context(role("commands", tmp_path / f"c{number}", **given)) for number in (1, 2)]
        queries = stack.enter_context(role("queries", tmp_path / "q", **given))
        opened = httpx2.post(f"{commands[0].url}/api/v1/portfolios", json=OPENING, timeout=LONG)
        assert opened.status_code == 201
        again = httpx2.post(f"{commands[1].url}/api/v1/portfolios", json=OPENING, timeout=LONG)
        assert again.status_code == 409
        state = httpx2.get(
            f"{queries.url}/api/v1/portfolio/A/state",
            headers={"X-Min-Position": opened.headers["X-Position"], "Prefer": "wait=30"},
            timeout=LONG,
        )
        assert state.content == opened.content
        assert httpx2.get(f"{commands[0].url}/api/v1/portfolio/A/state", timeout=LONG).status_code == 404
        assert httpx2.post(f"{queries.url}/api/v1/portfolios", json=OPENING, timeout=LONG).status_code == 405
        assert not list(tmp_path.rglob("owner.lock"))


def test_a_stale_cache_in_a_second_process_refuses_nothing_wrongly(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    given = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    with role("commands", tmp_path / "1", **given) as one, role("commands", tmp_path / "2", **given) as two:
        httpx2.post(f"{one.url}/api/v1/portfolios", json=OPENING, timeout=LONG)
        body = {
            "timestamp": "2025-06-21T10:00:00Z",
            "updates": [{"transaction_type": "DEP", "quantity_change": 1}],
        }
        for version, process in enumerate([one, two, one, two, two, one], start=1):
            changed = httpx2.post(
                f"{process.url}/api/v1/portfolio/A/update",
                json=body,
                headers={"If-Match": f'"{version}"'},
                timeout=LONG,
            )
            assert changed.status_code == 200, changed.text
        stale = httpx2.post(
            f"{two.url}/api/v1/portfolio/A/update", json=body, headers={"If-Match": '"6"'}, timeout=LONG
        )
        assert stale.status_code == 412


def test_a_second_start_on_a_data_folder_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with application(tmp_path) as app:
        second = run("serve", "--data-dir", str(app.data_dir), "--port", str(free_port()))
        assert second.returncode == 1
        assert str(app.process.pid if app.process else 0) in second.stderr
        assert second.stderr.startswith("foliolog: ")
        assert "Traceback" not in second.stderr
        assert app.ready()
        for command in (["views"], ["verify", "portfolios"], ["rebuild", "portfolios"]):
            done = run(*command, "--data-dir", str(app.data_dir))
            assert done.returncode == 0, done.stderr
            assert "portfolios" in done.stdout
        parked = run("park", "portfolios", "4711", "--reason", "a typo", "--data-dir", str(app.data_dir))
        assert (parked.returncode, parked.stdout) == (1, "")
        assert "portfolios has not stopped" in parked.stderr


@pytest.mark.parametrize("name", ["http", "commands", "queries", "projector"])
def test_a_database_that_was_not_migrated_is_named(
    name: str, empty_database_url: str, redis_url: str, tmp_path: Path
) -> None:
    given = {"DATABASE_URL": empty_database_url, "REDIS_URL": redis_url, "PORT": "0"}
    done = run("serve", "--role", name, "--data-dir", str(tmp_path), **given)
    assert done.returncode == 1
    assert "./run migrate" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"PORT": "http"}, "PORT is 'http'"),
        ({"HOST": "0.0.0.0"}, "ALLOW_ANONYMOUS=1"),  # noqa: S104 - it is refused
        ({"DATABASE_URL": "mysql://x"}, "DATABASE_URL is 'mysql://x'"),
        ({"POSTGRES_ENABLE_DB_FUNCTIONS": "y"}, "POSTGRES_ENABLE_DB_FUNCTIONS is 'y'"),
        ({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL is 'LOUD'"),
        ({"DATABASE_URL": "postgresql://127.0.0.1:9/none", "REDIS_URL": "redis://127.0.0.1:9/0"}, "PostgreSQL"),
    ],
)
def test_misconfiguration_is_one_sentence_and_a_non_zero_exit(
    environment: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    done = run("serve", "--data-dir", str(tmp_path), **environment)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with application(tmp_path) as app:
        done = run("serve", "--data-dir", str(tmp_path / "other"), "--port", str(app.port))
        assert done.returncode == 1
        assert f"port {app.port}" in done.stderr
