"""The shapes of answers about work that follows the log, as the OpenAPI document shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal

from api.shown import Shown


class ParkedEvent(Shown):
    """An event that a policy could not work on."""

    policy: str
    position: int
    """Log position of the event."""
    stream: str
    """The stream of the event: kind and key of its aggregate."""
    topic: str
    """The stored name of the event."""
    attempts: int
    """So often it was tried."""
    error: str
    """What was wrong the last time."""
    parked_at: datetime


class ParkedEventDone(ParkedEvent):
    """What was parked and is done now."""

    done: Literal[True]


class ParkedEventList(Shown):
    """A page of parked events; ``next`` is the ``cursor`` of the next page, null on the last."""

    items: list[ParkedEvent]
    next: str | None


PARKED: Final[dict[str, Any]] = {
    "policy": "asset-class-rebalances",
    "position": 42,
    "stream": "portfolio/ACC-1",
    "topic": "portfolio.rebalance-requested.v1",
    "attempts": 5,
    "error": "Overloaded: 1000 commands wait for portfolio/ACC-1, at most 1000 may",
    "parked_at": "2025-06-21T10:00:00Z",
}
"""The example of a parked event."""
