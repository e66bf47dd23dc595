"""The stores of views that must keep the contract: an adapter is one line in ``STORES``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

from read_side.adapters.elasticsearch_index import ElasticsearchIndexes
from read_side.adapters.elasticsearch_link import connect
from read_side.adapters.elasticsearch_search import ElasticsearchSearch, guarded
from read_side.adapters.postgres import PostgresViewStore
from read_side.adapters.postgres_leader import PostgresLeadership
from read_side.changes import Place
from read_side.copies import CopyCheckpoint, CopyIndex
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
    View,
)
from tests.projections.logs import process

Fixture = Callable[[str], Any]
"""Returns a fixture by its name, made when it is first asked for."""


@asynccontextmanager
async def postgres_through_a_pool(fixture: Fixture) -> AsyncIterator[PostgresViewStore]:
    async with process(fixture("database_url")) as one:
        yield one.store


@asynccontextmanager
async def postgres_as_leader(fixture: Fixture) -> AsyncIterator[PostgresViewStore]:
    url = fixture("database_url")
    async with process(url) as one, PostgresLeadership(url, one.signals).lead("portfolios") as store:
        yield store


@asynccontextmanager
async def elasticsearch_copy(fixture: Fixture) -> AsyncIterator[SearchedInCopies]:
    url, prefix = fixture("elasticsearch").url, fixture("index_prefix")
    async with process(fixture("database_url")) as one, connect(url, 30.0) as client:
        answers: list[str] = []
        copy = ElasticsearchSearch(
            guarded(client, prefix), prefix, one.signals, observe=lambda view, source: answers.append(source)
        )
        yield SearchedInCopies(one.store, copy, ElasticsearchIndexes(client, prefix), one.signals, answers)


STORES: list[Callable[[Fixture], AbstractAsyncContextManager[SearchableViewStore]]] = [
    postgres_through_a_pool,
    postgres_as_leader,
    elasticsearch_copy,
]


class SearchedInCopies:
    """Views in PostgreSQL whose copies are kept level with every page, and alone answer searches and lists."""

    def __init__(
        self,
        store: PostgresViewStore,
        copy: ElasticsearchSearch,
        indexes: ElasticsearchIndexes,
        signals: Signals,
        answers: list[str],
    ) -> None:
        """``answers`` are told by the copy, what became of each question."""
        self._store, self._copy, self._indexes, self._signals, self._answers = store, copy, indexes, signals, answers
        self._copied: dict[View[Any], View[Any]] = {}
        self._live: dict[View[Any], CopyIndex] = {}

    async def prepare(self, view: View[Any]) -> Checkpoint:
        copied = self._of(view)
        at = await self._store.prepare(copied)
        if view not in self._live:
            index = await self._indexes.create(copied, self._stated(copied, at))
            self._live[view] = await self._indexes.commit(index, self._stated(copied, at))
            await self._indexes.switch(copied, self._live[view])
            self._signals.hear_checkpoint(view.name, at)
        return at

    async def checkpoint(self, view: View[Any]) -> Checkpoint:
        return await self._store.checkpoint(self._of(view))

    async def get_many(self, view: View[R], keys: Iterable[str]) -> Rows[R]:
        return await self._store.get_many(self._of(view), keys)

    async def wait_for(self, view: View[Any], position: int, wait: float) -> None:
        await self._store.wait_for(self._of(view), position, wait)

    async def save_page(self, view: View[R], page: Page[R]) -> None:
        copied, at = self._of(view), Checkpoint(page.position, page.expected.generation)
        await self._store.save_page(copied, page)
        index = await self._indexes.begin(self._live[view])
        changed = [(Place(page.position, key), row) for key, row in page.rows.items()]
        await self._indexes.write(copied, index, changed)
        self._live[view] = await self._indexes.commit(index, self._stated(copied, at))
        self._signals.hear_checkpoint(view.name, at)

    async def search(self, view: View[R], search: Search) -> Found[R]:
        found = await self._copy.search(self._of(view), search)
        assert found is not None, self._answers
        return found

    async def listed(self, view: View[R], listed: Listed) -> Counted[R]:
        counted = await self._copy.listed(self._of(view), listed)
        assert counted is not None, self._answers
        return counted

    def _of(self, view: View[R]) -> View[R]:
        """Return the view as one that is copied."""
        return self._copied.setdefault(view, replace(view, copied=True))

    def _stated(self, view: View[Any], at: Checkpoint) -> CopyCheckpoint:
        assert self._signals.epoch is not None
        return CopyCheckpoint(
            epoch=self._signals.epoch,
            generation=at.generation,
            position=at.position,
            build=1,
            shape=self._indexes.shape(view),
        )
