"""The sample accounting program: what it books, what it rejects, and every way in which it fails on request."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from domain.batch import HEADER
from samples.accounting_cli.__main__ import BAD_FILE, ERROR_NAMES, main
from samples.accounting_cli.rows import COLUMNS, wrong
from tests.write_side.running_cli import row

GOOD = row(1).strip().split(",")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "x.csv"
    path.write_text(HEADER + "".join(row(number) for number in range(1, 5)))
    return path


def process(file: Path, *switches: str) -> int:
    return main(["process", "--file", str(file), "--output-dir", str(file.parent), *switches])


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as opened:
        return list(csv.DictReader(opened))


def booked(folder: Path) -> list[str]:
    return [each["source_id"] for each in table(folder / "ledger.csv")]


def test_it_knows_the_file_that_we_write() -> None:
    assert ",".join(COLUMNS) + "\n" == HEADER


def test_rows_are_booked_once_however_often_they_come(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert process(file) == 0
    assert capsys.readouterr().out == "x.csv: 4 booked, 0 duplicates, 0 rejected\n"
    ledger = (file.parent / "ledger.csv").read_text()
    assert ledger == file.read_text()
    with file.open("a") as more:
        more.write(row(5) + row(5, "7.00000000"))
    assert process(file) == 0
    assert capsys.readouterr().out == "x.csv: 1 booked, 5 duplicates, 0 rejected\n"
    assert (file.parent / "ledger.csv").read_text() == ledger + row(5)
    assert not (file.parent / "x.csv.errors.csv").exists()


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("portfolio_id", "a b", "portfolio_id 'a b' is none"),
        ("security_id", "SHORT", "security_id 'SHORT' is not 24 letters and digits"),
        ("source_id", "", "source_id is missing"),
        ("transaction_type", "HOLD", "transaction_type 'HOLD' is not BUY or SELL"),
        ("quantity", "0.00000000", "quantity '0.00000000' is not above 0"),
        ("quantity", "x", "quantity 'x' is not above 0"),
        ("price", "-1", "price '-1' is not above 0"),
        ("price", "NaN", "price 'NaN' is not above 0"),
        ("transaction_date", "20250230", "transaction_date '20250230' is not YYYYMMDD"),
        ("transaction_date", "2025617", "transaction_date '2025617' is not YYYYMMDD"),
    ],
)
def test_a_row_that_is_wrong_is_rejected_with_the_reason(file: Path, column: str, value: str, reason: str) -> None:
    assert wrong(GOOD) is None
    bad = [value if name == column else each for name, each in zip(COLUMNS, GOOD, strict=True)]
    file.write_text(HEADER + ",".join(bad) + "\n" + row(2))
    assert process(file) == 0
    assert booked(file.parent) == ["AC2"]
    (rejected,) = table(file.parent / "x.csv.errors.csv")
    assert rejected == dict(zip([*COLUMNS, "error_message"], [*bad, reason], strict=True))


def test_a_row_with_too_few_columns_is_rejected(file: Path) -> None:
    file.write_text(HEADER + "P-1\n")
    assert process(file) == 0
    assert table(file.parent / "x.csv.errors.csv")[0]["error_message"] == "has 1 columns instead of 7"


@pytest.mark.parametrize("content", [b"", b"a,b\n", HEADER.encode() + b"\xff\n", b"\xef\xbb\xbf" + HEADER.encode()])
def test_a_file_that_is_none_is_not_processed(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert process(file) == BAD_FILE
    assert not (file.parent / "ledger.csv").exists()


def test_a_file_that_is_missing_is_not_processed(tmp_path: Path) -> None:
    assert process(tmp_path / "x.csv") == BAD_FILE


@pytest.mark.parametrize("name", ERROR_NAMES)
def test_rows_are_rejected_on_request(file: Path, name: str) -> None:
    assert process(file, "--reject", "3", f"--error-name={name}") == 0
    assert booked(file.parent) == ["AC1", "AC2", "AC4"]
    path = file.parent / {"csv.errors": "x.csv.errors.csv", "errors": "x.errors.csv", "-errors": "x-errors.csv"}[name]
    assert [each["source_id"] for each in table(path)] == ["AC3"]


def test_all_rows_are_rejected_on_request_and_the_input_is_deleted(file: Path) -> None:
    assert process(file, "--reject-all", "--delete-input") == 0
    assert booked(file.parent) == []
    assert len(table(file.parent / "x.csv.errors.csv")) == 4
    assert not file.exists()


def test_it_fails_before_or_after_it_has_booked(file: Path) -> None:
    ledger = file.parent / "books" / "all.csv"
    assert [process(file, "--fail-first", "2", "--ledger", str(ledger)) for _ in range(2)] == [1, 1]
    assert not ledger.exists()
    assert process(file, "--fail-first", "2", "--exit", "7", "--ledger", str(ledger)) == 7
    assert len(table(ledger)) == 4


def test_it_writes_garbage_and_noise_on_request(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert process(file, "--garbage", "--noise", "0.5") == 0
    with pytest.raises(UnicodeDecodeError):
        (file.parent / "x.csv.errors.csv").read_text(encoding="utf-8")
    assert len(capsys.readouterr().out) > 512 * 1024


def test_what_a_killed_one_has_left_does_no_harm(file: Path) -> None:
    assert process(file) == 0
    (file.parent / ".ledger.csv.part").write_text("half a")
    file.write_text(HEADER + row(9))
    assert process(file) == 0
    assert booked(file.parent) == ["AC1", "AC2", "AC3", "AC4", "AC9"]
