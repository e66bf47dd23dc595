"""What operators' commands need."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from api.bootstrap.reading import reading
from api.settings import Settings
from read_side.adapters.postgres import PostgresViewStore
from read_side.adapters.postgres_builder import PostgresBuilder
from write_side.adapters.postgres_log import PostgresLog


@dataclass(frozen=True)
class Operating:
    """What operators' commands need: the log, the views, and what makes views anew."""

    history: PostgresLog
    views: PostgresViewStore
    builder: PostgresBuilder


@asynccontextmanager
async def operating(settings: Settings) -> AsyncIterator[Operating]:
    """Open what operators' commands need, on the database that is set."""
    async with reading(settings) as parts:
        yield Operating(parts.log, parts.views, PostgresBuilder(parts.database_url))
