"""The log as readers see it: a Protocol that bootstrap wires to the event log in use."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.base import Recorded


class History(Protocol):
    """Reads of the one log: dense positions from 1 on, the same order for everyone."""

    async def head(self) -> int:
        """Return the position of the last event; 0 for an empty log."""

    async def page(self, after: int, limit: int) -> list[Recorded]:
        """Return up to ``limit`` events with a position above ``after``, in order.

        Fewer where they are large, but then what a command has recorded together is not cut in two.

        Raises ``domain.errors.Broken`` when an event cannot be read; its ``position`` attribute names the event, and
        a page that starts before it returns the events up to it first.
        """

    async def epoch(self) -> UUID:
        """Return the id made with this log: another one means another log, or one restored from a backup."""


class Archive(Protocol):
    """Reads of one stream of the log, and of the log by time."""

    async def stream(self, stream: str, *, version: int | None = None, position: int | None = None) -> list[Recorded]:
        """Return the events of the stream in order, up to this version or log position; raises ``Broken``."""

    async def position_at(self, moment: datetime) -> int:
        """Return the position of the last event recorded at or before this time; 0 where there was none."""
