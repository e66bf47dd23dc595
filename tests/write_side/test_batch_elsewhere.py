"""Batches that go on in another process or folder than they began in: nothing lost, nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.batch import BatchStatus
from domain.errors import RuleViolated
from tests.api.outside import BADLY, WELL, ScriptedCli
from tests.write_side.accounting import Died, Steps, cut_off, desk, load, rows
from tests.write_side.stores import by
from write_side.batch.ports import CliFailed, Ended, FileNotWritten


async def test_a_process_without_the_cli_sends_nothing_past_it(
    database_url: str, folder: Path, cli: ScriptedCli
) -> None:
    async with desk(database_url, folder, cli) as one:
        await one.record(1, 1)
        await one.sending.send(by())
        late = await one.record(2, 1)
    async with desk(database_url, folder, None) as one:
        with pytest.raises(RuleViolated, match="batch 1 was taken by the accounting CLI, and CLI_COMMAND is not set"):
            await one.sending.send(by())
    async with desk(database_url, folder, None, by_file=True) as one:
        (batch,) = await one.sending.send(by())
        assert (batch.by_cli, rows((folder / batch.file_name).read_bytes())) == (False, late)


async def test_a_cli_that_has_taken_nothing_keeps_nobody_from_sending_files(
    database_url: str, folder: Path, cli: ScriptedCli
) -> None:
    async with desk(database_url, folder, cli, retries=0) as one:
        for first in (1, 2):
            await one.record(first, 1)
            cli.ends = [BADLY]
            with pytest.raises(CliFailed):
                await one.sending.send(by())
            await one.sending.cancel(first, by())
    async with desk(database_url, folder, None) as one:
        (batch,) = await one.sending.send(by())
        assert (batch.batch_id, batch.by_cli, batch.count) == (3, False, 2)


async def test_a_cancelled_batch_does_not_hide_that_a_cli_took_one(
    database_url: str, folder: Path, cli: ScriptedCli
) -> None:
    async with desk(database_url, folder, cli, retries=0) as one:
        await one.record(1, 1)
        await one.sending.send(by())
        await one.record(2, 1)
        cli.ends = [BADLY]
        with pytest.raises(CliFailed):
            await one.sending.send(by())
        await one.sending.cancel(2, by())
    async with desk(database_url, folder, None) as one:
        with pytest.raises(RuleViolated, match="batch 1 was taken by the accounting CLI"):
            await one.sending.send(by())


async def test_an_end_that_was_kept_counts_whatever_went_wrong_since(
    database_url: str, folder: Path, cli: ScriptedCli
) -> None:
    await cut_off(database_url, folder, cli, WELL)
    async with desk(database_url, folder, cli) as one:
        (batch,) = await one.sending.send(by())
        assert (batch.status, batch.attempts, len(cli.given)) == (BatchStatus.SENT, 1, 1)


async def test_an_error_file_about_something_else_is_read_again_then_the_cli_runs_again(
    database_url: str, folder: Path, cli: ScriptedCli
) -> None:
    async with desk(database_url, folder, cli) as one:
        await one.record(1, 2)
        cli.ends = [Ended(exit_code=0, output="", rejected={"AC999999": "?"}), WELL]
        with pytest.raises(CliFailed):
            await one.sending.send(by())
        (batch,) = await one.sending.send(by())
        assert (batch.status, batch.attempts, len(cli.given)) == (BatchStatus.SENT, 2, 2)


async def test_a_file_prepared_in_another_folder_is_not_taken_for_delivered(database_url: str, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    async with desk(database_url, first, None, steps=Steps(7)) as one:  # it dies before the file gets its name
        ids = await one.record(1, 2)
        with pytest.raises(Died):
            await one.sending.send(by())
    async with desk(database_url, second, None) as one:
        with pytest.raises(FileNotWritten, match="in another folder than this"):
            await one.sending.finish(by())
        assert (await load(one, 1)).status is BatchStatus.FAILED
    async with desk(database_url, first, None) as one:
        (batch,) = await one.sending.send(by())
        assert rows((first / batch.file_name).read_bytes()) == ids
