"""Background tasks: ended for sure, and how long they pause before they try again."""

from __future__ import annotations

import asyncio
import random
from typing import Any

_AGAIN = 1.0


async def end(task: asyncio.Task[Any] | None) -> None:
    """Cancel the task until it has ended, whatever it ends with.

    Once is not enough: on Python 3.11 ``asyncio.wait_for``, which drivers use, loses a cancellation that comes in the
    same moment as what it waits for.
    """
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_AGAIN)
    if task is not None and not task.cancelled():
        task.exception()


def pause(failures: int, first: float, longest: float) -> float:
    """Return seconds to wait after so many failures in a row: twice as many each time, up to ``longest``, jittered.

    However often it failed: twice as many for ever is more than a number holds after a night.
    """
    most: float = min(first * 2 ** min(failures, 20), longest)
    return most * random.uniform(0.5, 1.0)  # noqa: S311  (nothing is guarded by it)
