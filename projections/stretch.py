"""The next events of the log without those that an operator has parked."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from domain.base import Recorded, whole_commands
from domain.errors import Broken
from read_side.history import History


@dataclass(frozen=True, slots=True)
class Stretch:
    """Events to project, and the position the view has reached with them; parked ones are not among them."""

    events: Sequence[Recorded]
    position: int
    full: bool = False
    """Whether there may be more right behind it."""


async def next_stretch(history: History, after: int, limit: int, parked: Set[int]) -> Stretch:
    """Return up to ``limit`` events after this position; at the head none, and the position given.

    What a command has recorded together is not cut in two, as long as it is shorter than ``limit``: nobody reads half
    of it. Raises ``Broken`` for an event that cannot be read and is not parked.
    """
    try:
        events = await history.page(after, limit)
    except Broken as error:
        if error.position is None or error.position not in parked:
            raise
        return Stretch((), error.position)
    if not events:
        return Stretch((), after)
    full = len(events) == limit
    if full:
        events = whole_commands(events)
    position = events[-1].position
    if parked:
        events = [recorded for recorded in events if recorded.position not in parked]
    return Stretch(events, position, full)
