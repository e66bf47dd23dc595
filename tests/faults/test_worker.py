"""kill -9 of a worker at every step: what was asked for is done once, and what cannot be done is parked once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from domain.portfolio import CashDeposited, Portfolio
from read_side.adapters.postgres_work import PostgresWorkSource
from read_side.work import ParkedWork
from tests.projections.logs import process
from tests.write_side.mirroring import PREFIX, mirroring
from tests.write_side.stores import NOW, Store, by, event_store
from tests.write_side.worker import BAD
from write_side.adapters.postgres_work import PostgresWork, PostgresWorkLeadership
from write_side.follower import Follower
from write_side.log import Answer
from write_side.work import Retries

ROOT = Path(__file__).parents[2]
PLACES = ["before the act", "after the append", "before parking", "after parking", "before the checkpoint",
          "after the checkpoint"]  # fmt: skip
NOWHERE = "nowhere"


@asynccontextmanager
async def worker(database_url: str, place: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a worker that stops at this place; whatever happens, it is killed in the end."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.write_side.worker", database_url, place, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()
        child._transport.close()  # type: ignore[attr-defined]


async def said(child: asyncio.subprocess.Process) -> str:
    assert child.stdout is not None
    return (await child.stdout.readline()).decode().strip()


async def paid_in(one: Store) -> int:
    """Pay into three portfolios in turn, and into the bad one; return the position of the last payment."""
    for key in ("A", "B", BAD, "C"):
        await one.open(key)
    for amount in ("1", "2", "3"):
        for key in ("A", "B", BAD, "C"):
            await one.move(key, amount)
    return await one.log.head()


async def mirrored(one: Store, key: str) -> list[Decimal]:
    """Return the payments into the mirror, in their order."""
    events = await one.log.read(Portfolio.stream(f"{PREFIX}{key}"))
    paid = [event.amount for event in events if isinstance(event, CashDeposited)]
    assert len(events) == len(paid) + (1 if events else 0)  # the opening
    return paid


@pytest.mark.parametrize("place", PLACES)
async def test_a_worker_killed_at_any_step_does_each_once(database_url: str, place: str) -> None:
    async with event_store(database_url) as one, process(database_url) as reading:
        asked = ParkedWork(PostgresWorkSource(reading.pool.connection), reading.signals)
        position = await paid_in(one)
        for _ in range(2):
            async with worker(database_url, place) as child:
                assert await said(child) == place
        async with worker(database_url, NOWHERE):
            parked = await asked.listed(at_least=position, wait=240)
        for key in ("A", "B", "C"):
            assert await mirrored(one, key) == [1, 2, 3]
        assert await mirrored(one, BAD) == []
        assert [(row.stream, row.attempts) for row in parked.rows] == [(f"portfolio/{BAD}", 5)] * 3
        assert len({row.position for row in parked.rows}) == 3


async def test_what_is_parked_is_done_by_a_retry_and_the_rest_by_what_comes_later(database_url: str) -> None:
    async with event_store(database_url) as one, process(database_url) as reading:
        asked = ParkedWork(PostgresWorkSource(reading.pool.connection), reading.signals)
        async with worker(database_url, NOWHERE):
            position = await paid_in(one)
            parked = (await asked.listed(at_least=position, wait=240)).rows
        policy = mirroring(one.store, one.log, NOW)
        retries = Retries(
            policies={policy.name: policy}, work=PostgresWork(reading.pool.connection), log=one.log, store=one.store
        )
        await retries.retry(policy.name, parked[-1].position, by(), render=lambda _: Answer(200, b""))
        assert await mirrored(one, BAD) == [1]
        assert [row.position for row in (await asked.listed()).rows] == [row.position for row in parked[:-1]]
        follower = Follower(
            policy=policy,
            pages=one.log,
            leadership=PostgresWorkLeadership(database_url),
            wait=reading.signals.wait_for_head,
        )
        follower.start()
        try:
            later = (await one.move(BAD, "4")).position
            assert (await asked.listed(at_least=later, wait=240)).rows == []
        finally:
            await follower.close()
        assert await mirrored(one, BAD) == [1, 2, 3, 4]


async def test_two_workers_that_both_believe_to_lead_do_each_once(database_url: str) -> None:
    class Open(PostgresWorkLeadership):
        """Leadership without a lock."""

        @asynccontextmanager
        async def lead(self, policy: str) -> AsyncIterator[PostgresWork]:
            yield PostgresWork(reading.pool.connection)

    async with event_store(database_url) as one, event_store(database_url) as other, process(database_url) as reading:
        asked = ParkedWork(PostgresWorkSource(reading.pool.connection), reading.signals)
        followers = [
            Follower(
                policy=mirroring(each.store, each.log, NOW),
                pages=each.log,
                leadership=Open(database_url),
                wait=reading.signals.wait_for_head,
                page_size=3,
                slowest=0.1,
            )
            for each in (one, other)
        ]
        for follower in followers:
            follower.start()
        try:
            await asked.listed(at_least=await paid_in(one), wait=240)
        finally:
            await asyncio.gather(*(follower.close() for follower in followers))
        for key in ("A", "B", "C", BAD):
            assert await mirrored(one, key) == [1, 2, 3]
        assert (await asked.listed()).rows == []
