"""Accounting batches of up to 100,000 executions: their pace, their memory, and what others feel of it meanwhile."""

from __future__ import annotations

import asyncio
import csv
import json
import subprocess
import sys
import time
from datetime import date
from decimal import Decimal
from pathlib import Path

import psycopg

from benchmarks.client import connect, post
from benchmarks.executions import PATH
from benchmarks.fills import opened, stored
from benchmarks.harness import Place, Result, percentile
from benchmarks.served import Watched, served, settled, watched
from domain.batch import HEADER

SIZES = (1_000, 10_000, 100_000)
QUIET = 3.0
CLI = f"{sys.executable} -m samples.accounting_cli process --file {{file}} --output-dir {{output_dir}}"
DELIVERIES = (("file only", ""), ("file and sample CLI", CLI))
_EIGHT = Decimal("0.00000001")
_ROWS = """
select notification_id, state from es.stored_events
where topic = 'execution.recorded.v1' and notification_id > %s order by notification_id
"""


async def run(place: Place) -> list[Result]:
    """Return the figures of batches: with the file alone, then with a CLI that books the rows."""
    results, first, after = [], 1, 0
    for name, command in DELIVERIES:
        folder = place.folder / f"files-{bool(command)}"
        environment = {"OUTPUT_DIR": str(folder)} | ({"CLI_COMMAND": command} if command else {})
        async with served(place, **environment) as application:
            if first == 1:
                await opened(application.port)
            await settled(place)
            quiet = await watched(application, asyncio.sleep(QUIET))
            runs, by_hand = [], 0.0
            for size in SIZES:
                await stored(place, first, size)
                first += size
                position = await settled(place)
                runs.append(await watched(application, _send(application.port, size)))
                by_hand = await asyncio.to_thread(_by_hand, place, folder, after, command)
                after = position
            results += _figures(name, runs, SIZES[-1] / by_hand, quiet)
    return results


async def _send(port: int, size: int) -> None:
    connection = await connect(port)
    answer = await connection.ask(post(f"{PATH}/send", b""))
    connection.close()
    told = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert (answer[9:12], told["processedCount"]) == (b"200", size), answer


def _by_hand(place: Place, folder: Path, after: int, command: str) -> float:
    """Write the same file as one would by hand, have the CLI run on it, and return the seconds of both."""
    path = folder / "by_hand.csv"
    began = time.perf_counter()
    with psycopg.connect(place.database_url) as connection, connection.cursor("rows") as rows:
        rows.itersize = 1_000
        rows.execute(_ROWS, (after,))
        with path.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(HEADER.strip().split(","))
            for position, state in rows:
                execution = json.loads(bytes(state))
                report, day = execution["report"], date.fromisoformat(execution["trade_date"])
                names = [execution["portfolio_id"], report["security_id"], f"AC{position}", report["trade_type"]]
                figures = [
                    format(Decimal(report[each]).quantize(_EIGHT), "f") for each in ("quantity", "average_price")
                ]
                writer.writerow([*names, *figures, f"{day:%Y%m%d}"])
    if command:
        output = folder / "by_hand"
        output.mkdir(exist_ok=True)
        root = Path(__file__).parent.parent
        parts = [part.format(file=path, output_dir=output) for part in command.split()]
        subprocess.run(parts, cwd=root, check=True, stdout=subprocess.DEVNULL)
    took = time.perf_counter() - began
    sent = max(folder.glob("transactions_*.csv"), key=lambda each: each.stat().st_mtime)
    assert sent.read_bytes() == path.read_bytes(), f"{sent} is not what is written by hand"
    return took


def _figures(name: str, runs: list[Watched[None]], by_hand: float, quiet: Watched[None]) -> list[Result]:
    small, large, most = runs[0], runs[-1], f"{SIZES[-1]:,}"
    rate, other = SIZES[-1] / large.seconds, quiet.cpu / len(quiet.others)
    sized = list(zip(SIZES, runs, strict=True))
    memory = ", ".join(f"{size:,}: {run.peak:.1f} MiB" for size, run in sized)
    costs = ((size, (run.cpu - other * len(run.others)) / size * 1e6) for size, run in sized)
    cpu = ", ".join(f"{size:,}: {cost:.0f} us" for size, cost in costs)
    p99, before = percentile(large.others, 0.99), percentile(quiet.others, 0.99)
    return [
        Result(
            name=f"batch of {most}, {name}", value=rate, unit="rows/s", baseline=by_hand, ratio=rate / by_hand,
            note=f"baseline: the same file by csv.writer and a cursor; CPU of a row where it is sent: {cpu}",
        ),
        Result(
            name=f"memory at most while {most} are sent, {name}", value=large.peak, unit="MiB",
            baseline=small.peak, ratio=large.peak / small.peak, target="flat",
            note=f"baseline: a batch of {SIZES[0]:,}; {memory}; when nothing is sent {quiet.peak:.1f} MiB",
        ),
        Result(
            name=f"state of a portfolio while {most} are sent, {name}", value=p99, unit="ms (P99)",
            baseline=before, ratio=p99 / before, p50_ms=percentile(large.others, 0.5), p99_ms=p99,
            note=f"baseline: when nothing is sent, P50 {percentile(quiet.others, 0.5):.2f} ms; "
            f"the longest meanwhile {max(large.others) * 1000:.0f} ms, before {max(quiet.others) * 1000:.0f} ms",
        ),
    ]  # fmt: skip
