"""Rows that a runner remembers between pages: never looked up twice, never believed where somebody else has written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from domain.base import Recorded
from domain.errors import StoreUnavailable
from projections.returns import RETURNS_PROJECTOR
from projections.runner import Runner
from read_side.returns import RETURNS, ReturnsRow
from read_side.signals import Signals
from read_side.store import Checkpoint, Fenced, Page, ProjectionStore, Rows, View
from read_side.tasks import end
from tests.domain.portfolios import deposit
from tests.projections.market import Market, day, folded, random_market
from tests.projections.quoting import recorded
from tests.projections.test_stretch import Log


@dataclass
class Stored:
    """A view in memory as a ``ProjectionStore``; what happens to it is drawn by ``fates``."""

    log: Sequence[Recorded]
    fates: Random | None = None
    rows: dict[str, bytes] = field(default_factory=dict)
    at: Checkpoint = field(default_factory=lambda: Checkpoint(0, 1))
    asked: list[str] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def lead(self, name: str) -> AsyncIterator[ProjectionStore]:
        yield cast(ProjectionStore, self)

    async def prepare(self, view: View[Any]) -> Checkpoint:
        return self.at

    checkpoint = prepare

    async def resume(self, view: View[Any]) -> None:
        return None

    async def parked(self, view: View[Any]) -> frozenset[int]:
        return frozenset()

    async def get_many(self, view: View[ReturnsRow], keys: Iterable[str]) -> Rows[ReturnsRow]:
        keys = list(keys)
        self.asked += keys
        self._let_something_happen()
        return Rows({key: view.decode(self.rows[key]) for key in keys if key in self.rows}, self.at)

    async def save_page(self, view: View[ReturnsRow], page: Page[ReturnsRow]) -> None:
        self._let_something_happen()
        if page.expected != self.at:
            raise Fenced(f"it is at {self.at}")
        for key, row in page.rows.items():
            self.rows.pop(key, None)
            if row is not None:
                self.rows[key] = view.encode(row)
        self._moved(Checkpoint(page.position, self.at.generation))
        self._let_something_happen()

    def write_elsewhere(self, position: int, generation: int) -> None:
        """Be as another leader, or a rebuild, has left it."""
        self.rows = folded(self.log[:position], 2_000, remembers=True)
        self._moved(Checkpoint(position, generation))

    def _let_something_happen(self) -> None:
        fate = self.fates.randrange(12) if self.fates is not None else 9
        if fate == 0:
            raise StoreUnavailable("the connection is lost")
        if fate == 1 and self.fates is not None:
            self.write_elsewhere(self.fates.randint(self.at.position, len(self.log)), self.at.generation)
        if fate == 2 and self.fates is not None:
            self.write_elsewhere(self.fates.randint(0, len(self.log)), self.at.generation + 1)

    def _moved(self, to: Checkpoint) -> None:
        self.at = to
        if to.position == len(self.log):
            self.done.set()


async def run(store: Stored, *, page_size: int, kept: int = 100_000) -> None:
    """Run a projection until the view has taken the whole log."""
    signals = Signals()
    signals.hear_head(len(store.log))
    runner = Runner(
        projector=replace(RETURNS_PROJECTOR, kept=kept),
        history=Log(list(store.log)),
        leadership=store,
        signals=signals,
        page_size=page_size,
        beat=0.001,
        slowest=0.001,
    )
    task = asyncio.create_task(runner.run())
    try:
        async with asyncio.timeout(60):
            while store.at.position < len(store.log):
                store.done.clear()
                await store.done.wait()
    finally:
        await end(task)


async def test_what_a_page_has_left_is_not_looked_up_again() -> None:
    market = Market().open("P", "1")
    for number in range(20):
        market.update("P", day(0), deposit(str(number + 1)))
    store = Stored(recorded(market.events))
    await run(store, page_size=2)
    assert store.asked == ["portfolio/P"]
    assert store.rows == folded(store.log, 2_000, remembers=True)


async def test_with_no_memory_every_page_looks_up_and_the_rows_are_the_same() -> None:
    log = recorded(random_market(8, 80).events)
    remembering, forgetting = Stored(log), Stored(log)
    await run(remembering, page_size=3)
    await run(forgetting, page_size=3, kept=0)
    assert len(remembering.asked) == len(set(remembering.asked)) < len(forgetting.asked)
    assert remembering.rows == forgetting.rows == folded(log, 2_000, remembers=True)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 9), st.sampled_from([0, 3, 100_000]))
async def test_whatever_happens_to_the_store_the_rows_are_those_of_the_log(
    seed: int, steps: int, page_size: int, kept: int
) -> None:
    """Connections are lost before and after a page is stored, other leaders write, rebuilds set the view back."""
    log = recorded(random_market(seed, steps).events)
    store = Stored(log, Random(seed))
    with capture_logs():
        await run(store, page_size=page_size, kept=kept)
    assert store.rows == folded(log, 2_000, remembers=True)


async def test_a_row_is_encoded_as_it_was_decoded() -> None:
    for body in folded(recorded(random_market(9, 80).events), 7, remembers=False).values():
        assert RETURNS.encode(RETURNS.decode(body)) == body
