"""``./run demo`` as its users see it: what it shows is right, again and after a kill, and it ends as it is told."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import httpx2
import pytest

from api.orphans import PARENT
from tests.samples.expected import expected, rows
from tests.samples.rebalanced import Row, rebalanced, rounded
from tests.servers.application import ROOT, application, free_port

SUGGESTED = re.compile(r"^  curl '([^']+)'$", re.MULTILINE)


class Demo:
    """A demo that runs; what it prints goes to two files."""

    def __init__(self, folder: Path, *arguments: str, port: int = 0, **environment: str) -> None:
        self._out, self._err = folder / "out", folder / "err"
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

    def prints(self, text: str, seconds: float = 120) -> None:
        """Return once it has printed this."""
        deadline = time.monotonic() + seconds
        while text not in self.out + self.err:
            assert self.process.poll() is None, self.err
            assert time.monotonic() < deadline, self.out + self.err
            time.sleep(0.02)

    def ends(self, seconds: float = 120) -> int:
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
        running.process.wait(60)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Demo]:
    """The folder of a demo that has been run with ``--exit``, and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    with demo(folder, "--exit") as running:
        assert running.ends() == 0, running.err
    return folder, running


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


def test_the_table_shows_what_the_files_say(shown: tuple[Path, Demo]) -> None:
    _, running = shown
    assert lines(running.out) == expected().lines
    tables, _, _ = running.out.partition("The data stay in")
    assert max(map(len, tables.splitlines())) <= 120
    assert "\x1b" not in running.out + running.err


def test_the_positions_of_one_portfolio_add_up(shown: tuple[Path, Demo]) -> None:
    _, running = shown
    _, _, below = running.out.partition("Positions of Equity Long/Short (equity-long-short)")
    table, _, _ = below.partition("\n\n")
    tickers = {row["ticker"]: row for row in rows("securities")}
    values = []
    last = {row["instrument_id"]: row["price"] for row in rows("prices")}
    for line in filter(None, map(str.split, table.splitlines())):
        if security := tickers.get(line[0]):
            assert " ".join(line[1:-5]) == security["name"]
            quantity, price, value = (Decimal(cell.replace(",", "")) for cell in line[-5:-2])
            assert price == Decimal(last[security["security_id"]])
            assert value == quantity * price
            values.append(value)
        elif line[0] == "CASH":
            values.append(Decimal(line[1].replace(",", "")))
    money = expected().money["equity-long-short"]
    assert len(values) == int(expected().lines["Equity Long/Short"][1]) + 1
    assert values[-1] == money["cash_balance"]
    assert sum(values) == money["total_value"]
    assert min(values) < 0


def rebalances(out: str) -> str:
    """Return all that is printed of models and rebalances."""
    _, title, below = out.partition("What Global Balanced would trade")
    told, end, _ = below.partition("Try next:" if "Try next:" in below else "The data stay in")
    assert title, out
    assert end, out
    return told


def section(out: str, title: str) -> list[list[str]]:
    """Return the lines between this title and the next empty one, in words."""
    _, found, below = out.partition(title)
    assert found, out
    table, _, _ = below.partition("\n\n")
    return [line.split() for line in table.splitlines()[1:]]


def test_the_preview_shows_what_the_files_say(shown: tuple[Path, Demo]) -> None:
    _, running = shown
    (wanted,) = (one for one in rebalanced()["Global Balanced"] if one.name == "Balanced 60/40")
    header, *lines = section(running.out, "What Global Balanced would trade in Balanced 60/40 (balanced-60-40)")
    assert header == ["Ticker", "Held", "Weight", "Target", "Band", "Trade", "Value", "New", "weight"]
    assert {line[0]: line[1:] for line in lines} == wanted.preview()
    assert [line[0] for line in lines] == [*wanted.rows, "Cash"]


