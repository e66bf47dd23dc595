"""What is still told of a problem without allowed quantities when the time is over, or nobody waits any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Event

import pytest

from domain.rebalance import Infeasible, Problem
from tests.write_side.optimiser.problems import of_value
from write_side.optimiser import chain
from write_side.optimiser.chain import ExactOptimiser
from write_side.optimiser.explain import explain
from write_side.optimiser.pool import Pool

NOTHING_FITS = of_value("1050", ("1000", "95", "0.1", "0.1"))


async def test_when_the_time_is_over_it_is_told_why_and_no_fixes_are_looked_for() -> None:
    (found,) = await ExactOptimiser(Pool(), max_time=600).solve([NOTHING_FITS])
    (late,) = await ExactOptimiser(Pool(), max_time=0.0).solve([NOTHING_FITS])
    assert isinstance(found, Infeasible)
    assert isinstance(late, Infeasible)
    assert str(late) == str(found)
    assert [bool(each.fixes) for each in found.explanation.securities] == [True]
    assert [bool(each.fixes) for each in late.explanation.securities] == [False]


async def test_no_fixes_are_looked_for_when_the_caller_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = Event(), Event()

    def looking(stated: Problem, over: Callable[[], bool]) -> Infeasible:
        begun.set()
        while not over():
            pass
        ended.set()
        return explain(stated, over)

    monkeypatch.setattr(chain, "explain", looking)
    task = asyncio.create_task(ExactOptimiser(Pool(), max_time=600).solve([NOTHING_FITS]))
    assert await asyncio.to_thread(begun.wait, 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(ended.wait, 60)
