"""What a process needs that keeps the views."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from api.bootstrap.reading import reading
from api.bootstrap.registry import PROJECTORS
from api.bootstrap.searching import copying
from api.settings import Settings
from projections.runner import Runner
from read_side.adapters.postgres_leader import PostgresLeadership
from read_side.tail import Tail


class Follows(Protocol):
    """Something that follows the log or a view in this process."""

    async def run(self) -> None:
        """Lead and follow until ended by ``read_side.tasks.end``."""


_HOT_WRITE = 2.0
"""Seconds that Redis may take: a page of a projection is larger than an answer, and nobody waits for it."""


@asynccontextmanager
async def projections(settings: Settings) -> AsyncIterator[Sequence[Follows]]:
    """Open one runner for each view and one for each search copy; they do nothing until they run."""
    async with reading(settings, redis_timeout=_HOT_WRITE) as parts, copying(settings, parts, parts.log) as copiers:
        leadership = PostgresLeadership(parts.database_url, parts.signals)
        tail = Tail(parts.log)
        runners: list[Follows] = [
            Runner(
                projector=projector,
                history=tail,
                leadership=leadership,
                signals=parts.signals,
                hot=parts.hot,
                renewed=tail.forget,
            )
            for projector in PROJECTORS
        ]
        yield [*runners, *copiers]
