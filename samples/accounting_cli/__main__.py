"""The command line: `python -m samples.accounting_cli process --file FILE --output-dir FOLDER [SWITCHES]`."""

from __future__ import annotations

import argparse
import csv
import signal
import subprocess
import sys
import time
from pathlib import Path

from samples.accounting_cli.ledger import Ledger
from samples.accounting_cli.rows import COLUMNS, BadFile, check, read

ERROR_NAMES = {"csv.errors": "{0}.csv.errors.csv", "errors": "{0}.errors.csv", "-errors": "{0}-errors.csv"}
BAD_FILE = 2
_GARBAGE = b"\xff\xfe\x00 this is no error file"


def main(arguments: list[str] | None = None) -> int:
    """Process a file as the arguments say, and return the exit code: 0 also where every row is rejected."""
    asked = parser().parse_args(arguments)
    file: Path = asked.file
    ledger = Ledger(asked.ledger or asked.output_dir / "ledger.csv")
    _misbehave(asked)
    if ledger.tried(file.name) < asked.fail_first:
        _say(f"{file.name}: fails before it books anything, as asked")
        return 1
    try:
        rows = read(file)
    except BadFile as error:
        _say(str(error))
        return BAD_FILE
    checked = check(rows, 1 if asked.reject_all else asked.reject)
    booked = ledger.book(checked.accepted)
    _write_errors(asked, checked.rejected)
    if asked.delete_input:
        file.unlink()
    duplicates = len(checked.accepted) - booked
    _say(f"{file.name}: {booked} booked, {duplicates} duplicates, {len(checked.rejected)} rejected")
    return int(asked.exit)


def parser() -> argparse.ArgumentParser:
    """Return what the arguments mean."""
    made = argparse.ArgumentParser(prog="samples.accounting_cli", description="A small portfolio accounting program.")
    process = made.add_subparsers(required=True).add_parser("process", help="book the rows of a transaction file")
    process.add_argument("--file", type=Path, required=True)
    process.add_argument("--output-dir", type=Path, required=True, help="gets the error file")
    process.add_argument("--ledger", type=Path, help="where rows are booked (ledger.csv in the output folder)")
    add = process.add_argument_group("how it fails, on request").add_argument
    add("--exit", type=int, default=0, metavar="N", help="exit code, with all work done")
    add("--fail-first", type=int, default=0, metavar="N", help="exit 1 with nothing done, the first N times a file")
    add("--hang", type=float, default=0, metavar="SECONDS", help="wait before anything is done")
    add("--stubborn", action="store_true", help="do not end on SIGTERM")
    add("--reject", type=int, default=0, metavar="N", help="reject every N-th row")
    add("--reject-all", action="store_true", help="reject every row, and still exit 0")
    add("--garbage", action="store_true", help="write an error file that nobody can read")
    add("--error-name", choices=ERROR_NAMES, default="csv.errors", help="how the error file is named")
    add("--delete-input", action="store_true", help="delete the file once it is processed")
    add("--noise", type=float, default=0, metavar="MEGABYTES", help="print this much")
    add("--leave-child", type=float, default=0, metavar="SECONDS", help="leave a process behind that lives so long")
    return made


def _misbehave(asked: argparse.Namespace) -> None:
    if asked.stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if asked.leave_child:
        sleep = f"import time; time.sleep({asked.leave_child})"
        # It is there to outlive us: it keeps every descriptor that we have inherited, and leaves our process group.
        subprocess.Popen([sys.executable, "-c", sleep], close_fds=False, start_new_session=True)
    for _ in range(round(asked.noise * 1024)):
        sys.stdout.write("." * 1023 + "\n")
    if asked.hang:
        _say("hangs, as asked")
        time.sleep(asked.hang)  # which is what a program does that hangs


def _write_errors(asked: argparse.Namespace, rejected: list[tuple[list[str], str]]) -> None:
    path = asked.output_dir / ERROR_NAMES[asked.error_name].format(asked.file.name.removesuffix(".csv"))
    if asked.garbage:
        path.write_bytes(_GARBAGE)
    elif rejected:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([*COLUMNS, "error_message"])
            writer.writerows([*_fitted(row), reason] for row, reason in rejected)


def _fitted(row: list[str]) -> list[str]:
    """Return the row with as many columns as there should be, so that the message stands in its own."""
    return [*row, *[""] * len(COLUMNS)][: len(COLUMNS)]


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
