"""A projector as data, and the pure fold of a page of events into the rows they change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic

from domain.base import Event, Recorded
from domain.errors import Broken
from read_side.store import R, View


@dataclass(frozen=True, kw_only=True)
class Projector(Generic[R]):
    """How events become rows of a view.

    ``keys`` names the rows that an event changes, ``evolve`` returns such a row afterwards (None: it does not exist)
    and assigns what the event says, without rules. Both are pure, so the view is a function of the log alone.
    """

    view: View[R]
    handles: frozenset[type[Event]]
    keys: Callable[[Recorded], Iterable[str]]
    evolve: Callable[[R | None, Recorded], R | None]

    def changed(self, events: Iterable[Recorded]) -> set[str]:
        """Return the keys of the rows that these events change."""
        handles, keys = self.handles, self.keys
        return {key for recorded in events if type(recorded.event) in handles for key in keys(recorded)}

    def fold(self, rows: Mapping[str, R], events: Sequence[Recorded]) -> dict[str, R | None]:
        """Return the rows changed by the events, as they are afterwards.

        Raises ``Broken`` with the position of the event that cannot be taken.
        """
        handles, keys, evolve = self.handles, self.keys, self.evolve
        changed: dict[str, R | None] = {}
        for recorded in events:
            if type(recorded.event) in handles:
                try:
                    for key in keys(recorded):
                        changed[key] = evolve(changed[key] if key in changed else rows.get(key), recorded)
                except Exception as error:
                    place = f"event {recorded.position} ({recorded.event.TOPIC} of {recorded.stream})"
                    text = f"{place} cannot be projected into {self.view.name}: {type(error).__name__}: {error}"
                    raise Broken(text, position=recorded.position) from error
        return changed
