"""A projector as data, and the pure fold of a page of events into the rows they change."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

from domain.base import Event, Recorded
from domain.errors import Broken
from domain.prices import PricesUploaded
from read_side.store import R, View

_HEAVY = 500
"""So many prices in uploads make a page heavy."""
Known = Callable[[str], R | None]
"""Returns a row, None where there is none; raises ``KeyError`` where that is not known."""


class Unknown(Exception):
    """These rows have to be looked up before the event can be taken."""

    def __init__(self, keys: Collection[str]) -> None:
        if not keys:
            raise ValueError("nothing is unknown")
        super().__init__(", ".join(keys))
        self.keys = keys


class Rows(Generic[R]):
    """The rows as they are before an event, and what the event makes of them."""

    __slots__ = ("_before", "_known", "changed")

    def __init__(self, known: Known[R], before: Mapping[str, R | None]) -> None:
        self._known, self._before = known, before
        self.changed: dict[str, R | None] = {}

    def __getitem__(self, key: str) -> R | None:
        """Return the row, None where there is none; raises ``Unknown``."""
        if key in self.changed:
            return self.changed[key]
        if key in self._before:
            return self._before[key]
        try:
            return self._known(key)
        except KeyError:
            raise Unknown((key,)) from None

    def __setitem__(self, key: str, row: R | None) -> None:
        self.changed[key] = row

    def all(self, keys: Iterable[str]) -> list[R | None]:
        """Return these rows; raises ``Unknown`` naming all that have to be looked up."""
        changed, before, known = self.changed, self._before, self._known
        found: list[R | None] = []
        unknown: list[str] = []
        for key in keys:
            if key in changed:
                found.append(changed[key])
            elif key in before:
                found.append(before[key])
            else:
                try:
                    found.append(known(key))
                except KeyError:
                    unknown.append(key)
        if unknown:
            raise Unknown(unknown)
        return found


@dataclass(frozen=True, kw_only=True)
class Projector(Generic[R]):
    """How events become rows of a view.

    ``apply`` reads and changes rows by one event; it assigns what the event says and is pure: an event whose rows are
    ``Unknown`` is begun again, and nothing of it was kept. ``keys`` names rows that it will read, as far as the
    event tells. So the view is a function of the log alone. ``kept`` rows at most stay in memory between pages.
    """

    view: View[R]
    handles: frozenset[type[Event]]
    apply: Callable[[Rows[R], Recorded], None]
    keys: Callable[[Recorded], Iterable[str]] = lambda recorded: ()
    kept: int = 5_000

    def reads(self, events: Iterable[Recorded]) -> set[str]:
        """Return the keys of rows that these events are known to read."""
        handles, keys = self.handles, self.keys
        return {key for recorded in events if type(recorded.event) in handles for key in keys(recorded)}

    def fold(self, rows: Mapping[str, R], events: Sequence[Recorded]) -> dict[str, R | None]:
        """Return the rows changed by the events, where ``rows`` are all there are; raises ``Broken``."""
        folding = Folding(self, events)
        folding.advance(rows.get)
        return folding.changed


def by_key(
    keys: Callable[[Recorded], Iterable[str]], evolve: Callable[[R | None, Recorded], R | None]
) -> Callable[[Rows[R], Recorded], None]:
    """Return the ``apply`` of a projector whose rows do not depend on each other."""

    def apply(rows: Rows[R], recorded: Recorded) -> None:
        for key in keys(recorded):
            rows[key] = evolve(rows[key], recorded)

    return apply


class Folding(Generic[R]):
    """A page of events being folded; ``changed`` holds the rows as the events taken so far leave them."""

    def __init__(self, projector: Projector[R], events: Sequence[Recorded]) -> None:
        self._projector, self._events = projector, events
        self._taken = 0
        self.heavy = sum(len(each.event.prices) for each in events if isinstance(each.event, PricesUploaded)) > _HEAVY
        """Whether folding takes so long that others should not wait for it."""
        self.changed: dict[str, R | None] = {}

    def advance(self, known: Known[Any]) -> Collection[str]:
        """Take events up to one that needs unknown rows; return their keys, none at the end of the page.

        Raises ``Broken`` with the position of an event that cannot be taken.
        """
        handles, apply, changed = self._projector.handles, self._projector.apply, self.changed
        for index in range(self._taken, len(self._events)):
            recorded = self._events[index]
            self._taken = index
            if type(recorded.event) not in handles:
                continue
            rows = Rows(known, changed)
            try:
                apply(rows, recorded)
            except Unknown as unknown:
                return unknown.keys
            except Exception as error:
                place = f"event {recorded.position} ({recorded.event.TOPIC} of {recorded.stream})"
                text = f"{place} cannot be projected into {self._projector.view.name}: {type(error).__name__}: {error}"
                raise Broken(text, position=recorded.position) from error
            changed.update(rows.changed)
        self._taken = len(self._events)
        return ()
