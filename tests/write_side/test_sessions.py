"""Sessions that hold something in PostgreSQL: it notices when their host has vanished, and no two locks meet."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest

from postgres import sessions
from read_side.adapters import postgres_leader
from read_side.adapters.postgres_builder import BUILDER_CLASS
from tests.read_side.test_hanging import Hanging
from tests.servers.postgres import TcpPostgres
from write_side.adapters import postgres_log, postgres_work
from write_side.adapters.postgres_one_run import PostgresOneRun

ROOT = Path(__file__).parents[2]
Connect = Callable[[str], Awaitable[psycopg.AsyncConnection[Any]]]
SESSIONS: dict[str, Connect] = {
    "appender": postgres_log.connect,
    "worker": postgres_work.connect,
    "projector": postgres_leader.connect,
    "listener": lambda url: sessions.connect(url, "listener", writes=False),
    "batches": lambda url: sessions.connect(url, "batches"),
}
WATCHED = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
}


@pytest.fixture(scope="module")
def tcp_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TcpPostgres]:
    with TcpPostgres(tmp_path_factory.mktemp("tcp-postgres")) as server:
        yield server


async def shown(connection: psycopg.AsyncConnection[Any], *names: str) -> dict[str, str]:
    return {name: (await (await connection.execute(f"show {name}")).fetchall())[0][0] for name in names}


@pytest.mark.parametrize("connect", SESSIONS.values(), ids=SESSIONS)
async def test_the_server_watches_who_holds_a_session(tcp_postgres: TcpPostgres, connect: Connect) -> None:
    async with await connect(tcp_postgres.url) as connection:
        assert await shown(connection, *WATCHED) == WATCHED


@pytest.mark.parametrize("connect", SESSIONS.values(), ids=SESSIONS)
async def test_options_of_the_url_stay(database_url: str, connect: Connect) -> None:
    async with await connect(f"{database_url}&options=-c%20work_mem%3D3MB") as connection:
        assert await shown(connection, "work_mem") == {"work_mem": "3MB"}


async def test_what_a_session_is_for_decides_how_it_commits_and_waits(database_url: str) -> None:
    asked = ("synchronous_commit", "lock_timeout", "idle_in_transaction_session_timeout")
    async with await postgres_log.connect(database_url) as connection:
        assert list((await shown(connection, *asked)).values()) == ["on", "10s", "10s"]
    for connect in (postgres_leader.connect, postgres_work.connect):
        async with await connect(database_url) as connection:
            assert list((await shown(connection, *asked)).values()) == ["off", "30s", "0"]


async def test_the_one_run_holds_its_place_in_such_a_session(tcp_postgres: TcpPostgres) -> None:
    async with PostgresOneRun(tcp_postgres.url).alone() as alone:
        assert await shown(alone._connection, *WATCHED) == WATCHED


async def test_a_server_that_takes_connections_and_is_silent_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sessions, "LIMIT", 0.01)
    with pytest.raises(psycopg.OperationalError, match=r"no answer within 0\.01 s"):
        await sessions.watched(cast(Any, Hanging()))


def test_every_lock_has_a_class_of_its_own() -> None:
    """By the source, so that none is forgotten: two classes that are equal lock each other out by chance."""
    found = [
        (int(number), path.name)
        for side in ("migrations", "read_side", "write_side")
        for path in (ROOT / side).rglob("*.py")
        for number in re.findall(r"\b17183824\d\d\b", path.read_text(encoding="utf-8"))
    ]
    assert len(found) >= 6
    assert len({number for number, _ in found}) == len(found), sorted(found)
    assert BUILDER_CLASS in {number for number, _ in found}


@pytest.mark.parametrize("connect", SESSIONS.values(), ids=SESSIONS)
async def test_a_server_that_takes_no_writes_is_as_good_as_none_for_who_writes(
    database_url: str, connect: Connect
) -> None:
    refusing = f"{database_url}&options=-c%20default_transaction_read_only%3Don"
    if connect is SESSIONS["listener"]:
        async with await connect(refusing) as connection:
            await connection.execute("listen checkpoints")
    else:
        with pytest.raises(psycopg.OperationalError, match="read-only"):
            await connect(refusing)
