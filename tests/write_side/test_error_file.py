"""The error file of the accounting CLI: which rows it rejects and why, and when it says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from write_side.adapters.error_file import NO_REASON, Unreadable, error_files, one_line, plain, rejected_rows

HEADER = "portfolio_id,security_id,source_id,quantity,error_message\n"


def read(folder: Path, content: str | bytes) -> dict[str, str]:
    path = folder / "x.csv.errors.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return rejected_rows([path])


def test_a_row_names_the_execution_and_why(tmp_path: Path) -> None:
    content = HEADER + 'P-1,S,AC4711,1,no such portfolio\nP-1,S,AC4712,1,"price, at ""0"""\n'
    assert read(tmp_path, content) == {"AC4711": "no such portfolio", "AC4712": 'price, at "0"'}


@pytest.mark.parametrize("content", ["", "\n\n", "source_id,error_message", HEADER, "\ufeff" + HEADER + "\r\n", " \n"])
def test_without_rows_nothing_is_rejected(tmp_path: Path, content: str) -> None:
    assert read(tmp_path, content) == {}


@pytest.mark.parametrize(
    "content",
    [
        "SOURCE_ID,Error_Message\nAC1,no\n",
        " source_id ,\tError Message\n AC1 , no \n",
        "\ufeffsource_id,error_message\nAC1,no\n",
        "error_message,x,source_id\r\nno,,AC1\r\n",
        'source_id,error_message\nAC1,"no"',
        "source_id,error_message\n\nAC1,no,\n".replace(",\n", "\n"),
        "source_id,error_message,source_id\nAC1,no,AC2\n",
    ],
)
def test_columns_are_found_by_name_wherever_they_stand(tmp_path: Path, content: str) -> None:
    assert read(tmp_path, content) == {"AC1": "no"}


def test_reasons_are_one_line_of_500_characters_at_most(tmp_path: Path) -> None:
    rows = ['AC1,"a\n\r\tb\0c\x7f\x1b[1md"', f"AC2,{'ö' * 600}", "AC3,", "AC4", 'AC5,"\0 \n"', "AC6,a, b"]
    assert read(tmp_path, "source_id,error_message\n" + "\n".join(rows)) == {
        "AC1": "a b c [1md",
        "AC2": "ö" * 500,
        "AC3": NO_REASON,
        "AC4": NO_REASON,
        "AC5": NO_REASON,
        "AC6": "a, b",
    }
    assert NO_REASON == "rejected without a reason"


def test_what_is_said_first_counts(tmp_path: Path) -> None:
    assert read(tmp_path, "source_id,error_message\nAC1,a\nAC1,b\n") == {"AC1": "a"}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("portfolio_id,error_message\nP,no\n", "x.csv.errors.csv has no column source_id$"),
        ("source_id,message\nAC1,no\n", "has no column error_message$"),
        ("no header at all\n", "has no column source_id and no column error_message"),
        (HEADER + "P,S,4711,1,no\n", "line 2: source_id '4711' is not AC and a number"),
        (HEADER + "P,S,AC,1,no\n", "'AC' is not"),
        (HEADER + "P,S,AC1x,1,no\n", "'AC1x' is not"),
        (HEADER + "P,S,AC-1,1,no\n", "'AC-1' is not"),
        (HEADER + "P,S,AC\u0661,1,no\n", "is not AC"),
        (HEADER + f"P,S,AC{'1' * 20},1,no\n", "is not AC"),
        (HEADER + "P,S,AC1,1,no\nP,S,,1,no\n", "line 3: source_id '' is not"),
        (HEADER + "P\n", "source_id '' is not"),
        (HEADER + 'P,S,AC1,1,"no\n', "line 2: unexpected end of data"),
        (HEADER + 'P,S,AC1,1,"no"t\n', "line 2: ',' expected after '\"'"),
        (HEADER + f"P,S,AC1,1,{'x' * 200_000}\n", r"line 2: field larger than field limit"),
        (HEADER.encode() + b"P,S,AC1,1,\xff\n", "x.csv.errors.csv is not UTF-8"),
        (HEADER.encode("utf-16"), "is not UTF-8"),
    ],
)
def test_a_file_that_does_not_say_it_is_unreadable(tmp_path: Path, content: str | bytes, complaint: str) -> None:
    with pytest.raises(Unreadable, match=complaint):
        read(tmp_path, content)


def test_a_file_that_cannot_be_opened_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "x.errors.csv").mkdir()
    with pytest.raises(Unreadable, match=r"x\.errors\.csv cannot be read: Is a directory"):
        rejected_rows(error_files(tmp_path, "x.csv"))


def test_it_may_have_any_of_three_names_and_all_of_them_at_once(tmp_path: Path) -> None:
    assert error_files(tmp_path, "x.csv") == []
    assert rejected_rows([]) == {}
    for number, name in enumerate(["x.csv.errors.csv", "x.errors.csv", "x-errors.csv", "y-errors.csv", "x.errors"]):
        (tmp_path / name).write_text(f"source_id,error_message\nAC{number},no\nAC9,{name}\n")
    rejected = rejected_rows(error_files(tmp_path, "x.csv"))
    assert rejected == {"AC0": "no", "AC9": "x.csv.errors.csv", "AC1": "no", "AC2": "no"}


def test_a_hundred_thousand_rows(tmp_path: Path) -> None:
    rejected = read(tmp_path, HEADER + "".join(f"P,S,AC{number},1,same reason\n" for number in range(100_000)))
    assert len(rejected) == 100_000
    assert len({id(reason) for reason in rejected.values()}) == 1


def test_text_that_anything_can_keep() -> None:
    assert one_line(" a\ud800\u2028b ") == "a b"
    assert one_line("abc def", 4) == "abc"
    assert plain("a\r\nb\rc\td\0\x1b\ud800\x85") == "a\nb\nc\td????"
