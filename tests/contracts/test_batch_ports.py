"""The ports that sending batches needs, each over every adapter: one run at a time, the folder of files, the CLI."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psycopg
import pytest

from domain.errors import StoreUnavailable
from tests.write_side.running_cli import NAME, publish, sample
from write_side.adapters.accounting_cli import LocalAccountingCli
from write_side.adapters.output_folder import LocalOutputFolder
from write_side.adapters.postgres_one_run import SEND_CLASS, PostgresOneRun
from write_side.batch.ports import (
    AccountingCli,
    BatchInProgress,
    CliStillRunning,
    Ended,
    FileNotWritten,
    OneRun,
    OutputFolder,
    Written,
)

FOLDERS: list[Callable[[Path], OutputFolder]] = [LocalOutputFolder]
CLIS: list[Callable[..., AccountingCli]] = [LocalAccountingCli]
RUNS: list[Callable[[str], OneRun]] = [PostgresOneRun]
ONE, TWO = b"one\n", b"two, longer\n"


@pytest.fixture(params=FOLDERS, ids=lambda make: make.__name__)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> OutputFolder:
    made: OutputFolder = request.param(tmp_path)
    return made


@pytest.fixture(params=CLIS, ids=lambda make: make.__name__)
def make_cli(request: pytest.FixtureRequest) -> Callable[..., AccountingCli]:
    made: Callable[..., AccountingCli] = request.param
    return made


@pytest.fixture(params=RUNS, ids=lambda make: make.__name__)
def one_run(request: pytest.FixtureRequest, database_url: str) -> OneRun:
    made: OneRun = request.param(database_url)
    return made


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for each in data:
        yield each


def written(data: bytes) -> Written:
    return Written(hashlib.sha256(data).hexdigest(), len(data))


async def test_a_file_is_prepared_then_published(folder: OutputFolder, tmp_path: Path) -> None:
    assert await folder.prepared(NAME) is None
    assert await folder.published(NAME) is None
    assert await folder.prepare(NAME, pieces(ONE, b"", TWO)) == written(ONE + TWO)
    assert await folder.prepared(NAME) == written(ONE + TWO)
    assert await folder.published(NAME) is None
    assert not (tmp_path / NAME).exists()
    await folder.publish(NAME)
    assert await folder.prepared(NAME) is None
    assert await folder.published(NAME) == written(ONE + TWO)
    assert (tmp_path / NAME).read_bytes() == ONE + TWO


async def test_what_was_prepared_or_published_gives_way(folder: OutputFolder) -> None:
    await folder.prepare(NAME, pieces(TWO))
    assert await folder.prepare(NAME, pieces(ONE)) == written(ONE)
    await folder.publish(NAME)
    assert await folder.prepare(NAME, pieces()) == written(b"")
    assert await folder.published(NAME) == written(ONE)
    await folder.publish(NAME)
    assert await folder.published(NAME) == written(b"")


async def test_nothing_is_visible_while_it_is_written(folder: OutputFolder, tmp_path: Path) -> None:
    seen: list[str] = []

    async def looking() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b"x" * 1024 * 1024
            seen.extend(os.listdir(tmp_path))
            assert await folder.prepared(NAME) is None
            assert await folder.published(NAME) is None

    await folder.prepare(NAME, looking())
    assert seen
    assert all(name.startswith(".") for name in seen)


async def test_what_the_pieces_raise_is_raised_and_nothing_changes(folder: OutputFolder) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield ONE
        raise OSError("of the pieces")

    await folder.prepare(NAME, pieces(TWO))
    with pytest.raises(OSError, match="of the pieces"):
        await folder.prepare(NAME, broken())
    assert await folder.prepared(NAME) == written(TWO)


async def test_what_is_not_prepared_cannot_be_published(folder: OutputFolder) -> None:
    with pytest.raises(FileNotWritten, match=NAME):
        await folder.publish(NAME)


async def test_a_removed_file_is_not_there_prepared_or_published(folder: OutputFolder, tmp_path: Path) -> None:
    await folder.prepare(NAME, pieces(ONE))
    await folder.publish(NAME)
    await folder.prepare(NAME, pieces(TWO))
    for _ in range(2):
        await folder.remove(NAME)
        assert await folder.prepared(NAME) is None
        assert await folder.published(NAME) is None
    assert [name for name in os.listdir(tmp_path) if name != ".batches"] == []


async def test_a_file_leaves_a_mark_until_it_is_forgotten(folder: OutputFolder) -> None:
    assert not await folder.was_prepared(NAME)
    await folder.prepare(NAME, pieces(ONE))
    await folder.publish(NAME)
    await folder.remove(NAME)
    assert await folder.was_prepared(NAME)
    for _ in range(2):
        await folder.forget(NAME)
        assert not await folder.was_prepared(NAME)


async def test_a_withdrawn_file_is_prepared_as_before(folder: OutputFolder) -> None:
    written = await folder.prepare(NAME, pieces(ONE))
    await folder.publish(NAME)
    for _ in range(2):
        await folder.withdraw(NAME)
        assert (await folder.prepared(NAME), await folder.published(NAME)) == (written, None)


async def test_an_end_is_kept_until_it_is_tidied_away(make_cli: Callable[..., AccountingCli], tmp_path: Path) -> None:
    publish(tmp_path)
    cli = make_cli(tmp_path, sample("--reject", "3"))
    assert await cli.kept(7, 1, NAME) is None
    async with cli.alone():
        ended = await cli.run(7, 1, NAME)
    assert (ended.exit_code, ended.failure, ended.rejected) == (0, None, {"AC3": "rejected on request"})
    assert await make_cli(tmp_path, "true").kept(7, 1, NAME) == ended
    for batch_id, attempt, name in [(7, 2, NAME), (8, 1, NAME), (7, 1, "transactions_20250618_120000_7.csv")]:
        assert await cli.kept(batch_id, attempt, name) is None
    for _ in range(2):
        await cli.tidy(7)
    assert await cli.kept(7, 1, NAME) is None
    assert (tmp_path / NAME).exists()


async def test_a_failure_is_an_end_too(make_cli: Callable[..., AccountingCli], tmp_path: Path) -> None:
    publish(tmp_path)
    cli = make_cli(tmp_path, "sh -c 'echo sorry; exit 3'")
    async with cli.alone():
        ended = await cli.run(7, 1, NAME)
    assert ended == Ended(exit_code=3, output="sorry\n", failure="exit code 3")
    assert await cli.kept(7, 1, NAME) == ended


async def test_the_lock_of_the_cli_is_held_by_one(make_cli: Callable[..., AccountingCli], tmp_path: Path) -> None:
    first, second = make_cli(tmp_path, "true", wait=0.1), make_cli(tmp_path, "true", wait=0.1)
    async with first.alone():
        with pytest.raises(CliStillRunning):
            async with second.alone():
                raise AssertionError("held twice")
    async with second.alone():
        await second.tidy(7)
    (tmp_path / "file").touch()
    with pytest.raises(FileNotWritten, match="lock: Not a directory"):
        async with make_cli(tmp_path / "file", "true").alone():
            raise AssertionError("held where nothing can be")


async def test_a_lock_that_the_folder_cannot_have_is_told(
    make_cli: Callable[..., AccountingCli], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(FileNotWritten, match="lock: No locks available"):
        async with make_cli(tmp_path, "true").alone():
            raise AssertionError("held where nothing can be")


async def test_one_run_at_a_time(one_run: OneRun) -> None:
    for _ in range(3):
        async with one_run.alone() as alone:
            await alone.check()
            with pytest.raises(BatchInProgress, match="batch process already in progress"):
                async with one_run.alone():
                    raise AssertionError("held twice")
            await alone.check()


async def test_who_comes_a_moment_early_gets_the_place(one_run: OneRun, database_url: str) -> None:
    inside, patient = asyncio.Event(), PostgresOneRun(database_url, wait=60)

    async def next_one() -> None:
        async with patient.alone():
            inside.set()

    async with one_run.alone():
        waiting = asyncio.create_task(next_one())
        sessions = (
            "select count(*) from pg_stat_activity"
            " where application_name = 'foliolog-batches' and datname = current_database()"
        )
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
            while (await (await connection.execute(sessions)).fetchone()) != (2,):
                pass
        assert not inside.is_set()
    await waiting
    assert inside.is_set()


async def test_a_run_that_has_lost_its_session_learns_it(one_run: OneRun, database_url: str) -> None:
    async with one_run.alone() as alone:
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
            await connection.execute(
                "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and classid = %s"
                " and database = (select oid from pg_database where datname = current_database())",
                (SEND_CLASS,),
            )
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="the session of the run of batches is lost"):
                await alone.check()
        async with one_run.alone() as successor:
            await successor.check()


async def test_without_a_database_no_run_begins() -> None:
    with pytest.raises(StoreUnavailable, match="has no session"):
        async with PostgresOneRun("postgresql://u@127.0.0.1:1/x").alone():
            raise AssertionError("held nowhere")
