"""``keys create``: what it prints, what it writes, and what it refuses with a sentence."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import typer.testing

from api.cli.keys import keys
from api.security.keys import Key, Scope, entry_of, read_item, read_line
from api.settings import CALLED_FROM


def run(*arguments: str) -> tuple[int, str, str]:
    """Run ``keys`` with these arguments; return its exit code and what it printed."""
    done = typer.testing.CliRunner().invoke(keys(), arguments)
    return done.exit_code, done.stdout, done.stderr


def test_it_prints_the_key_once_and_what_the_server_needs() -> None:
    code, out, err = run("create", "desk", "--scope", "write", "--scope", "read")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    entry = entry_of(lines[0], "desk", ["read", "write"])
    assert out.count(lines[0]) == 1
    assert any(line.endswith(f"  {entry.line}") for line in lines)
    assert any(line.endswith(f"  {entry.item}") for line in lines)
    assert "stored nowhere and not shown again" in out
    assert read_line(entry.line) == read_item(entry.item)


def test_to_a_file_it_adds_a_line_and_prints_the_key_alone(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    first, second = (run("create", name, "--scope", "admin", "--file", str(file)) for name in ("a", "b"))
    assert [done[0] for done in (first, second)] == [0, 0]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = [read_line(line) for line in file.read_text().splitlines()]
    assert [entry.key for entry in found] == [Key(name, frozenset({Scope.ADMIN})) for name in ("a", "b")]
    for (_, out, _), entry in zip((first, second), found, strict=True):
        [key] = out.splitlines()
        assert entry_of(key, entry.key.name, ["admin"]) == entry


def test_what_is_in_the_file_stays_also_without_an_end_of_line(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# our keys")
    file.chmod(0o640)
    assert run("create", "a", "--scope", "read", "--file", str(file))[0] == 0
    first, second = file.read_text().splitlines()
    assert (first, read_line(second).key.name) == ("# our keys", "a")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["desk"], "the key has no scope: say read, write or admin, each with --scope"),
        (["desk", "--scope", "all"], "the key has the scope 'all': say read, write or admin, each with --scope"),
        (["desk", "--scope", "read,write"], "the key has the scope 'read,write': say"),
        (["the desk", "--scope", "read"], "the key has the name 'the desk': give 1 to 100 of A-Z a-z 0-9 _ . : -"),
        (["", "--scope", "read"], "the key has the name '': give 1 to 100"),
    ],
)
def test_what_does_not_fit_is_a_sentence_and_nothing_is_written(
    tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    file = tmp_path / "keys"
    code, out, err = run("create", *arguments, "--file", str(file))
    assert (code, out) == (1, "")
    assert err.startswith(f"foliolog: {sentence}")
    assert not file.exists()


def test_a_file_that_cannot_be_written_is_named_and_no_key_is_printed(tmp_path: Path) -> None:
    code, out, err = run("create", "desk", "--scope", "read", "--file", str(tmp_path / "none" / "keys"))
    assert (code, out) == (1, "")
    assert err.startswith(f"foliolog: {tmp_path}/none/keys cannot be written (No such file or directory): ")


def test_a_file_is_in_the_folder_that_the_caller_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CALLED_FROM, str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    for name, made in (("mine", tmp_path / "mine"), ("~/mine", tmp_path / "home" / "mine")):
        assert run("create", "desk", "--scope", "read", "--file", name)[0] == 0
        assert made.is_file()
    code, _, err = run("create", "desk", "--scope", "read", "--file", "~no-such-user/mine")
    assert (code, err) == (
        1,
        "foliolog: '~no-such-user/mine': name a folder without ~, the home of that user is not known.\n",
    )
