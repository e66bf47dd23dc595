"""What operators' commands need."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.bootstrap.reading import reading
from api.bootstrap.searching import indexes
from api.settings import Settings
from read_side.adapters.postgres import PostgresViewStore
from read_side.adapters.postgres_builder import PostgresBuilder
from read_side.adapters.postgres_changes import PostgresChanges
from read_side.adapters.postgres_following import PostgresFollowers
from write_side.adapters.postgres_log import PostgresLog

if TYPE_CHECKING:
    from read_side.adapters.elasticsearch_index import ElasticsearchIndexes


@dataclass(frozen=True)
class Operating:
    """What operators' commands need: the log, the views, what makes views anew, and the search copies if any."""

    history: PostgresLog
    views: PostgresViewStore
    builder: PostgresBuilder
    changes: PostgresChanges
    followers: PostgresFollowers
    indexes: ElasticsearchIndexes | None


@asynccontextmanager
async def operating(settings: Settings) -> AsyncIterator[Operating]:
    """Open what operators' commands need, on the database that is set."""
    async with reading(settings) as parts, indexes(settings) as copies:
        connections = parts.pool.connection
        yield Operating(
            history=parts.log,
            views=parts.views,
            builder=PostgresBuilder(parts.database_url),
            changes=PostgresChanges(connections),
            followers=PostgresFollowers(connections),
            indexes=copies,
        )
