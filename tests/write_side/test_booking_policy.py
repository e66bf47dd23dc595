"""The policy ``bookings``: what is recorded is booked in order, what had to wait is taken up, nothing twice."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

import pytest

from domain.errors import NotYet
from domain.portfolio import SharesBought, SharesSold
from tests.api.memory_log import NOW, MemoryLog
from tests.write_side.booking import BOOKED, NONE, PARKED, ByLog, Desk, Followed, bookings
from tests.write_side.stores import by
from write_side.asset_allocation import SetAllocation
from write_side.policies import context_of


async def test_rows_of_one_request_are_booked_in_their_order() -> None:
    desk = Followed()
    await desk.open("P")
    await desk.open("Q")
    rows = [(number, "BUY" if number % 4 < 2 else "SELL", "7", "PQ"[number % 2]) for number in range(1, 101)]
    rows[0], rows[1] = (1, "BUY", "7", "Q"), (2, "BUY", "7", "P")
    async with desk.followed():
        await desk.record_all(*rows)
    assert set(await desk.states(*range(1, 101))) == {BOOKED}
    for key in "PQ":
        [first, *rest] = [
            execution.report.trade_type for execution in await desk.known.executions() if execution.portfolio_id == key
        ]
        booked = [
            "BUY" if isinstance(event, SharesBought) else "SELL"
            for event in await desk.log.read(f"portfolio/{key}")
            if isinstance(event, SharesBought | SharesSold)
        ]
        assert booked == [first, *rest]


async def test_it_is_booked_in_the_name_of_who_recorded_it() -> None:
    desk = Followed()
    await desk.open()
    await desk.record(1)
    async with desk.followed():
        pass
    assert desk.memory.contexts[-1].actor == "worker"
    [recorded] = [each for each in await desk.memory.page(0, 9) if each.stream == "execution/1" and each.version == 1]
    assert bookings(desk, None).lane(recorded) == "P"


async def test_what_is_done_again_is_found_done() -> None:
    desk = Followed()
    await desk.open()
    await desk.record(1)
    await desk.record(2, "SELL", "4")
    await desk.record(3, "SELL", "400")
    await desk.record(4, filled="0")
    await desk.record(5, key="nobody")
    async with desk.followed():
        pass
    before, head = await desk.portfolio(), await desk.memory.head()
    assert await desk.states(1, 2, 3, 4, 5) == [BOOKED, BOOKED, PARKED, NONE, PARKED]
    desk.store.forget()
    await desk.replay()
    assert (await desk.portfolio(), await desk.memory.head()) == (before, head)


async def test_where_nothing_was_filled_the_log_is_not_asked() -> None:
    desk = Desk()
    await desk.record(1, filled="0")
    [recorded] = await cast(MemoryLog, desk.log).page(0, 1)
    desk.store = cast(Any, None)
    await bookings(desk, ByLog(cast(MemoryLog, desk.log), desk.log.head)).act(recorded, by())


async def test_a_portfolio_that_is_opened_takes_up_what_waits_for_it_by_execution_id() -> None:
    desk = Followed()
    await desk.record(9)
    await desk.record(2, "SELL", "10")
    await desk.record(5, key="other")
    await desk.record(1, "SELL", "1")
    async with desk.followed():
        await desk.settled()
        assert await desk.states(9, 2, 5, 1) == [PARKED] * 4
        await desk.open()
    assert await desk.states(9, 2, 5, 1) == [BOOKED, BOOKED, PARKED, PARKED]
    assert (await desk.execution(1)).booking_reason == "SELL of 1 IBM000000000000000000000: only 0 are held"
    assert len({context.command_id for context in desk.memory.contexts}) == len(desk.memory.contexts)


async def test_those_that_wait_are_taken_up_page_by_page() -> None:
    desk = Followed()
    for number, side in ((9, "BUY"), (8, "SELL"), (7, "SELL"), (6, "BUY"), (5, "SELL")):
        await desk.record(number, side, "20" if number == 7 else "10")
    async with desk.followed():
        await desk.settled()
        assert await desk.states(9, 8, 7, 6, 5) == [PARKED] * 5
        await desk.open()
    assert await desk.states(9, 8, 7, 6, 5) == [BOOKED, BOOKED, PARKED, BOOKED, BOOKED]
    assert [after for _, after, _ in desk.known.asked] == [0, 2, 4, 5]
    assert desk.known.most == 2
    assert len({at_least for _, _, at_least in desk.known.asked}) == 1


async def test_one_that_is_opened_by_its_target_allocation_takes_them_up_too() -> None:
    desk, half = Followed(), {"stocks": Decimal(50), "bonds": Decimal(50)}
    await desk.record(1)
    async with desk.followed():
        await desk.settled()
        await SetAllocation(user_id="P", allocation=half).handle(desk.store, by(), now=NOW)
    assert await desk.states(1) == [BOOKED]
    assert (await desk.portfolio()).cash == -50


async def test_opened_while_its_executions_are_on_their_way_all_are_booked_in_order() -> None:
    desk = Followed()
    await desk.record_all(*((number, "BUY", "1", "P") for number in range(1, 31)))
    await desk.open()
    await desk.record_all(*((number, "SELL", "1", "P") for number in range(31, 61)))
    async with desk.followed():
        pass
    assert set(await desk.states(*range(1, 61))) == {BOOKED}
    assert ((await desk.portfolio()).cash, (await desk.portfolio()).version) == (Decimal(1000), 61)


async def test_one_recorded_after_the_opening_does_not_go_before_those_that_wait() -> None:
    desk = Followed()
    policy = bookings(desk, desk.known)

    async def act(number: int) -> None:
        for recorded in await desk.memory.page(0, 10**6):
            if recorded.stream == f"execution/{number}" and recorded.version == 1:
                await policy.act(recorded, context_of(recorded))

    await desk.record(1)
    await desk.record(2)
    for number in (1, 2, 2):
        await act(number)
    assert (await desk.states(1, 2), await desk.memory.head()) == ([PARKED, PARKED], 4)
    await desk.open()
    await desk.record(3, "SELL", "20")
    desk.known.behind = 1
    with pytest.raises(NotYet):
        await act(3)
    assert await desk.states(1, 2, 3) == [PARKED, PARKED, PARKED]
    await act(3)
    assert await desk.states(1, 2, 3) == [BOOKED, BOOKED, BOOKED]
    assert (await desk.portfolio()).positions == {}
    asked = len(desk.known.asked)
    await desk.record(4)
    await act(4)
    assert (await desk.states(4), (await desk.execution(4)).version) == ([BOOKED], 2)
    assert len(desk.known.asked) == asked


async def test_the_view_is_waited_for_and_nothing_of_the_portfolio_goes_before() -> None:
    desk = Followed()
    await desk.record(1)
    await desk.open()
    await desk.record(2, "SELL")
    desk.known.behind = 12
    async with desk.followed():
        pass
    assert await desk.states(1, 2) == [BOOKED, BOOKED]
    assert len(desk.known.asked) == 13


async def test_the_view_has_to_include_what_was_parked_before_the_opening_is_seen() -> None:
    desk = Followed()
    await desk.record(1)
    await desk.open()
    async with desk.followed():
        pass
    [(_, _, at_least), *_] = desk.known.asked
    settled = await desk.memory.page(0, 10**6)
    assert any(recorded.stream == "execution/1" and 1 < recorded.position <= at_least for recorded in settled)


async def test_one_that_was_parked_before_a_crash_is_taken_up_by_the_opening() -> None:
    class Killed(Exception):
        """Stands for the end of the process."""

    @dataclass
    class Mortal(MemoryLog):
        lives: int = 2

        async def read(self, stream: str, after: int = 0) -> Any:
            if stream == "portfolio/P" and self.events and self.lives:
                self.lives -= 1
                if not self.lives:
                    raise Killed
            return await super().read(stream, after)

    log = Mortal()
    desk = Desk(log)
    await desk.record(1)
    try:
        await desk.book(1)
    except Killed:
        assert await desk.states(1) == [PARKED]
    assert log.lives == 0
    desk = Followed(log)
    desk.work.checkpoints["bookings"] = await log.head()
    async with desk.followed():
        await desk.open()
    assert await desk.states(1) == [BOOKED]


async def test_switched_off_nothing_is_booked_until_a_person_asks() -> None:
    desk = Followed()
    await desk.record(1)
    async with desk.followed(off=True):
        await desk.open()
        await desk.record(2)
    async with desk.followed():
        await desk.record(3)
    assert await desk.states(1, 2, 3) == [NONE, NONE, BOOKED]
    await desk.again(1)
    assert await desk.states(1, 2, 3) == [BOOKED, NONE, BOOKED]
