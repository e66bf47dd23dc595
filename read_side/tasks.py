"""Ending background tasks for sure."""

from __future__ import annotations

import asyncio
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
