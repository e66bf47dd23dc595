"""The port to building a view anew beside the live one, which answers until the new one takes its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Generic, Protocol

from read_side.store import Checkpoint, R, View


@dataclass(frozen=True, slots=True)
class Live:
    """Where the live view stands, and whether its projection has stopped there."""

    checkpoint: Checkpoint
    stopped: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that the live view has otherwise than one made anew: their bytes, None where there is no row."""

    key: str
    live: bytes | None
    rebuilt: bytes | None


class Build(Protocol, Generic[R]):
    """One view being built; nobody reads it until it is switched."""

    async def live(self) -> Live:
        """Return where the live view stands."""

    async def parked(self) -> frozenset[int]:
        """Return the positions that an operator has told the projection to pass over."""

    async def get_many(self, keys: Iterable[str]) -> Mapping[str, R]:
        """Return those of the rows that exist in the build."""

    async def save(self, rows: Mapping[str, R | None]) -> None:
        """Insert, replace or (None) remove rows of the build."""

    async def finish(self) -> None:
        """Make what a loaded build needs to be read quickly."""

    def hold_live(self) -> AbstractAsyncContextManager[Live]:
        """Keep the live view where it is, and make what is done to the build meanwhile one transaction."""

    def see_live(self) -> AbstractAsyncContextManager[Live]:
        """See the live view as it is now, whatever its projection writes meanwhile; what is done to the build is one
        transaction.
        """

    async def differences(self, limit: int) -> list[Difference]:
        """Return rows that differ, by key; to be compared while the live view is held or seen at the same position."""

    async def switch(self, position: int) -> None:
        """Let the build take the place of the live view at this position, while that is held."""


class Builder(Protocol):
    """Makes builds of views."""

    def build(self, view: View[R]) -> AbstractAsyncContextManager[Build[R]]:
        """Begin an empty build, and in the end drop it or what it has replaced.

        What an interrupted one has left is dropped first. Raises ``Unavailable``, also while another is going on.
        """
