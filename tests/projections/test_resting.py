"""A projection that rests between its pages is woken by whoever waits for it, in whatever process."""

from __future__ import annotations

import asyncio
import dataclasses
import time

from projections.portfolio import PORTFOLIO_PROJECTOR
from read_side.portfolio import PORTFOLIOS
from read_side.signals import Signals
from tests.projections.logs import append, deposited, opened, process
from tests.projections.running import running

SLEEPY = dataclasses.replace(PORTFOLIOS, rest=3_600.0)
PROJECTOR = dataclasses.replace(PORTFOLIO_PROJECTOR, view=SLEEPY)


async def test_who_waits_in_another_process_wakes_it(database_url: str) -> None:
    async with process(database_url) as one, process(database_url) as other, running(one, projector=PROJECTOR):
        position = await append(database_url, opened("A"))
        for version in range(2, 6):
            await other.store.wait_for(SLEEPY, position, 60)
            assert (await other.store.get_many(SLEEPY, ["A"])).rows["A"].version == version - 1
            position = await append(database_url, deposited("A", version, "1"))


async def test_a_position_that_cannot_be_does_not_keep_it_from_being_woken(database_url: str) -> None:
    async with process(database_url) as one, process(database_url) as other, running(one, projector=PROJECTOR):
        impossible = asyncio.create_task(other.store.wait_for(SLEEPY, 10**18 - 1, 3_600))
        position = await append(database_url, opened("A"))
        await other.store.wait_for(SLEEPY, position, 60)
        impossible.cancel()
        await asyncio.gather(impossible, return_exceptions=True)


async def test_a_call_before_the_rest_begins_is_not_lost_and_counts_once() -> None:
    signals = Signals()
    signals.want("portfolios")
    await asyncio.wait_for(signals.rest("portfolios", 3_600), 60)
    started = time.monotonic()
    await signals.rest("portfolios", 0.05)
    assert time.monotonic() - started >= 0.04
