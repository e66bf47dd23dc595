"""Runners as tasks of a test, and as a process of its own: `python -m tests.projections.running DATABASE_URL`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from projections.portfolio import PORTFOLIO_PROJECTOR
from projections.projector import Projector
from projections.runner import Runner
from read_side.adapters.postgres_leader import PostgresLeadership
from read_side.store import HotCopy
from read_side.tasks import end
from tests.projections.logs import Process, process


def runner_of(
    one: Process,
    *,
    projector: Projector[Any] = PORTFOLIO_PROJECTOR,
    page_size: int = 2_000,
    hot: HotCopy | None = None,
) -> Runner[Any]:
    return Runner(
        projector=projector,
        history=one.history,
        leadership=PostgresLeadership(one.database_url, one.signals),
        signals=one.signals,
        hot=hot,
        page_size=page_size,
        beat=0.05,
        slowest=0.5,
    )


@asynccontextmanager
async def running(one: Process, **options: Any) -> AsyncIterator[Runner[Any]]:
    """Run a projection while the block lasts."""
    runner = runner_of(one, **options)
    await one.store.prepare(runner.projector.view)
    task = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        await end(task)


async def _main(database_url: str) -> None:
    async with process(database_url) as one:
        runner = runner_of(one)
        await one.store.prepare(runner.projector.view)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await runner.run()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
