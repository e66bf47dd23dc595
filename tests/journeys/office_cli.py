"""The accounting program under test: the sample, switched by a file, and held where a test wants it.

`python -m tests.journeys.office_cli OFFICE FILE OUTPUT_DIR ATTEMPT`; what OFFICE/switches says is for the sample, but
for `--before PORT` and `--after PORT`: connect there, tell the process id and wait for a line, around the work.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import signal
import socket
import sys
from pathlib import Path

from samples.accounting_cli.__main__ import main as process


def main(office: Path, file: Path, output_dir: Path, attempt: str) -> int:
    """Do as the switches say; every run stands in OFFICE/runs, one beside another in OFFICE/overlaps."""
    parser = argparse.ArgumentParser()
    for place in ("before", "after"):
        parser.add_argument(f"--{place}", type=int)
    switched, rest = parser.parse_known_args((office / "switches").read_text().split())
    if "--stubborn" in rest:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    alone = (office / "alone").open("w")
    try:
        fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _add(office / "overlaps", file.name)
    _add(office / "runs", f"{file.name} {attempt} {hashlib.sha256(file.read_bytes()).hexdigest()}")
    _hold(switched.before)
    where = ["process", "--file", str(file), "--output-dir", str(output_dir), "--ledger", str(office / "ledger.csv")]
    code = process([*where, *rest])
    _hold(switched.after)
    return code


def _hold(port: int | None) -> None:
    if port is not None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(f"{os.getpid()}\n".encode())
            connection.recv(1)


def _add(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]))
