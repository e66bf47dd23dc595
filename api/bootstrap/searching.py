"""Search copies: what searches in them for those who answer, and what keeps them up for those who project.

Elasticsearch's client takes longer to load than all the rest of a process, so it is loaded where it is set.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from api.bootstrap.reading import Reading
from api.bootstrap.registry import PROJECTORS
from api.settings import Settings
from projections.copying import Copier
from read_side.adapters.postgres_changes import PostgresChanges
from read_side.adapters.postgres_leader import PostgresLeadership
from read_side.history import History
from read_side.optional import Link
from read_side.searching import CopiedViews
from read_side.store import SearchableViewStore, View

if TYPE_CHECKING:
    from elasticsearch import AsyncElasticsearch

    from read_side.adapters.elasticsearch_index import ElasticsearchIndexes

COPIED: tuple[View[Any], ...] = tuple(each.view for each in PROJECTORS if each.view.copied)
"""The views that have a search copy where Elasticsearch is set."""

_ANSWER = 1.0
"""Seconds that Elasticsearch may take where somebody waits for an answer."""
_WRITE = 10.0
"""Seconds that it may take where it is written to, and nobody waits."""


@asynccontextmanager
async def searching(
    settings: Settings, parts: Reading, observe: Callable[[str, str], None]
) -> AsyncIterator[tuple[SearchableViewStore, Link[AsyncElasticsearch] | None]]:
    """Open the views as they are searched, and the link to the copies where there are some."""
    if settings.elasticsearch_url is None:
        yield parts.views, None
        return
    from read_side.adapters.elasticsearch_link import connect
    from read_side.adapters.elasticsearch_search import ElasticsearchSearch, guarded

    prefix = settings.elasticsearch_prefix
    link = guarded(connect(settings.elasticsearch_url, _ANSWER), prefix)
    try:
        await link.greet()
        copy = ElasticsearchSearch(link, prefix, parts.signals, observe=observe)
        yield CopiedViews(parts.views, copy, parts.signals), link
    finally:
        await link.close()


@asynccontextmanager
async def indexes(settings: Settings) -> AsyncIterator[ElasticsearchIndexes | None]:
    """Open the indexes of the copies for who writes or compares them; None without Elasticsearch."""
    if settings.elasticsearch_url is None:
        yield None
        return
    from read_side.adapters.elasticsearch_index import ElasticsearchIndexes
    from read_side.adapters.elasticsearch_link import connect

    async with connect(settings.elasticsearch_url, _WRITE) as client:
        yield ElasticsearchIndexes(client, settings.elasticsearch_prefix)


@asynccontextmanager
async def copying(settings: Settings, parts: Reading, history: History) -> AsyncIterator[Sequence[Copier[Any]]]:
    """Open what keeps the copy of each view; it does nothing until it runs. None of them without Elasticsearch."""
    async with indexes(settings) as made:
        if made is None:
            yield []
            return
        yield [
            Copier(
                view=view,
                changes=PostgresChanges(parts.pool.connection),
                indexes=made,
                history=history,
                leadership=PostgresLeadership(parts.database_url, parts.signals),
                signals=parts.signals,
            )
            for view in COPIED
        ]
