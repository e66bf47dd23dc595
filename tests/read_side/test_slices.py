"""Long work on the event loop lets others have their turn."""

from __future__ import annotations

import asyncio

import pytest

from projections.batch import BATCH_PROJECTOR
from projections.rebalance import REBALANCE_PROJECTOR
from read_side import slices
from read_side.batch import BatchRow, list_json
from read_side.rebalance import Rebalanced, RebalanceRow, RunRow
from read_side.slices import Slices
from tests.projections.executing import Desk
from tests.projections.quoting import recorded
from tests.projections.rebalancing import run_id, whole


async def turns(work: asyncio.Task[object]) -> int:
    """Return how often somebody else had a turn until the work was done."""
    count = 0
    while not work.done():
        await asyncio.sleep(0)
        count += 1
    return count


async def pauses(times: int) -> None:
    slicing = Slices()
    for _ in range(times):
        await slicing.pause()


async def test_others_have_their_turn_when_a_slice_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "_SLICE", 0.0)
    assert await turns(asyncio.create_task(pauses(50))) >= 50
    monkeypatch.setattr(slices, "_SLICE", 1e9)
    assert await turns(asyncio.create_task(pauses(50))) < 5


async def test_many_rebalances_are_rendered_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    portfolios = [f"ACC-{number}" for number in range(30)]
    rows = REBALANCE_PROJECTOR.fold({}, recorded(whole(1, portfolios)))
    run = rows[run_id(1)]
    assert isinstance(run, RunRow)
    made = [row for row in rows.values() if isinstance(row, RebalanceRow)]
    at_once = await Rebalanced(made, {run.run_id: run}, 30).json()
    monkeypatch.setattr(slices, "_SLICE", 0.0)
    rendering = asyncio.create_task(Rebalanced(made, {run.run_id: run}, 30).json())
    assert await turns(rendering) >= 30
    assert await rendering == at_once


async def test_a_page_of_batches_is_rendered_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    for number in range(1, 31):
        desk.record(number)
        desk.sends(desk.start())
    rows = [row for row in BATCH_PROJECTOR.fold({}, recorded(desk.events)).values() if isinstance(row, BatchRow)]
    at_once = await list_json(rows, None)
    monkeypatch.setattr(slices, "_SLICE", 0.0)
    rendering = asyncio.create_task(list_json(rows, None))
    assert await turns(rendering) >= 30
    assert await rendering == at_once
