"""Sending batches: everything once, and what has failed first, whoever asks."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from domain.batch import Batch, BatchSequence, BatchStatus, Stage
from domain.errors import NotFound, RuleViolated, StaleVersion
from domain.execution import Execution
from tests.api.outside import BADLY, WELL, ScriptedCli
from tests.domain.executions import NOW
from tests.write_side.accounting import desk, files_in, load, rows
from tests.write_side.stores import by
from write_side.batch.ports import BatchInProgress, CliFailed, Ended, FileNotWritten


async def test_nothing_to_send_makes_no_batch_and_no_file(database_url: str, folder: Path, cli: ScriptedCli) -> None:
    async with desk(database_url, folder, cli) as one:
        assert await one.sending.send(by()) == []
        assert await one.store.load(BatchSequence, BatchSequence.KEY) is None
    assert cli.given == []
    assert files_in(folder) == []


async def test_a_batch_takes_what_none_has_and_hands_it_over(database_url: str, folder: Path, cli: ScriptedCli) -> None:
    async with desk(database_url, folder, cli) as one:
        first = await one.record(1, 3)
        (batch,) = await one.sending.send(by())
        assert (batch.batch_id, batch.status, batch.count, batch.attempts) == (1, BatchStatus.SENT, 3, 1)
        ((name, content),) = cli.given
        assert (name, rows(content)) == (batch.file_name, first)
        assert (folder / name).read_bytes() == content
        assert batch.sha256 == sha256(content).hexdigest()
        assert cli.tidied == [1]
        assert await one.sending.send(by()) == []
        second = await one.record(10, 2)
        (batch,) = await one.sending.send(by())
        assert (batch.batch_id, rows(cli.given[1][1])) == (2, second)


async def test_without_a_cli_the_file_is_the_delivery(database_url: str, folder: Path) -> None:
    async with desk(database_url, folder, None) as one:
        ids = await one.record(1, 2)
        (batch,) = await one.sending.send(by())
        assert (batch.status, batch.attempts, batch.by_cli) == (BatchStatus.SENT, 0, False)
        assert rows((folder / batch.file_name).read_bytes()) == ids


async def test_files_are_deleted_where_that_is_set_and_nothing_was_rejected(
    database_url: str, folder: Path, cli: ScriptedCli
) -> None:
    async with desk(database_url, folder, cli, delete_files=True) as one:
        (only,) = await one.record(1, 1)
        cli.ends = [Ended(exit_code=0, output="", rejected={f"AC{only}": "unknown security"})]
        (partial,) = await one.sending.send(by())
        await one.record(2, 1)
        await one.sending.send(by())
        assert files_in(folder) == [partial.file_name]


async def test_rejected_executions_are_told_and_go_out_again_when_asked(
    database_url: str, folder: Path, cli: ScriptedCli
) -> None:
    async with desk(database_url, folder, cli) as one:
        ids = await one.record(1, 3)
        cli.ends = [Ended(exit_code=0, output="", rejected={f"AC{ids[1]}": "price", f"AC{ids[2]}": "security"})]
        (batch,) = await one.sending.send(by())
        assert (batch.status, batch.rejected) == (BatchStatus.PARTIAL, {ids[1]: "price", ids[2]: "security"})
        assert cli.tidied == []
        assert await one.sending.send(by()) == [], "they do not go out by themselves"
        execution = await one.store.load(Execution, "2")
        assert execution is not None
        execution.send_again(ids[1], 1, NOW)
        await one.store.record(execution, context=by())
        new = await one.record(10, 1)
        (batch,) = await one.sending.send(by())
        assert rows(cli.given[-1][1]) == [ids[1], *new]


async def test_the_cli_is_run_again_with_the_same_file_then_the_batch_has_failed(
    database_url: str, folder: Path, cli: ScriptedCli
) -> None:
    async with desk(database_url, folder, cli, retries=2) as one:
        await one.record(1, 3)
        cli.ends = [BADLY, BADLY, BADLY]
        with pytest.raises(CliFailed, match="batch 1: exit code 1"):
            await one.sending.send(by())
        batch = await load(one, 1)
        assert (batch.status, batch.stage, batch.attempts) == (BatchStatus.FAILED, Stage.CLI, 3)
        assert (batch.exit_code, batch.output, batch.reason) == (1, "no\n", "exit code 1")
        await one.record(10, 2)
        cli.ends = [BADLY] * 3
        with pytest.raises(CliFailed):
            await one.sending.send(by())
        assert (await load(one, 1)).attempts == 6
        assert await one.store.load(Batch, "2") is None, "no new batch before an old one"
        cli.ends = [BADLY, WELL]
        sent = await one.sending.send(by())
        assert [(batch.batch_id, batch.status, batch.count) for batch in sent] == [
            (1, BatchStatus.SENT, 3),
            (2, BatchStatus.SENT, 2),
        ]
        assert len({given for given in cli.given if given[0] == sent[0].file_name}) == 1
        assert len(cli.given) == 9


async def test_one_failed_batch_is_retried_by_its_number(database_url: str, folder: Path, cli: ScriptedCli) -> None:
    async with desk(database_url, folder, cli, retries=0) as one:
        await one.record(1, 1)
        cli.ends = [BADLY]
        with pytest.raises(CliFailed):
            await one.sending.send(by())
        with pytest.raises(NotFound, match="batch not found"):
            await one.sending.retry(2, by())
        with pytest.raises(StaleVersion):
            await one.sending.retry(1, by(expected_version=99))
        (batch,) = await one.sending.retry(1, by())
        assert batch.status is BatchStatus.SENT
        with pytest.raises(RuleViolated, match="batch 1 is SENT: only a FAILED one can be retried"):
            await one.sending.retry(1, by())


async def test_what_a_cancelled_batch_had_goes_out_with_the_next(
    database_url: str, folder: Path, cli: ScriptedCli
) -> None:
    async with desk(database_url, folder, cli, retries=0) as one:
        old = await one.record(1, 2)
        cli.ends = [BADLY]
        with pytest.raises(CliFailed):
            await one.sending.send(by())
        await one.sending.cancel(1, by())
        assert (await load(one, 1)).status is BatchStatus.CANCELLED
        assert files_in(folder) == []
        with pytest.raises(RuleViolated, match="batch 1 is CANCELLED"):
            await one.sending.cancel(1, by())
        new = await one.record(10, 1)
        (batch,) = await one.sending.send(by())
        assert (batch.batch_id, batch.returned, batch.count) == (2, (1,), 3)
        assert rows(cli.given[-1][1]) == [*old, *new]


@pytest.mark.parametrize("source", ["AC999999", "AC1"])
async def test_an_error_file_about_something_else_is_not_believed(
    database_url: str, folder: Path, cli: ScriptedCli, source: str
) -> None:
    async with desk(database_url, folder, cli) as one:
        await one.one.open("ACC-1")
        await one.record(1, 2)
        cli.ends = [Ended(exit_code=0, output="", rejected={source: "?"})]
        with pytest.raises(CliFailed, match=f"names {source}, which the batch does not have"):
            await one.sending.send(by())
        batch = await load(one, 1)
        assert (batch.status, batch.stage, batch.attempts) == (BatchStatus.FAILED, Stage.RESULT, 1)


async def test_an_unreadable_end_is_read_again_before_the_cli_runs_again(
    database_url: str, folder: Path, cli: ScriptedCli
) -> None:
    unreadable = Ended(exit_code=0, output="", failure="the error file is not CSV", unreadable=True)
    async with desk(database_url, folder, cli) as one:
        await one.record(1, 2)
        cli.ends = [unreadable]
        with pytest.raises(CliFailed, match="is not CSV"):
            await one.sending.send(by())
        assert (await load(one, 1)).attempts == 1, "the CLI itself has ended well"
        cli.results[1, 1] = WELL  # somebody has mended the file
        (batch,) = await one.sending.send(by())
        assert (batch.status, batch.attempts, len(cli.given)) == (BatchStatus.SENT, 1, 1)


async def test_a_folder_that_cannot_be_written_fails_the_batch(database_url: str, tmp_path: Path) -> None:
    blocked = tmp_path / "files"
    blocked.write_text("a file where the folder should be")
    cli = ScriptedCli(lambda name: (blocked / name).read_bytes())
    async with desk(database_url, blocked, cli) as one:
        await one.record(1, 2)
        with pytest.raises(FileNotWritten, match="of batch 1 cannot be written"):
            await one.sending.send(by())
        batch = await load(one, 1)
        assert (batch.status, batch.stage, batch.attempts) == (BatchStatus.FAILED, Stage.FILE, 0)
        blocked.unlink()
        (batch,) = await one.sending.send(by())
        assert (batch.status, batch.count) == (BatchStatus.SENT, 2)


async def test_a_file_that_was_changed_is_made_anew_with_the_bytes_it_had(
    database_url: str, folder: Path, cli: ScriptedCli
) -> None:
    async with desk(database_url, folder, cli, retries=0) as one:
        await one.record(1, 2)
        cli.ends = [BADLY]
        with pytest.raises(CliFailed):
            await one.sending.send(by())
        (folder / cli.given[0][0]).write_text("something else")
        await one.sending.send(by())
        assert cli.given[0] == cli.given[1]


async def test_the_second_run_is_refused_while_the_first_one_runs(
    database_url: str, folder: Path, cli: ScriptedCli
) -> None:
    async with desk(database_url, folder, cli) as one, desk(database_url, folder, cli) as other:
        await one.record(1, 2)
        async with one.sending.one_run.alone():
            with pytest.raises(BatchInProgress):
                await other.sending.send(by())
            with pytest.raises(BatchInProgress):
                await one.sending.send(by())
        (batch,) = await other.sending.send(by())
        assert batch.count == 2


@pytest.mark.parametrize("taken", [False, True])
async def test_a_delivery_by_file_is_cancelled_unless_somebody_has_taken_the_file(
    database_url: str, folder: Path, taken: bool
) -> None:
    def consume(path: Path) -> None:
        if taken:
            path.unlink()
        raise FileNotWritten("the folder cannot be flushed")

    async with desk(database_url, folder, None, consume=consume) as one:
        ids = await one.record(1, 2)
        with pytest.raises(FileNotWritten):
            await one.sending.send(by())
        assert (await load(one, 1)).status is BatchStatus.FAILED
    async with desk(database_url, folder, None) as one:
        if taken:
            with pytest.raises(RuleViolated, match="was taken: it is as good as sent"):
                await one.sending.cancel(1, by())
        else:
            await one.sending.cancel(1, by())
            assert files_in(folder) == []
        (batch,) = await one.sending.send(by())
        assert (batch.batch_id, batch.count) == ((1, 2) if taken else (2, 2))
        found = [rows((folder / name).read_bytes()) for name in files_in(folder)]
        assert found == ([] if taken else [ids])
