"""``./run verify-rebalances``: recorded rebalances checked from the log alone, on a real database."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import psycopg

from domain.rebalance import RebalanceRecorded
from tests.projections.logs import append
from tests.projections.rebalancing import BOND, whole
from tests.servers.application import ROOT

_ALTER = "update es.stored_events set state = replace(convert_from(state, 'UTF8'), %s, %s)::bytea"


def verify_rebalances(database_url: str, *rebalance_ids: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "api", "verify-rebalances", *rebalance_ids],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def filled(database_url: str) -> list[str]:
    """Fill the log with two runs; return the ids of their rebalances, which stand at 3, 4 and 8."""
    events = [*whole(1, ("A", "B")), *whole(2, ("A",))]
    asyncio.run(append(database_url, *events))
    return [event.originator_id.split("/")[1] for event in events if isinstance(event, RebalanceRecorded)]


def alter(database_url: str, position: int, old: str, new: str) -> None:
    """Change stored bytes as only a superuser can, past the trigger that keeps the log as it is."""
    with psycopg.connect(database_url) as connection:
        connection.execute("alter table es.stored_events disable trigger append_only")
        done = connection.execute(f"{_ALTER} where notification_id = %s and state <> ''", (old, new, position))
        assert done.rowcount == 1
        connection.execute("alter table es.stored_events enable trigger append_only")


def test_a_log_that_nobody_touched_holds(database_url: str) -> None:
    made = filled(database_url)
    done = verify_rebalances(database_url)
    assert (done.returncode, done.stdout, done.stderr) == (0, "rebalances checked: 3\n", "")
    named = verify_rebalances(database_url, made[1])
    assert (named.returncode, named.stdout) == (0, "rebalances checked: 1\n")


def test_an_altered_event_is_found(database_url: str) -> None:
    first, second, third = filled(database_url)
    alter(database_url, 4, f'"{BOND}":"301"', f'"{BOND}":"302"')
    done = verify_rebalances(database_url)
    assert done.returncode == 1
    told = done.stdout.splitlines()
    assert told[0] == f"{second} at position 4:"
    assert all(line.startswith("  ") for line in told[1:-1])
    assert any("objective" in line for line in told[1:-1])
    assert any("cash afterwards" in line for line in told[1:-1])
    assert told[-1] == "rebalances checked: 3"
    assert done.stderr == "foliolog: of what was checked 1 does not hold\n"
    assert verify_rebalances(database_url, first, third).returncode == 0
    assert verify_rebalances(database_url, first, second).returncode == 1


def test_altered_prices_spoil_every_rebalance_of_their_run(database_url: str) -> None:
    filled(database_url)
    alter(database_url, 2, '"150.3383"', '"150.3384"')
    done = verify_rebalances(database_url)
    assert (done.returncode, done.stdout.count(" at position ")) == (1, 2)
    assert done.stdout.count("  the inputs have the digest ") == 2


def test_what_cannot_be_read_any_more_is_told_and_the_rest_is_checked(database_url: str) -> None:
    _, second, _ = filled(database_url)
    alter(database_url, 3, '"certificate":', '"certificat":')
    done = verify_rebalances(database_url)
    assert done.returncode == 1
    assert done.stdout.startswith("an event at position 3:\n  event 1 of rebalance/")
    assert done.stdout.endswith("\nrebalances checked: 2\n")
    none = verify_rebalances(database_url, "none", second)
    assert (none.returncode, none.stdout) == (1, "none at position 0:\n  it is not in the log\nrebalances checked: 2\n")
