"""The ledger: every booked row in one CSV file, each ``source_id`` once; and how often each file was tried."""

from __future__ import annotations

import csv
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from samples.accounting_cli.rows import COLUMNS

_SOURCE = COLUMNS.index("source_id")


@dataclass(frozen=True)
class Ledger:
    """One ledger file; programs that use it at the same time take their turns."""

    path: Path

    def book(self, rows: list[list[str]]) -> int:
        """Book the rows that are not in it, all or none, and return how many that are; the others are duplicates."""
        with self._alone():
            known = self._sources()
            new = {row[_SOURCE]: row for row in reversed(rows) if row[_SOURCE] not in known}
            part = self.path.with_name(f".{self.path.name}.part")
            if self.path.exists():
                shutil.copyfile(self.path, part)
            else:
                part.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
            with part.open("a", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows(reversed(new.values()))
                file.flush()
                os.fsync(file.fileno())
            part.rename(self.path)
            return len(new)

    def tried(self, file_name: str) -> int:
        """Return how often this file was tried before, and count this time."""
        with self._alone():
            path = self.path.with_name(f".{self.path.name}.{file_name}.tries")
            before = int(path.read_text(encoding="utf-8")) if path.exists() else 0
            path.write_text(str(before + 1), encoding="utf-8")
            return before

    def _sources(self) -> set[str]:
        if not self.path.exists():
            return set()
        with self.path.open(encoding="utf-8", newline="") as file:
            return {row[_SOURCE] for row in csv.reader(file)}

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_name(f".{self.path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
