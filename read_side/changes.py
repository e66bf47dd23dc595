"""The port to what has changed in a view since a place in it: what a copy of the view is kept up to date with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol
from uuid import UUID

from read_side.store import Checkpoint, R, View


class Place(NamedTuple):
    """A place in the order of changes: the log position at which a row was changed last, and its key."""

    position: int
    key: str


BEGINNING = Place(0, "")


@dataclass(frozen=True, slots=True)
class Changed(Generic[R]):
    """Rows in the order of their places, None for one that is gone, and the checkpoint and log they were read at.

    With fewer rows than were asked for, these are all behind the place that was given, up to this checkpoint.
    """

    rows: list[tuple[Place, R | None]]
    checkpoint: Checkpoint
    epoch: UUID


class Changes(Protocol):
    """The rows of views in the order in which they were changed."""

    async def changes(self, view: View[R], after: Place, limit: int) -> Changed[R]:
        """Return up to ``limit`` rows behind this place; raises ``StoreUnavailable``, and ``Broken`` without a view.

        A row that is gone is told at or above the position at which it went, unless it was there before copies were:
        such a one is in no copy.
        """
