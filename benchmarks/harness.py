"""What every benchmark shares: results, percentiles, the machine's fsync time, and callers that run at once."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec


class Result(msgspec.Struct, kw_only=True):
    """One figure: its value and that of its baseline in ``unit``, and the latency of single operations where measured.

    ``ratio`` is value / baseline. ``target`` is the figure to reach, in words.
    """

    name: str
    value: float
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    target: str = ""
    note: str = ""


@dataclass(frozen=True)
class Place:
    """Where a benchmark runs: servers of its own, thrown away afterwards."""

    database_url: str
    redis_url: str | None
    folder: Path


def percentile(seconds: Sequence[float], share: float) -> float:
    """Return the percentile in milliseconds (nearest rank)."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


def fsync_microseconds(folder: Path, count: int = 300) -> float:
    """Return the mean time of an 8 KiB write with fdatasync in this folder."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        started = time.perf_counter()
        for _ in range(count):
            os.write(file.fileno(), b"x" * 8192)
            os.fdatasync(file.fileno())
        return (time.perf_counter() - started) / count * 1e6


async def at_once(callers: int, seconds: float, operation: Callable[[int], Awaitable[None]]) -> tuple[int, list[float]]:
    """Run ``operation(caller)`` in loops of ``callers`` tasks; return how many a second and each one's seconds."""
    latencies: list[float] = []
    stop = time.perf_counter() + seconds

    async def loop(caller: int) -> None:
        while (began := time.perf_counter()) < stop:
            await operation(caller)
            latencies.append(time.perf_counter() - began)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for caller in range(callers):
            tasks.create_task(loop(caller))
    return int(len(latencies) / (time.perf_counter() - started)), latencies
