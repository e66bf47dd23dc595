"""``./run bench [NAME...] [--json FILE]``: run benchmarks on servers of their own and print one table."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import msgspec
import typer
import uvloop
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from api import logs
from api.embedded import EmbeddedServers
from api.settings import placed
from benchmarks import (
    append,
    batches,
    copies,
    executions,
    http,
    load,
    optimiser,
    prices,
    projection,
    rebalance,
    relay,
    valuation,
)
from benchmarks.harness import Place, Result, fsync_microseconds
from migrations import migrate

BENCHMARKS: dict[str, Callable[[Place], Awaitable[list[Result]]]] = {
    "append": append.run,
    "load": load.run,
    "projection": projection.run,
    "valuation": valuation.run,
    "prices": prices.run,
    "http": http.run,
    "optimiser": optimiser.run,
    "rebalance": rebalance.run,
    "executions": executions.run,
    "batches": batches.run,
    "relay": relay.run,
    "copies": copies.run,
}


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"Which: {', '.join(BENCHMARKS)}; all without one.")] = None,
    json: Annotated[Path | None, typer.Option(help="Also write the figures to this file.")] = None,
) -> None:
    """Run benchmarks, each beside its baseline in the same run, and print one table."""
    console = Console(stderr=True)
    unknown = sorted(set(names or ()) - set(BENCHMARKS))
    if unknown:
        raise typer.BadParameter(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    logs.configure("WARNING")
    results: list[Result] = []
    file = json and placed(json)
    with tempfile.TemporaryDirectory(prefix="foliolog-bench-") as folder:
        fsync = fsync_microseconds(Path(folder))
        for name in names or list(BENCHMARKS):
            console.print(f"[dim]{name} ...[/dim]")
            with EmbeddedServers(Path(folder) / name) as servers:
                addresses = servers.addresses
                assert addresses.database_url is not None
                migrate(addresses.database_url)
                place = Place(addresses.database_url, addresses.redis_url, Path(folder))
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as the application runs
                    results += runner.run(_run(BENCHMARKS[name], place))
    shown = Console()
    shown.width = max(shown.width, 150)
    shown.print(table(results, fsync))
    if file is not None:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2))


async def _run(benchmark: Callable[[Place], Awaitable[list[Result]]], place: Place) -> list[Result]:
    return await benchmark(place)


def table(results: list[Result], fsync: float) -> Table:
    """Return the figures as one table."""
    title = f"Foliolog benchmarks (fdatasync of 8 KiB here: {fsync:.0f} us)"
    shown = Table(title=title, title_justify="left", box=SIMPLE)
    for heading in ("what", "value", "unit", "baseline", "ratio", "P50 ms", "P99 ms", "to reach"):
        shown.add_column(heading, justify="left" if heading in ("what", "unit", "to reach") else "right")
    for result in results:
        shown.add_row(
            result.name,
            _figure(result.value),
            result.unit,
            _figure(result.baseline),
            _figure(result.ratio),
            _figure(result.p50_ms),
            _figure(result.p99_ms),
            result.target,
        )
    return shown


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


if __name__ == "__main__":
    typer.run(main)
