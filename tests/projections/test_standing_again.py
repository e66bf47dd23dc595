"""What follows the log stands again however often it could not: also after a night without its servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from domain.errors import StoreUnavailable
from projections.copying import Copier
from projections.portfolio import PORTFOLIO_PROJECTOR
from projections.relay import Relay
from projections.runner import Runner
from read_side.signals import Signals
from read_side.tasks import end
from read_side.transactions import TRANSACTIONS

NIGHT = 1_100
"""Attempts: twice as long a pause each time is more than any number holds by then."""


class Away:
    """A leadership whose server does not answer; and a topic, indexes and changes that nobody comes to ask."""

    name = "topic"

    def __init__(self) -> None:
        self.asked = 0
        self.often = asyncio.Event()

    @asynccontextmanager
    async def follow(self, name: str) -> AsyncIterator[Any]:
        self.asked += 1
        if self.asked >= NIGHT:
            self.often.set()
        if self.asked:
            raise StoreUnavailable("nobody there")
        yield

    lead = follow


def relay(away: Any) -> Relay:
    return Relay(topic=away, history=away, leadership=away, signals=Signals(), first_pause=0.0, slowest=0.0)


def runner(away: Any) -> Runner[Any]:
    return Runner(projector=PORTFOLIO_PROJECTOR, history=away, leadership=away, signals=Signals(), slowest=0.0)


def copier(away: Any) -> Copier[Any]:
    return Copier(
        view=TRANSACTIONS,
        changes=away,
        indexes=away,
        history=away,
        leadership=away,
        signals=Signals(),
        soonest=0.0,
        slowest=0.0,
    )


@pytest.mark.parametrize("made", [relay, runner, copier])
async def test_it_stands_again_after_more_failures_than_a_number_has_bits(made: Any) -> None:
    away = Away()
    task = asyncio.create_task(made(away).run())
    often = asyncio.create_task(away.often.wait())
    await asyncio.wait([task, often], return_when=asyncio.FIRST_COMPLETED)
    assert not task.done(), task.exception()
    await end(task)
