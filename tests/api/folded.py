"""Views in memory, folded from a log in memory by the real projectors whenever they are asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from domain.base import Event
from domain.errors import Fault, FoliologError, Invalid, NotYet
from projections.projector import Projector
from read_side.store import Checkpoint, Counted, Found, Kind, Listed, Page, R, Rows, Search, View
from tests.projections.quoting import recorded


@dataclass
class FoldedViews:
    """A ``SearchableViewStore`` that is always at the head of the log; ``failure`` is raised by every read."""

    events: Sequence[Event]
    projectors: Sequence[Projector[Any]]
    failure: FoliologError | None = None
    _folded: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)

    async def prepare(self, view: View[Any]) -> Checkpoint:
        return await self.checkpoint(view)

    async def checkpoint(self, view: View[Any]) -> Checkpoint:
        return Checkpoint(len(self.events), 1)

    async def save_page(self, view: View[R], page: Page[R]) -> None:
        raise NotImplementedError

    async def wait_for(self, view: View[Any], position: int, wait: float) -> None:
        if position > len(self.events):
            raise NotYet(view.name, position, len(self.events))

    async def get_many(self, view: View[R], keys: Iterable[str]) -> Rows[R]:
        rows = self._rows(view)
        return Rows({key: rows[key] for key in keys if key in rows}, await self.checkpoint(view))

    async def search(self, view: View[R], search: Search) -> Found[R]:
        if search.cursor is not None and not search.cursor.isdecimal():
            raise Invalid(Fault("cursor", "is not the `next` of a page"))
        name = search.sort.lstrip("-")
        needed = {name, *search.equals, *search.between}
        fit = [
            row
            for key, row in self._rows(view).items()
            if all(getattr(row, each, None) is not None for each in needed) and _fits(search, key, row)
        ]
        fit.sort(key=lambda row: (getattr(row, name), getattr(row, view.key)), reverse=search.sort.startswith("-"))
        start = int(search.cursor or 0)
        end = start + search.limit
        return Found(fit[start:end], str(end) if len(fit) > end else None, await self.checkpoint(view))

    async def listed(self, view: View[R], listed: Listed) -> Counted[R]:
        return counted(view, self._rows(view), listed, await self.checkpoint(view))

    def _rows(self, view: View[R]) -> dict[str, R]:
        if self.failure is not None:
            raise self.failure
        projector = next(each for each in self.projectors if each.view is view)
        taken, rows = self._folded.get(view.name, (0, {}))
        if taken < len(self.events):
            changed = projector.fold(rows, recorded(self.events)[taken:])
            rows = {key: row for key, row in (rows | changed).items() if row is not None}
            self._folded[view.name] = len(self.events), rows
        return rows


def counted(view: View[R], rows: Mapping[str, R], listed: Listed, checkpoint: Checkpoint) -> Counted[R]:
    """Return the list that ``listed`` is of these rows: what every store has to answer."""
    for name in (*listed.equals, *listed.any_of, *(sort.removeprefix("-") for sort in listed.sort)):
        if name != view.key and view.fields.get(name, Kind.TEXT) is Kind.TEXT:
            raise ValueError(f"{name} is no field of view {view.name} that has values and an order")
    wanted = {name: (value,) for name, value in listed.equals.items()} | dict(listed.any_of)
    needed = set(wanted) | ({listed.has} if listed.has else set())
    fit = [
        rows[key]
        for key in sorted(rows)
        if all(getattr(rows[key], name, None) is not None for name in needed)
        and all(getattr(rows[key], name) in values for name, values in wanted.items())
    ]
    for sort in reversed(listed.sort):
        name = sort.removeprefix("-")
        without = [row for row in fit if getattr(row, name, None) is None]
        having = [row for row in fit if getattr(row, name, None) is not None]
        fit = [*sorted(having, key=lambda row: getattr(row, name), reverse=sort.startswith("-")), *without]
    end = None if listed.limit is None else listed.offset + listed.limit
    return Counted(fit[listed.offset : end], len(fit), checkpoint)


def _fits(search: Search, key: str, row: Any) -> bool:
    for name, (low, high) in search.between.items():
        value = getattr(row, name)
        if value is None or (low is not None and value < low) or (high is not None and value > high):
            return False
    return (
        all(getattr(row, name) == value for name, value in search.equals.items())
        and (search.key_below is None or key < search.key_below)
        and (
            not search.text
            or any(search.text.casefold() in getattr(row, name).casefold() for name in search.text_fields)
        )
    )
