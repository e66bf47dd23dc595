"""Policies that work elsewhere: nobody waits for their checkpoints, what they have parked is seen all the same."""

from __future__ import annotations

import pytest

from domain.errors import NotYet
from read_side.signals import Signals
from read_side.work import ParkedWork, Progress
from tests.projections.logs import deposited, opened
from tests.write_side.memory_work import MemoryWork

EVENTS = (opened("A"), deposited("A", 2, "1"), deposited("A", 3, "2"))


async def worked() -> MemoryWork:
    """One policy at the end of the log, one that began at 1 and has parked 2, one that has only parked 3."""
    work = MemoryWork(EVENTS, Signals())
    await work.save_checkpoint("log", 0, 3)
    await work.save_checkpoint("group", 0, 1)
    await work.park("group", 2, attempts=5, error="no")
    await work.park("new", 3, attempts=5, error="no")
    return work


async def test_they_have_no_lag_and_show_what_they_have_parked() -> None:
    work = await worked()
    assert await ParkedWork(work, work.signals, elsewhere={"group", "new"}).progress() == [
        Progress("group", 0, 0, 1),
        Progress("log", 3, 0, 0),
        Progress("new", 0, 0, 1),
    ]


async def test_nobody_waits_for_them() -> None:
    work = await worked()
    page = await ParkedWork(work, work.signals, elsewhere={"group", "new"}).listed(at_least=3, wait=0)
    assert [(row.policy, row.position) for row in page.rows] == [("new", 3), ("group", 2)]


async def test_all_others_are_waited_for() -> None:
    work = await worked()
    with pytest.raises(NotYet, match="work/new"):
        await ParkedWork(work, work.signals).listed(at_least=3, wait=0)
    with pytest.raises(NotYet, match="work/group"):
        await ParkedWork(work, work.signals, elsewhere={"new"}).listed(at_least=3, wait=0)
