"""The port to search copies of views: indexes that one process fills and everybody searches, and what they are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import msgspec

from read_side.changes import Place
from read_side.store import R, View

PREFIX = "copy/"


def follower_of(view: View[Any]) -> str:
    """Return the name of the follower that keeps the copy of this view."""
    return PREFIX + view.name


class CopyCheckpoint(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a copy holds: a view of this log and generation up to ``position``; it stands in the index itself.

    ``build`` is the number of the copy that an operator raises to have it made anew, ``shape`` what its documents look
    like. ``command_id`` names the command of the event at the position, where it has one: another log that is restored
    under the same epoch has another there. While rows are ``writing`` they may be ahead of the position.
    """

    epoch: UUID
    generation: int
    position: int
    build: int
    shape: str
    command_id: UUID | None = None
    writing: bool = False


@dataclass(frozen=True, slots=True)
class CopyIndex:
    """An index and its checkpoint as it was read or written; ``version`` is what the next write of that expects."""

    name: str
    checkpoint: CopyCheckpoint
    version: tuple[int, int]


@dataclass(frozen=True, slots=True)
class CopyDifference:
    """A row of which the copy holds something else: its key, the position of its document (0 for none), and what."""

    key: str
    position: int
    what: str


class CopyIndexes(Protocol):
    """The indexes of copies. What is written is never seen before ``commit``, which shows all of it at once.

    Everything raises ``StoreUnavailable``, and ``Broken`` for what will not go better by itself.
    """

    def shape(self, view: View[Any]) -> str:
        """Return what an index of this view looks like here: one of another shape is made anew."""

    async def live(self, view: View[Any], *, taken_over: bool = False) -> CopyIndex | None:
        """Return the index that is searched; None where there is none of ours, or not exactly one.

        Who has just taken it over, from another or after an error, has all shown that was written.
        """

    async def create(self, view: View[Any], checkpoint: CopyCheckpoint) -> CopyIndex:
        """Make a new index beside the live one, empty and ``writing``; those that were given up before are dropped."""

    async def begin(self, index: CopyIndex) -> CopyIndex:
        """Say that rows are being written; raises ``Fenced`` where the index is not as it was read."""

    async def write(self, view: View[R], index: CopyIndex, rows: Sequence[tuple[Place, R | None]]) -> None:
        """Take these rows where the index has none that is newer; returns when every one is stored for good.

        Raises ``Fenced`` where the index is gone, ``Broken`` naming the row that it refuses.
        """

    async def commit(self, index: CopyIndex, checkpoint: CopyCheckpoint) -> CopyIndex:
        """State what the index holds now, and show it; raises ``Fenced`` where it is not as it was read."""

    async def switch(self, view: View[Any], index: CopyIndex) -> None:
        """Let searches use this index from now on, and no other; raises ``Fenced`` where it is gone."""

    async def sweep(self, view: View[Any]) -> None:
        """Drop indexes of this view that are not searched: the one before, and what dead processes were making."""

    async def keys(self, view: View[Any], index: CopyIndex, after: str, limit: int) -> list[str]:
        """Return the next keys of rows in the index, in order; none behind the last."""

    async def compare(self, view: View[R], index: CopyIndex, rows: Mapping[str, R | None]) -> list[CopyDifference]:
        """Return in which of these rows the index differs, also in what is written but not shown; None: no row."""
