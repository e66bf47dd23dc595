"""The turns in which requests on many executions do their work, so that others are heard in between."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Pace:
    """Gives those who share it turns of the event loop, one of them at a time, in the order in which they ask.

    Without it, all that are ready do their next piece of work in the same turn, and whoever is not of them waits for
    all.
    """

    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def turn(self) -> None:
        """Return in a turn that nobody else gets."""
        async with self._lock:
            await asyncio.sleep(0)
