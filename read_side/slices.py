"""Long computing on the event loop in slices, so that everything else gets its turn in between."""

from __future__ import annotations

import asyncio
import time

_SLICE = 0.002
"""Seconds that one task computes before it lets the others."""


class Slices:
    """The slices of one task: it calls ``pause`` after each piece of its work, however small."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until = time.perf_counter() + _SLICE

    async def pause(self) -> None:
        """Let others run where the slice is over."""
        if time.perf_counter() >= self._until:
            await asyncio.sleep(0)
            self._until = time.perf_counter() + _SLICE
