"""Whatever is told of executions, in whatever order and however often: each is booked once, or parked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.base import Event, Recorded
from domain.execution import Execution
from tests.api.memory_log import MemoryLog
from tests.write_side.booking import BOOKED, NONE, PARKED, Desk, Followed, bookings
from write_side.log import Appended, Context
from write_side.policies import context_of


class Yielding(MemoryLog):
    """A log at which whoever asks lets others go first, so that what runs at once crosses."""

    async def append(self, events: Sequence[Event], context: Context, **rest: Any) -> Appended:
        await asyncio.sleep(0)
        return await super().append(events, context, **rest)

    async def read(self, stream: str, after: int = 0) -> list[Event]:
        await asyncio.sleep(0)
        return await super().read(stream, after)


ROWS = st.lists(
    st.tuples(st.sampled_from(["BUY", "SELL"]), st.integers(0, 9), st.sampled_from("PQ")), min_size=1, max_size=12
)


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, data=st.data())
def test_in_whatever_order_and_however_often_each_is_booked_once_or_parked(
    rows: list[tuple[str, int, str]], data: st.DataObject
) -> None:
    async def run() -> None:
        desk = Followed(Yielding())
        other = Desk(desk.log)
        await desk.record_all(*((number, side, str(filled), key) for number, (side, filled, key) in enumerate(rows, 1)))
        await desk.open("P", "100")
        acts = [bookings(each, desk.known) for each in (desk, other)]
        told = [each for each in await desk.memory.page(0, 10**6) if type(each.event) in acts[0].handles]
        for recorded, second in data.draw(st.lists(st.tuples(st.sampled_from(told), st.booleans()), max_size=30)):
            await acts[second].act(recorded, context_of(recorded))
        await desk.open("Q", "100")
        last: list[Recorded] = data.draw(st.permutations(told))
        await asyncio.gather(
            *(acts[number % 2].act(recorded, context_of(recorded)) for number, recorded in enumerate(last))
        )
        await desk.replay()
        await other.book(1)
        executions = await desk.known.executions()
        for key in "PQ":
            booked = [each for each in executions if each.portfolio_id == key and each.booking is BOOKED]
            paid = sum((_signed(each) for each in booked), Decimal(0))
            portfolio = await desk.portfolio(key)
            assert portfolio.version == 1 + len(booked)
            assert portfolio.cash == 100 - 5 * paid
            assert sum(holding.quantity for holding in portfolio.positions.values()) == paid
        for each in executions:
            assert (each.booking is NONE) == (each.report.quantity_filled == 0)
            assert each.booking is not PARKED or (each.booking_reason or "").startswith("SELL of")

    asyncio.run(run())


def _signed(execution: Execution) -> Decimal:
    filled = execution.report.quantity_filled
    return filled if execution.report.trade_type == "BUY" else -filled
