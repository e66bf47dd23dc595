"""A batch whose CLI is stopped from outside, or has no lock: it goes on later, or says why it has failed."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import signal
from pathlib import Path

import pytest

from domain.batch import BatchStatus, Stage
from tests.api.outside import ScriptedCli
from tests.write_side.accounting import desk, load
from tests.write_side.running_cli import started
from tests.write_side.stores import by
from write_side.adapters.accounting_cli import LocalAccountingCli
from write_side.batch.delivering import pause
from write_side.batch.ports import CliStopped, FileNotWritten


@pytest.mark.parametrize("retries", [0, 3])
async def test_a_cli_that_a_service_manager_stops_runs_again_at_the_next_start_only(
    database_url: str, folder: Path, retries: int
) -> None:
    async with desk(database_url, folder, LocalAccountingCli(folder, "sleep 600"), retries=retries) as one:
        await one.record(1, 1)
        sending = asyncio.create_task(one.sending.send(by()))
        around, _ = await started(folder)
        os.kill(around, signal.SIGTERM)  # as systemd does to every process of a service
        with pytest.raises(CliStopped):
            await sending
        batch = await load(one, 1)
        assert (batch.status, batch.attempts, batch.untold) == (BatchStatus.RUNNING, 1, True)
        assert await one.sending.cut_off() == [1]
    cli = ScriptedCli(lambda name: (folder / name).read_bytes())
    async with desk(database_url, folder, cli) as one:
        (batch,) = await one.sending.finish(by())
        assert (batch.status, batch.attempts, len(cli.given)) == (BatchStatus.SENT, 2, 1)


async def test_a_folder_without_locks_fails_the_batch(
    database_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    async with desk(database_url, folder, LocalAccountingCli(folder, "true")) as one:
        await one.record(1, 1)
        with monkeypatch.context() as patched:
            patched.setattr(fcntl, "flock", flock)
            with pytest.raises(FileNotWritten, match="lock: No locks available"):
                await one.sending.send(by())
            batch = await load(one, 1)
            assert (batch.status, batch.stage, batch.attempts) == (BatchStatus.FAILED, Stage.FILE, 0)
            assert batch.reason == f"{folder / '.batches' / 'lock'}: No locks available"
            assert await one.sending.finish(by()) == [], "it is not tried again by itself"
        (batch,) = await one.sending.send(by())
        assert batch.status is BatchStatus.SENT


async def test_a_batch_that_no_cli_was_started_on_is_cancelled_without_its_lock(
    database_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    async with desk(database_url, folder, LocalAccountingCli(folder, "true")) as one:
        await one.record(1, 1)
        with pytest.raises(FileNotWritten):
            await one.sending.send(by())
        await one.sending.cancel(1, by())
        assert (await load(one, 1)).status is BatchStatus.CANCELLED


def test_the_pause_between_runs_doubles_to_a_minute() -> None:
    assert [pause(0.5, again) for again in (1, 2, 3, 7, 8, 100)] == [0.5, 1.0, 2.0, 32.0, 60.0, 60.0]
    assert [pause(0.0, again) for again in (1, 100)] == [0.0, 0.0]
    assert [pause(600.0, again) for again in (1, 100)] == [600.0, 600.0], "what is set is kept"
