"""What the accounting CLI says of the rows it has rejected: its error file, and text that anything can keep."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

LONGEST_REASON = 500
NO_REASON = "rejected without a reason"
_NOT_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_NOT_LINES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_SOURCE_ID = re.compile("AC[0-9]{1,19}")


class Unreadable(ValueError):
    """An error file does not say which rows are rejected; names the file, the line and what would be right."""


def error_files(folder: Path, file_name: str) -> list[Path]:
    """Return the error files of this file that are in the folder, by any of the three names they may have."""
    stem = file_name.removesuffix(".csv")
    names = (f"{file_name}.errors.csv", f"{stem}.errors.csv", f"{stem}-errors.csv")
    return [folder / name for name in names if (folder / name).exists()]


def rejected_rows(paths: list[Path]) -> dict[str, str]:
    """Return the reasons by ``source_id``; the first counts where one is named twice.

    Raises ``Unreadable`` for a file without columns `source_id` and `error_message`, one that is not CSV or UTF-8 or
    cannot be opened, and a source id that is none of ours.
    """
    found: dict[str, str] = {}
    known: dict[str, str] = {}
    for path in paths:
        try:
            for source, reason in _rows(path):
                found.setdefault(source, known.setdefault(reason, reason))
        except UnicodeDecodeError as error:
            raise Unreadable(f"{path.name} is not UTF-8") from error
        except OSError as error:
            raise Unreadable(f"{path.name} cannot be read: {error.strerror or error}") from error
    return found


def one_line(text: str, longest: int = LONGEST_REASON) -> str:
    """Return the text without line ends and controls, as long as a reason may be."""
    return _NOT_TEXT.sub(" ", text).strip()[:longest].rstrip()


def plain(text: str) -> str:
    """Return the text with its lines, and with `?` for everything else that is no character."""
    return _NOT_LINES.sub("?", text.replace("\r\n", "\n").replace("\r", "\n"))


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            rows = (row for row in reader if any(cell.strip() for cell in row))
            header = next(rows, None)
            if header is None:
                return
            source, message = _columns(path, header)
            for row in rows:
                yield _source_id(path, reader.line_num, row, source), _reason(row, message, len(header))
        except csv.Error as error:
            raise Unreadable(f"{path.name}, line {reader.line_num}: {error}") from error


def _columns(path: Path, header: list[str]) -> tuple[int, int]:
    names = ["_".join(name.lower().split()) for name in header]
    missing = [name for name in ("source_id", "error_message") if name not in names]
    if missing:
        raise Unreadable(f"{path.name} has no column {' and no column '.join(missing)}")
    return names.index("source_id"), names.index("error_message")


def _source_id(path: Path, line: int, row: list[str], column: int) -> str:
    value = row[column].strip() if column < len(row) else ""
    if not _SOURCE_ID.fullmatch(value):
        raise Unreadable(f"{path.name}, line {line}: source_id {one_line(value, 40)!r} is not AC and a number")
    return value


def _reason(row: list[str], column: int, columns: int) -> str:
    """Commas that nobody has quoted cut a message in the last column into pieces: they belong together."""
    text = ",".join(row[column:]) if column == columns - 1 else row[column] if column < len(row) else ""
    return one_line(text) or NO_REASON
