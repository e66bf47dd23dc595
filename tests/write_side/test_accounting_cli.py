"""The accounting CLI as a process: its command and folder, how it ends, and what it says of rejected rows."""

from __future__ import annotations

import shlex
import sys
import types
import typing
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest

from api.settings import Settings
from domain.command_line import CLI_PLACEHOLDERS, words_of
from domain.errors import Broken
from tests.write_side.running_cli import NAME, pids, publish, sample
from write_side.adapters.accounting_cli import OURS, LocalAccountingCli
from write_side.adapters.error_file import NO_REASON
from write_side.batch.ports import Ended, FileNotWritten


async def run(folder: Path, command: str, *, timeout: float = 60, grace: float = 5) -> Ended:
    cli = LocalAccountingCli(folder, command, timeout=timeout, grace=grace)
    async with cli.alone():
        ended = await cli.run(7, 1, NAME)
    assert await cli.kept(7, 1, NAME) == ended
    return ended


def python(code: str) -> str:
    return shlex.join([sys.executable, "-c", code.replace("{", "{{").replace("}", "}}")])


async def test_it_gets_a_copy_of_the_file_in_a_private_folder(tmp_path: Path) -> None:
    file = publish(tmp_path)
    command = "sh -c 'echo \"$@\"; ls -A $2' sh '{file}' {output_dir} {filename} {batch} {attempt} '{{}}'"
    ended = await run(tmp_path, command)
    private = tmp_path / ".batches" / "7" / "1"
    assert ended.output == f"{private / NAME} {private} {NAME} 7 1 {{}}\n{NAME}\n"
    assert (private / NAME).read_bytes() == file.read_bytes()


async def test_values_are_never_seen_by_a_shell(tmp_path: Path) -> None:
    folder = tmp_path / "a b; exit 3 $(false) \"'"
    publish(folder)
    ended = await run(folder, "echo {output_dir}")
    assert ended == Ended(exit_code=0, output=f"{folder / '.batches' / '7' / '1'}\n")


async def test_it_works_where_we_do_with_our_environment_and_nothing_to_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path)
    monkeypatch.setenv("ACCOUNTING_KEY", "its own")
    ended = await run(tmp_path, "sh -c 'pwd; cat; echo $ACCOUNTING_KEY >&2'")
    assert ended.output.splitlines() == [str(Path.cwd()), "its own"]


async def test_our_secrets_are_not_in_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path)
    for name in OURS:
        monkeypatch.setenv(name, f"secret of {name}")
        monkeypatch.setenv(name.lower(), f"secret of {name}, for settings have any case")
    ended = await run(tmp_path, "env")
    assert ended.output
    assert "secret of" not in ended.output


OPEN = {
    "cli_command",  # its words are its own
    "elasticsearch_prefix",
    "host",
    "kafka_bootstrap_servers",
    "kafka_topic",
    "kafka_username",
    "solvers",
}
"""Settings of any text in which nobody has a reason to write a secret."""


def test_every_setting_that_can_hold_a_secret_is_known() -> None:
    texts = {name for name, each in Settings.model_fields.items() if holds_text(each.annotation)}
    assert texts - OPEN == {name.lower() for name in OURS}, "a new setting of text is in one of the two"
    assert texts >= OPEN