@pytest.mark.parametrize("model", ["Global Balanced", "Quality Growth"])
def test_the_rebalances_are_what_the_files_say(shown: tuple[Path, Demo], model: str) -> None:
    _, running = shown
    _, *lines = section(running.out, f"Rebalance by {model} (recorded, nothing is booked)")
    none = ["none,", "see", "below"]
    assert lines == [[*one.name.split(), *(none if one.impossible else one.line())] for one in rebalanced()[model]]


def test_what_cannot_be_rebalanced_is_explained(shown: tuple[Path, Demo]) -> None:
    _, running = shown
    (wanted,) = (one for one in rebalanced()["Quality Growth"] if one.impossible)
    _, _, below = running.out.partition("Momentum (momentum): no feasible solution exists\n")
    text, _, _ = below.partition("\n\n")
    of_each = dict(re.findall(r"^  (\w+): (.*\n(?:    with .*\n?)+)", f"{text}\n", re.MULTILINE))
    assert list(of_each) == list(wanted.impossible)
    for ticker, row in wanted.impossible.items():
        why, *fixes = of_each[ticker].splitlines()
        low, high = (rounded(100 * part, 3) for part in (row.low, row.high))
        assert why == (
            f"band narrower than one share; at {rounded(row.price, 2):,} each, "
            f"{row.most} are below {low} %, {row.least} above {high} %"
        )
        assert repairs(row, fixes) == {row.most, row.least}


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


def test_progress_is_told_in_lines_where_there_is_no_terminal(shown: tuple[Path, Demo]) -> None:
    _, running = shown
    told = re.findall(r"^2026-\d\d-\d\d  day \d+ of 64, [\d,]+ events, [\d,]+ events/s$", running.err, re.MULTILINE)
    assert 4 <= len(told) <= 10
    assert re.search(r"^Loaded [\d,]+ events in [\d.]+ s", running.err, re.MULTILINE)


def test_again_on_the_same_data_changes_nothing_and_it_serves_on(shown: tuple[Path, Demo]) -> None:
    folder, first = shown
    with demo(folder) as running:
        running.prints("Ctrl-C ends it")
        assert "were there already" in running.err
        assert "Loaded" not in running.err
        assert lines(running.out) == lines(first.out)
        assert rebalances(running.out) == rebalances(first.out)
        for address in SUGGESTED.findall(running.out):
            assert httpx2.get(address, timeout=10).status_code == 200
        base = SUGGESTED.findall(running.out)[0].partition("/api/")[0]
        for portfolio_id, money in expected().money.items():
            answer = httpx2.get(f"{base}/api/v1/portfolio/{portfolio_id}/analytics", timeout=10)
            told = json.loads(answer.content, parse_float=Decimal)
            assert {name: told[name] for name in money} == money, portfolio_id
        running.process.send_signal(signal.SIGINT)
        assert running.ends() == 0, running.err
        assert "Traceback" not in running.err


def test_one_that_was_killed_while_it_loaded_goes_on(tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        running.prints("day 16 of 64")
        running.process.kill()
    with demo(tmp_path) as running:
        running.prints("day 24 of 64")
        running.process.send_signal(signal.SIGINT)
        assert running.ends() == 130, running.err
        assert "goes on from there" in running.err
        assert "Traceback" not in running.err
    with demo(tmp_path, "--exit") as running:
        assert running.ends() == 0, running.err
    assert "were there already" in running.err
    assert lines(running.out) == expected().lines


def test_what_cannot_be_loaded_is_a_sentence(tmp_path: Path) -> None:
    with application(tmp_path) as app:
        opening = {"portfolio_id": "global-growth", "portfolio_name": "Another"}
        assert httpx2.post(f"{app.url}/api/v1/portfolios", json=opening).status_code == 201
        with demo(tmp_path, "--exit", port=app.port) as running:
            assert running.ends() == 1
            assert f"port {app.port}" in running.err
    with demo(tmp_path, "--exit") as running:
        assert running.ends() == 1
    assert "global-growth already exists" in running.err
    assert "--data-dir" in running.err
    assert "Traceback" not in running.err
