"""A demo as a process, and what it prints, read back."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from tempfile import mkdtemp

from api.orphans import PARENT
from tests.samples.expected import rows
from tests.samples.rebalanced import Row
from tests.servers.application import ROOT
from tests.servers.ports import free_port


class Demo:
    """A demo that runs; what it prints goes to two files of its own, wherever its data are."""

    def __init__(self, folder: Path, *arguments: str, port: int = 0, **environment: str) -> None:
        printed = Path(mkdtemp(prefix="printed-", dir=folder))
        self._out, self._err = printed / "out", printed / "err"
        given = ["--data-dir", str(folder / "data"), "--port", str(port or free_port()), *arguments]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "api", "demo", *given],
                cwd=ROOT,
                env={**os.environ, "COLUMNS": "80", PARENT: str(os.getpid()), **environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def prints(self, text: str, seconds: float = 300) -> None:
        """Return once it has printed this."""
        deadline = time.monotonic() + seconds
        while text not in self.out + self.err:
            assert self.process.poll() is None, self.err
            assert time.monotonic() < deadline, self.out + self.err
            time.sleep(0.02)

    def ends(self, seconds: float = 300) -> int:
        """Return its exit code, once it has ended by itself."""
        return self.process.wait(seconds)


@contextmanager
def demo(folder: Path, *arguments: str, port: int = 0, **environment: str) -> Iterator[Demo]:
    """Run a demo; whatever the test did to it, it is gone afterwards."""
    running = Demo(folder, *arguments, port=port, **environment)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.terminate()
        running.process.wait(180)


def lines(out: str) -> dict[str, list[str]]:
    """Return the lines of the first table by the name of the portfolio."""
    table, _, _ = out.partition("Positions of")
    names = {row["portfolio_name"] for row in rows("portfolios")}
    found = {}
    for line in table.splitlines():
        for name in names:
            if line.startswith(f"{name} "):
                found[name] = line.removeprefix(name).split()
    return found


def rebalances(out: str) -> str:
    """Return all that is printed of models and rebalances, and of what became of one of them."""
    _, title, below = out.partition("What Global Balanced would trade")
    told, end, _ = below.partition("Try next:" if "Try next:" in below else "The data stay in")
    assert title, out
    assert end, out
    return "\n".join(map(str.rstrip, told.splitlines()))


def section(out: str, title: str) -> list[list[str]]:
    """Return the lines between this title and the next empty one, in words."""
    _, found, below = out.partition(title)
    assert found, out
    table, _, _ = below.partition("\n\n")
    return [line.split() for line in table.splitlines()[1:]]


def ids_of(out: str) -> list[str]:
    """Return the ids of the executions, as they are shown."""
    _, *lines = section(out, "Executions of the desk")
    return [line[0] for line in lines]


def repairs(row: Row, fixes: list[str]) -> set[int]:
    """Check that each of these fixes brings the number of shares that it names into the band; return the numbers."""
    found = set()
    for fix in fixes:
        changes, _, gives = fix.strip().removeprefix("with ").partition(": ")
        told = dict(change.split() for change in changes.split(" and "))
        target = Fraction(told.get("target", 100 * row.target))
        low = target - Fraction(told.get("low_drift", 100 * (row.target - row.low)))
        high = target + Fraction(told.get("high_drift", 100 * (row.high - row.target)))
        count = int(gives.removesuffix(" shares"))
        assert low <= 100 * count * row.price / row.value <= high, fix
        found.add(count)
    return found