def holds_text(annotation: Any) -> bool:
    """Return whether a value of this type can be any text: all but numbers, paths and what is one of a few words."""
    match get_origin(annotation):
        case typing.Literal:
            return False
        case typing.Annotated:
            return holds_text(get_args(annotation)[0])
        case typing.Union | types.UnionType:
            return any(map(holds_text, get_args(annotation)))
        case None:
            return not issubclass(annotation, bool | int | Decimal | Path | Enum | None)
        case _:
            return True


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("", "it is empty"),
        ("  ", "it is empty"),
        ("cli '{file}", "No closing quotation"),
        ("cli {files}", r"\{files\} in '\{files\}' is none of \{file\}, \{filename\}, \{output_dir\}"),
        ("cli {}", r"\{\} in '\{\}' is none of"),
        ("cli {file.name}", "is none of"),
        ("cli {file!r}", "is none of"),
        ("cli {file:>9}", "is none of"),
        ("cli x{file", "expected '}' before end of string in 'x{file'"),
        ("cli }", "Single '}' encountered in format string in '}'; a brace itself is written twice"),
    ],
)
def test_a_template_that_cannot_be_filled_in_is_refused(tmp_path: Path, command: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        LocalAccountingCli(tmp_path, command)


def test_quotes_keep_words_together() -> None:
    assert words_of("cli '--to={output_dir}/a b' \"\" c\\ d", CLI_PLACEHOLDERS) == [
        "cli",
        "--to={output_dir}/a b",
        "",
        "c d",
    ]


async def test_all_went_well(tmp_path: Path) -> None:
    publish(tmp_path)
    ended = await run(tmp_path, sample())
    assert ended == Ended(exit_code=0, output=f"{NAME}: 4 booked, 0 duplicates, 0 rejected\n")


@pytest.mark.parametrize("name", ["csv.errors", "errors", "-errors"])
async def test_rejected_rows_are_those_of_its_error_file_by_any_of_its_names(tmp_path: Path, name: str) -> None:
    publish(tmp_path)
    ended = await run(tmp_path, sample("--reject", "2", f"--error-name={name}"))
    assert (ended.exit_code, ended.failure, ended.unreadable) == (0, None, False)
    assert ended.rejected == {"AC2": "rejected on request", "AC4": "rejected on request"}


async def test_it_may_reject_all_and_delete_its_input(tmp_path: Path) -> None:
    file = publish(tmp_path)
    ended = await run(tmp_path, sample("--reject-all", "--delete-input"))
    assert (ended.exit_code, len(ended.rejected)) == (0, 4)
    assert not (tmp_path / ".batches" / "7" / "1" / NAME).exists()
    assert file.exists()


async def test_an_error_file_that_says_nothing_is_unreadable(tmp_path: Path) -> None:
    publish(tmp_path)
    ended = await run(tmp_path, sample("--garbage"))
    assert (ended.exit_code, ended.unreadable, ended.rejected) == (0, True, {})
    assert ended.failure == f"{NAME}.errors.csv is not UTF-8"


async def test_an_error_file_counts_only_where_it_went_well(tmp_path: Path) -> None:
    publish(tmp_path)
    ended = await run(tmp_path, sample("--reject-all", "--exit", "3"))
    assert (ended.exit_code, ended.failure, ended.unreadable, ended.rejected) == (3, "exit code 3", False, {})


async def test_one_that_ends_by_a_signal_has_no_exit_code(tmp_path: Path) -> None:
    publish(tmp_path)
    ended = await run(tmp_path, "sh -c 'echo a; kill -9 $$'")
    assert ended == Ended(exit_code=None, output="a\n", failure="killed by signal 9")


async def test_one_that_cannot_be_started(tmp_path: Path) -> None:
    publish(tmp_path)
    ended = await run(tmp_path, "/no/such/program --file {file}")
    assert ended.exit_code is None
    assert ended.failure == "/no/such/program cannot be started: No such file or directory"
    ended = await run(tmp_path, str(tmp_path))
    assert ended.failure == f"{tmp_path} cannot be started: Permission denied"


async def test_one_whose_command_is_too_long_for_the_system(tmp_path: Path) -> None:
    publish(tmp_path)
    cli = LocalAccountingCli(tmp_path, f"true {'x' * 200_000}")
    async with cli.alone():
        ended = await cli.run(7, 1, NAME)
    assert ended.exit_code is None
    assert ended.failure == "the CLI has left no result: it cannot be started: Argument list too long"


@pytest.mark.parametrize("trap", ["exit 0", ""], ids=["it stops", "it has to be killed"])
async def test_one_that_takes_too_long_is_stopped(tmp_path: Path, trap: str) -> None:
    publish(tmp_path)
    command = f"sh -c 'trap \"{trap}\" TERM; echo ready; while :; do sleep 0.01; done'"
    seconds, output = 1, ""
    while not output and seconds < 100:  # so long as its time is over before it is ready
        ended = await run(tmp_path, command, timeout=seconds, grace=0.25)
        assert (ended.exit_code, ended.failure) == (None, f"stopped after {seconds} s")
        seconds, output = seconds * 4, ended.output
    assert output.startswith("ready\n")


async def test_its_output_is_kept_from_the_end(tmp_path: Path) -> None:
    publish(tmp_path)
    ended = await run(tmp_path, sample("--noise", "8"))
    assert ended.exit_code == 0
    assert len(ended.output) == 16 * 1024
    assert ended.output.endswith(f"....\n{NAME}: 4 booked, 0 duplicates, 0 rejected\n")


async def test_its_output_is_text_whatever_it_prints(tmp_path: Path) -> None:
    publish(tmp_path)
    code = "import os; os.write(1, b'a\\x00b\\xff\\r\\n\\x1b[1mc\\td'); os.write(2, 'ö'.encode())"
    assert (await run(tmp_path, python(code))).output == "a?b\ufffd\n?[1mc\tdö"
    code = "import os; os.write(1, 'ö'.encode() * 10_000 + b'x')"
    assert (await run(tmp_path, python(code))).output == "ö" * (8 * 1024 - 1) + "x"


async def test_children_in_its_process_group_end_with_it(tmp_path: Path) -> None:
    publish(tmp_path)
    cli = LocalAccountingCli(tmp_path, "sh -c 'sleep 600 & echo $!'", wait=60)
    async with cli.alone():
        ended = await cli.run(7, 1, NAME)
        assert (ended.exit_code, ended.failure) == (0, None)
        assert (await cli.run(7, 2, NAME)).exit_code == 0


async def test_the_same_attempt_begins_with_a_folder_of_its_own(tmp_path: Path) -> None:
    publish(tmp_path)
    assert (await run(tmp_path, sample("--reject-all"))).rejected
    assert not (await run(tmp_path, sample())).rejected


async def test_attempts_do_not_see_each_other(tmp_path: Path) -> None:
    publish(tmp_path)
    cli = LocalAccountingCli(tmp_path, sample("--fail-first", "1", "--ledger", str(tmp_path / "ledger.csv")))
    async with cli.alone():
        assert (await cli.run(7, 1, NAME)).failure == "exit code 1"
        assert (await cli.run(7, 2, NAME)).failure is None
    kept = [await cli.kept(7, attempt, NAME) for attempt in (1, 2, 3)]
    assert [None if each is None else each.exit_code for each in kept] == [1, 0, None]


async def test_a_file_that_is_not_there_cannot_be_handed_over(tmp_path: Path) -> None:
    cli = LocalAccountingCli(tmp_path, "touch {output_dir}/started")
    async with cli.alone():
        with pytest.raises(FileNotWritten, match=rf"{NAME}: No such file"):
            await cli.run(7, 1, NAME)
    assert not pids(tmp_path)


async def test_who_does_not_hold_the_lock_cannot_run_it(tmp_path: Path) -> None:
    publish(tmp_path)
    cli = LocalAccountingCli(tmp_path, "true")
    with pytest.raises(Broken, match=r"lock can start"):
        await cli.run(7, 1, NAME)


async def test_a_result_that_is_damaged_is_not_taken_for_none(tmp_path: Path) -> None:
    publish(tmp_path)
    await run(tmp_path, "true")
    cli = LocalAccountingCli(tmp_path, "true")
    for damaged in (b"", b"\0\0", b"{}", b'{"file": 1}'):
        (tmp_path / ".batches" / "7" / "1" / "result.json").write_bytes(damaged)
        kept = await cli.kept(7, 1, NAME)
        assert kept is not None
        assert kept.unreadable
        assert "result.json" in (kept.failure or "")


async def test_a_reason_may_be_missing(tmp_path: Path) -> None:
    publish(tmp_path)
    ended = await run(tmp_path, "sh -c 'printf \"source_id,error_message\\nAC1,\\n\" > $0' {file}.errors.csv")
    assert ended.rejected == {"AC1": NO_REASON}


async def test_an_end_that_the_disk_does_not_take_is_told_all_the_same(tmp_path: Path) -> None:
    publish(tmp_path)
    cli = LocalAccountingCli(tmp_path, "mkdir {output_dir}/.result.json.part")
    async with cli.alone():
        assert await cli.run(7, 1, NAME) == Ended(exit_code=0, output="")
    assert await cli.kept(7, 1, NAME) is None
