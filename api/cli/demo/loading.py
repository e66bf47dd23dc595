"""Sends the sample data, day by day, with progress: a bar in a terminal, else a line now and then."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from api.cli.demo.client import Client, Request
from api.cli.demo.files import Plan, Stage

THREADS: Final = 8
_LINES: Final = 8
"""So many lines tell the progress where there is no terminal."""


class _Count:
    """What has been loaded so far; told by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = time.perf_counter()
        self.events = 0
        self.replayed = 0
        """Of them, those that had been there before."""
        self.position = 0

    def add(self, events: int, position: int, *, replayed: bool) -> None:
        """Count the events of one answer."""
        with self._lock:
            self.events += events
            self.replayed += events if replayed else 0
            self.position = max(self.position, position)

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.perf_counter() - self._began

    @property
    def rate(self) -> str:
        """Events a second, also of those that had been there."""
        return f"{self.events / max(self.seconds, 1e-9):,.0f} events/s"


def load(client: Client, plan: Plan, notes: Console) -> int:
    """Load what is not there yet and return the log position that has all of it.

    Raises ``Failed`` for what is refused, and ``Stopped`` when the program ends.
    """
    count = _Count()
    days = len(plan.days) - 1
    with ExitStack() as stack:
        threads = ThreadPoolExecutor(THREADS, "demo")
        stack.callback(threads.shutdown, cancel_futures=True)
        bar = stack.enter_context(_bar(notes)) if notes.is_terminal else None
        task = bar.add_task("", total=days, date="", figures="") if bar is not None else None
        for number, day in enumerate(plan.days):
            for stage in day.stages:
                _send(client, stage, threads, count)
            figures = f"{count.events:,} events, {count.rate}"
            if bar is not None and task is not None:
                bar.update(task, completed=number, date=day.date, figures=figures)
            elif number * _LINES // days > (number - 1) * _LINES // days and number:
                notes.print(f"{day.date}  day {number} of {days}, {figures}")
    notes.print(_said(count))
    notes.print()
    return count.position


def _bar(notes: Console) -> Progress:
    return Progress(
        TextColumn("Loading"),
        BarColumn(16),
        MofNCompleteColumn(),
        TextColumn("days  {task.fields[date]}  {task.fields[figures]}"),
        console=notes,
        transient=True,
    )


def _send(client: Client, stage: Stage, threads: ThreadPoolExecutor, count: _Count) -> None:
    """Send a stage; raises what the first request that failed raises."""

    def one_after_the_other(requests: Sequence[Request]) -> None:
        for request in requests:
            answer = client.send(request)
            count.add(request.events, answer.position, replayed=answer.replayed)

    for sent in [threads.submit(one_after_the_other, row) for row in stage]:
        sent.result()


def _said(count: _Count) -> str:
    if count.replayed == count.events:
        return f"All {count.events:,} events of the sample data were there already."
    loaded = f"Loaded {count.events - count.replayed:,} events in {count.seconds:.1f} s"
    return f"{loaded}; {count.replayed:,} were there already." if count.replayed else f"{loaded} ({count.rate})."
