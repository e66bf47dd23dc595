"""How a process of ours runs, whatever its role: until it is asked to end, and without long pauses."""

from __future__ import annotations

import asyncio
import gc
import signal


def stop_on_signals() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping


def spare_the_collector() -> None:
    """Take what exists out of garbage collection and collect more rarely: pauses were most of the slow answers."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
