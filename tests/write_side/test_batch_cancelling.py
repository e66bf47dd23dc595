"""Cancelling batches that an accounting CLI may have taken: what it has, does not go out again under another name."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from domain.batch import BatchStatus, Stage
from domain.errors import RuleViolated
from tests.api.outside import BADLY, WELL, ScriptedCli
from tests.write_side.accounting import cut_off, desk, load, rows
from tests.write_side.running_cli import gone, pids, sample
from tests.write_side.stores import by
from write_side.adapters.accounting_cli import LocalAccountingCli, lock_of
from write_side.batch.ports import CliFailed, CliStillRunning, Ended, FileNotWritten

UNREADABLE = Ended(exit_code=0, output="", failure="the error file is not CSV", unreadable=True)


async def test_what_a_kept_end_says_was_taken_is_not_cancelled(
    database_url: str, folder: Path, cli: ScriptedCli
) -> None:
    await cut_off(database_url, folder, cli, WELL)
    async with desk(database_url, folder, cli) as one:
        with pytest.raises(RuleViolated, match=r"batch 1 was taken by the accounting CLI.*: retry it"):
            await one.sending.cancel(1, by())
        assert (await load(one, 1)).status is BatchStatus.FAILED
        (batch,) = await one.sending.retry(1, by())
        assert (batch.status, batch.attempts, len(cli.given)) == (BatchStatus.SENT, 1, 1)


async def test_an_end_that_cannot_be_read_is_noted_before_it_can_be_cancelled(
    database_url: str, folder: Path, cli: ScriptedCli
) -> None:
    await cut_off(database_url, folder, cli, UNREADABLE)
    async with desk(database_url, folder, cli) as one:
        with pytest.raises(RuleViolated, match="was taken"):
            await one.sending.cancel(1, by())
        with pytest.raises(CliFailed, match="is not CSV"):
            await one.sending.retry(1, by())
        assert (await load(one, 1)).stage is Stage.RESULT
        cli.results[1, 1] = WELL  # somebody has mended the file: a retry would settle the batch
        with pytest.raises(RuleViolated, match="was taken"):
            await one.sending.cancel(1, by())
        cli.results[1, 1] = UNREADABLE
        await one.sending.cancel(1, by())
        assert (await load(one, 1)).status is BatchStatus.CANCELLED


@pytest.mark.parametrize("end", [BADLY, None], ids=["it failed", "nothing is kept"])
async def test_what_no_kept_end_says_was_taken_can_be_cancelled(
    database_url: str, folder: Path, cli: ScriptedCli, end: Ended | None
) -> None:
    await cut_off(database_url, folder, cli, end)
    async with desk(database_url, folder, cli) as one:
        await one.sending.cancel(1, by())
        (batch,) = await one.sending.send(by())
        assert (batch.batch_id, batch.status, batch.count) == (2, BatchStatus.SENT, 2)


@pytest.mark.parametrize("end", [WELL, None], ids=["it has ended", "nothing is kept"])
async def test_what_a_cli_may_have_taken_is_not_cancelled_where_that_cannot_be_told(
    database_url: str, folder: Path, cli: ScriptedCli, end: Ended | None
) -> None:
    await cut_off(database_url, folder, cli, end)
    async with desk(database_url, folder, None, by_file=True) as one:
        with pytest.raises(RuleViolated, match=r"nobody has noted how it ended.*CLI_COMMAND is not set in this"):
            await one.sending.cancel(1, by())
        assert (await load(one, 1)).status is BatchStatus.FAILED


async def test_a_cli_that_has_failed_for_good_can_be_given_up(
    database_url: str, folder: Path, cli: ScriptedCli
) -> None:
    async with desk(database_url, folder, cli, retries=0) as one:
        ids = await one.record(1, 2)
        cli.ends = [BADLY]
        with pytest.raises(CliFailed):
            await one.sending.send(by())
    async with desk(database_url, folder, None, by_file=True) as one:
        await one.sending.cancel(1, by())
        (batch,) = await one.sending.send(by())
        assert rows((folder / batch.file_name).read_bytes()) == ids


async def test_a_kept_end_that_cannot_be_looked_for_keeps_the_batch(
    database_url: str, folder: Path, cli: ScriptedCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def kept(*_: object) -> Ended:
        raise FileNotWritten("result.json: Input/output error")

    await cut_off(database_url, folder, cli, WELL)
    monkeypatch.setattr(cli, "kept", kept)
    async with desk(database_url, folder, cli) as one:
        with pytest.raises(FileNotWritten, match="Input/output error"):
            await one.sending.cancel(1, by())
        assert (await load(one, 1)).status is BatchStatus.FAILED


@pytest.mark.parametrize("told", [True, False], ids=["with CLI_COMMAND", "without"])
async def test_nothing_is_cancelled_while_a_child_of_its_cli_lives(database_url: str, folder: Path, told: bool) -> None:
    leaving = LocalAccountingCli(folder, sample("--leave-child", "120", "--exit", "1"), wait=0)
    async with desk(database_url, folder, leaving, retries=0) as one:
        await one.record(1, 2)
        with pytest.raises(CliFailed):
            await one.sending.send(by())
    other = LocalAccountingCli(folder, "true", wait=0) if told else None
    async with desk(database_url, folder, other, by_file=True, cli_lock=lock_of(folder, 0).held) as one:
        with pytest.raises(CliStillRunning) as raised:
            await one.sending.cancel(1, by())
        assert not any(str(pid) in str(raised.value) for pid in pids(folder))
        child = int(str(raised.value).rpartition(" ")[2])
        os.kill(child, signal.SIGKILL)
        assert await gone(child)
        await one.sending.cancel(1, by())
