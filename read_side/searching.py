"""Durable views of which some have a search copy beside them, which answers searches and lists where it may."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from read_side.signals import Signals
from read_side.store import (
    Checkpoint,
    Counted,
    Found,
    Listed,
    Page,
    R,
    Rows,
    Search,
    SearchableViewStore,
    SearchCopy,
    View,
)


class CopiedViews:
    """Views behind ``SearchableViewStore``: what the copy does not answer now, the durable store does.

    The copy may answer for a view only from where nobody here sees it go back: it must include what the caller has
    waited for, what this process has been answered before, whoever answered, and where the durable view stood a second
    ago. So a copy that is set back, or is not written any more, makes an answer slower and never older than that.
    Looking up rows by key is left to the durable store.
    """

    def __init__(self, store: SearchableViewStore, copy: SearchCopy, signals: Signals) -> None:
        self._store, self._copy, self._signals = store, copy, signals
        self._floors: dict[str, int] = {}

    async def prepare(self, view: View[Any]) -> Checkpoint:
        return await self._store.prepare(view)

    async def checkpoint(self, view: View[Any]) -> Checkpoint:
        return await self._store.checkpoint(view)

    async def save_page(self, view: View[R], page: Page[R]) -> None:
        await self._store.save_page(view, page)

    async def wait_for(self, view: View[Any], position: int, wait: float) -> None:
        await self._store.wait_for(view, position, wait)

    async def get_many(self, view: View[R], keys: Iterable[str]) -> Rows[R]:
        keys = list(keys)
        read = await self._store.get_many(view, keys)
        if view.copied:
            # What is shown are these rows; that there are no others is so at the checkpoint only.
            whole = len(read.rows) == len(set(keys))
            shown = max((row.position for row in read.rows.values()), default=0)
            self._shown(view, shown if whole else read.checkpoint.position)
        return read

    async def search(self, view: View[R], search: Search) -> Found[R]:
        if not view.copied:
            return await self._store.search(view, search)
        floor = self._floor(view)
        found = await self._copy.search(view, replace(search, at_least=self._enough(view, search.at_least)))
        if found is None:
            found = await self._store.search(view, search)
            self._corrected(view, floor, found.checkpoint)
        self._shown(view, found.checkpoint.position)
        return found

    async def listed(self, view: View[R], listed: Listed) -> Counted[R]:
        if not view.copied:
            return await self._store.listed(view, listed)
        floor = self._floor(view)
        counted = await self._copy.listed(view, replace(listed, at_least=self._enough(view, listed.at_least)))
        if counted is None:
            counted = await self._store.listed(view, listed)
            self._corrected(view, floor, counted.checkpoint)
        self._shown(view, counted.checkpoint.position)
        return counted

    def _floor(self, view: View[Any]) -> int:
        return self._floors.get(view.name, 0)

    def _enough(self, view: View[Any], at_least: int) -> int:
        """Return the position that the copy must include to answer."""
        return max(at_least, self._floor(view), self._signals.recent(view.name))

    def _shown(self, view: View[Any], position: int) -> None:
        self._floors[view.name] = max(self._floor(view), position)

    def _corrected(self, view: View[Any], floor: int, durable: Checkpoint) -> None:
        """Lower the floor to where the durable view stands, if that is below what was shown before it was asked.

        After a crash of the database it is, for a moment; what is durable counts.
        """
        if durable.position < floor:
            self._floors[view.name] = durable.position
