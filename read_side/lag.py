"""How far each view is behind the log: for metrics, readiness and operators."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """One view: how many events it has yet to take, and the age in seconds of the first of them (0 without any).

    A ``stopped`` projection names its ``error`` and when it stopped; it goes on once the event is parked.
    """

    view: str
    position: int
    generation: int
    events: int
    seconds: float
    stopped: bool
    error: str | None
    stopped_at: datetime | None


class Lags(Protocol):
    """Where every view stands against the log."""

    async def lags(self) -> list[Lag]:
        """Return one entry for every view, by name."""
