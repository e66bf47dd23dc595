"""The optimiser as tests use it: with worker processes of its own, which end with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from write_side.optimiser.chain import ExactOptimiser
from write_side.optimiser.pool import Pool


@asynccontextmanager
async def opened() -> AsyncIterator[ExactOptimiser]:
    """Yield an optimiser."""
    pool = Pool()
    try:
        yield ExactOptimiser(pool)
    finally:
        await pool.close()
