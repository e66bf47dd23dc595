"""What the database itself promises of the log, whoever writes to it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from migrations import NEWEST, migrate
from tests.projections.logs import append, opened


def rows(database_url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        return connection.execute(query).fetchall()


def test_four_starts_at_once_make_one_database(empty_database_url: str) -> None:
    with ThreadPoolExecutor() as threads:
        list(threads.map(migrate, [empty_database_url] * 4))
    assert len(rows(empty_database_url, "select epoch from app.log")) == 1


def test_a_start_on_a_current_database_changes_nothing(database_url: str) -> None:
    before = rows(database_url, "select epoch from app.log")
    migrate(database_url)
    assert rows(database_url, "select epoch from app.log") == before


def test_the_newest_revision_is_the_one_that_readiness_asks_for(database_url: str) -> None:
    assert rows(database_url, "select version_num from app.alembic_version") == [(NEWEST,)]


async def test_rows_of_the_stock_library_are_placed_behind_ours(database_url: str) -> None:
    assert await append(database_url, opened("A"), opened("B")) == 2
    insert = """
        insert into es.stored_events (originator_id, originator_version, topic, state)
        select 'stock/1', version, 'topic', '' from generate_series(1, 3) version returning notification_id
    """
    assert rows(database_url, insert) == [(3,), (4,), (5,)]
    assert await append(database_url, opened("C")) == 6
    times = [
        time for (time,) in rows(database_url, "select recorded_at from es.stored_events order by notification_id")
    ]
    assert times == sorted(times)


@pytest.mark.parametrize(
    "statement",
    ["update es.stored_events set topic = 'x'", "delete from es.stored_events", "truncate es.stored_events"],
)
async def test_the_log_is_append_only(database_url: str, statement: str) -> None:
    await append(database_url, opened("A"))
    with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
        rows(database_url, statement)


async def test_an_append_takes_all_or_nothing(database_url: str) -> None:
    await append(database_url, opened("A"))
    with pytest.raises(psycopg.errors.UniqueViolation):
        await append(database_url, opened("B"), opened("A"))
    assert await append(database_url, opened("C")) == 2


async def test_a_stream_gets_no_hole(database_url: str) -> None:
    await append(database_url, opened("A"))
    statement = """
        select base from es.append('{portfolio/A}', '{3}', '{t}', '{x}', '{null}', '{c}', '{null}', '{a}',
                                   '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')
    """
    with pytest.raises(psycopg.errors.UniqueViolation, match="would not follow"):
        rows(database_url, statement)
    assert rows(database_url, "select count(*) from es.stored_events") == [(1,)]
