"""Booking one execution: into its portfolio, or parked with the reason; for a policy, and because a person asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

import pytest

from domain.base import Event
from domain.errors import KeyReused, NotFound, RuleViolated, StaleVersion, StoreUnavailable
from domain.execution import Booking, Execution, ExecutionBooked, ExecutionBookingParked
from domain.portfolio import SharesBought, Status
from tests.api.memory_log import NOW, MemoryLog
from tests.domain.test_execution_booking import IBM
from tests.write_side.booking import Desk
from tests.write_side.stores import by
from write_side.log import Answer, Context, Remember


def keyed(key: str, request: bytes = b"request") -> Context:
    """A context with an Idempotency-Key; the answer shows where the execution stands."""

    async def answer(execution: Execution, events: Sequence[Event]) -> Answer:
        return Answer(200, execution.booking.encode())

    return by(remember=Remember(caller="tester", key=key, fingerprint=request, answer=answer))


async def test_it_is_booked_in_one_append_with_its_portfolio() -> None:
    desk = Desk()
    log = cast(MemoryLog, desk.log)
    await desk.open()
    await desk.record(1, "BUY", "12.5", average_price=Decimal(4))
    before, context = len(log.contexts), by("ann")
    execution = await desk.book(1, context)
    assert [type(event) for event in log.events[-2:]] == [ExecutionBooked, SharesBought]
    assert log.contexts[before:] == [context]
    assert (execution.version, execution.booking, len(log.events)) == (2, Booking.BOOKED, 4)
    assert ((await desk.portfolio()).cash, (await desk.portfolio()).version) == (Decimal(950), 2)


async def test_booked_again_and_where_nothing_was_filled_nothing_happens() -> None:
    desk = Desk()
    await desk.open()
    await desk.record(1)
    await desk.record(2, filled="0")
    await desk.record(3, filled="0", key="nobody")
    for _ in range(2):
        for number in (1, 2, 3):
            await desk.book(number)
    assert await desk.states(1, 2, 3) == [Booking.BOOKED, Booking.NONE, Booking.NONE]
    assert ((await desk.portfolio()).version, (await desk.portfolio()).cash) == (2, Decimal(950))
    assert await desk.log.head() == 6


async def refused(desk: Desk, case: str) -> None:
    """Record execution 1 of P, such that it is refused for this reason."""
    ahead: dict[str, Any] = {"last_fill": NOW + timedelta(minutes=5, seconds=1)} if case == "ahead" else {}
    if case != "unknown":
        await desk.open(cash="0" if case == "CLOSED" else "1000")
    if case == "short":
        await desk.trade("SHORT", "1")
    if case == "held":
        await desk.trade("BUY", "9")
    if case in Status.__members__:
        await desk.become(case)
    await desk.record(1, "SELL" if case in ("held", "CLOSED") else "BUY", **ahead)


REFUSALS = {
    "held": f"SELL of 10 {IBM}: only 9 are held",
    "short": f"BUY of {IBM}: 1 are short",
    "SUSPENDED": "portfolio P is SUSPENDED: it does not take BUY",
    "LIQUIDATING": "portfolio P is LIQUIDATING: it does not take BUY",
    "CLOSED": "portfolio P is CLOSED: it does not take SELL",
    "unknown": "portfolio P does not exist",
    "ahead": "2025-06-21T10:05:01Z is more than 5 minutes ahead of the clock",
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_what_the_portfolio_does_not_take_is_parked_with_the_reason(case: str) -> None:
    desk = Desk()
    await refused(desk, case)
    head = await desk.log.head()
    for _ in range(2):
        execution = await desk.book(1)
        assert execution.booking is Booking.PARKED
        assert (execution.booking_reason or "").startswith(REFUSALS[case])
    log = cast(MemoryLog, desk.log)
    assert [type(event) for event in log.events[head:]] == [ExecutionBookingParked]


@pytest.mark.parametrize("case", REFUSALS)
async def test_a_person_is_told_the_reason_and_it_is_kept(case: str) -> None:
    desk = Desk()
    await refused(desk, case)
    for _ in range(2):
        with pytest.raises(RuleViolated, match=f"^{REFUSALS[case]}"):
            await desk.again(1, keyed("k"))
    execution = await desk.execution(1)
    assert (execution.version, execution.booking) == (2, Booking.PARKED)


async def test_what_was_refused_is_booked_when_it_is_asked_for_again() -> None:
    desk = Desk()
    await refused(desk, "held")
    await desk.book(1)
    await desk.trade("BUY", "1")
    done = await desk.again(1, keyed("k"))
    again = await desk.again(1, keyed("k"))
    assert (done.answer, done.replayed) == (Answer(200, b"BOOKED"), False)
    assert (again.answer, again.position, again.replayed) == (done.answer, done.position, True)
    assert (await desk.portfolio()).positions == {}
    with pytest.raises(KeyReused):
        await desk.again(1, keyed("k", b"other"))
    for _ in range(2):
        with pytest.raises(RuleViolated, match=r"^execution 1001 is booked already$"):
            await desk.again(1, keyed("another"))


async def test_a_person_is_told_what_cannot_be_booked_at_all() -> None:
    desk = Desk()
    await desk.open()
    await desk.record(1, filled="0")
    head = await desk.log.head()
    for _ in range(2):
        with pytest.raises(RuleViolated, match=r"^nothing of execution 1001 is filled$"):
            await desk.again(1, keyed("k"))
    with pytest.raises(NotFound, match=r"^execution not found$"):
        await desk.again(9)
    assert await desk.log.head() == head


async def test_a_request_that_is_refused_itself_parks_nothing() -> None:
    desk = Desk()
    await refused(desk, "held")
    log = cast(MemoryLog, desk.log)
    with pytest.raises(StaleVersion):
        await desk.again(1, by(expected_version=2))
    await desk.open("Q")
    await desk.record(2, key="Q")
    await desk.again(2, keyed("k"))
    head = len(log.events)
    with pytest.raises(KeyReused):
        await desk.again(1, keyed("k", b"other"))
    assert (len(log.events), await desk.states(1)) == (head, [Booking.NONE])
    with pytest.raises(RuleViolated, match="10"):
        await desk.again(1, by(expected_version=1))
    assert await desk.states(1) == [Booking.PARKED]


@dataclass
class OpensMeanwhile(MemoryLog):
    """A log in which the portfolio is opened by somebody else right after the first execution was parked."""

    cash: str = "1000"

    async def append(self, events: Sequence[Event], context: Context, **rest: Any) -> Any:
        appended = await super().append(events, context, **rest)
        if type(events[0]) is ExecutionBookingParked and self.cash:
            cash, self.cash = self.cash, ""
            await Desk(self).open("P", cash)
        return appended


@pytest.mark.parametrize("by_hand", [False, True])
async def test_a_portfolio_opened_while_its_execution_was_parked_is_seen(by_hand: bool) -> None:
    desk = Desk(OpensMeanwhile())
    await desk.record(1)
    context = by(expected_version=1)
    log = cast(MemoryLog, desk.log)
    await (desk.again(1, context) if by_hand else desk.book(1, context))
    assert [type(event) for event in log.events[-2:]] == [ExecutionBooked, SharesBought]
    assert await desk.states(1) == [Booking.BOOKED]


async def test_what_a_portfolio_opened_meanwhile_does_not_take_is_parked_with_that_reason() -> None:
    desk = Desk(OpensMeanwhile())
    await desk.record(1, "SELL")
    with pytest.raises(RuleViolated, match=r"^SELL of"):
        await desk.again(1, by(expected_version=1))
    assert [(await desk.execution(1)).booking, (await desk.execution(1)).version] == [Booking.PARKED, 3]
    assert ((await desk.execution(1)).booking_reason or "").startswith("SELL of")


@dataclass
class BooksMeanwhile(MemoryLog):
    """A log in which somebody else books the execution right before it is parked."""

    async def append(self, events: Sequence[Event], context: Context, **rest: Any) -> Any:
        if type(events[0]) is ExecutionBookingParked and await self.version("portfolio/P") == 0:
            await Desk(self).open()
            await Desk(self).book(1)
        return await super().append(events, context, **rest)


async def test_what_somebody_else_has_booked_meanwhile_is_not_parked() -> None:
    desk = Desk(BooksMeanwhile())
    await desk.record(1)
    execution = await desk.book(1)
    assert (execution.booking, execution.version) == (Booking.BOOKED, 2)
    desk = Desk(BooksMeanwhile())
    await desk.record(1)
    with pytest.raises(RuleViolated, match=r"^execution 1001 is booked already$"):
        await desk.again(1)


async def test_while_the_log_is_away_nothing_is_parked() -> None:
    desk = Desk()
    await desk.open()
    await desk.record(1)
    cast(MemoryLog, desk.log).failure = StoreUnavailable("away")
    with pytest.raises(StoreUnavailable):
        await desk.book(1)
    assert await desk.states(1) == [Booking.NONE]


async def test_what_is_given_to_a_change_is_as_good_as_what_is_loaded_however_stale() -> None:
    desk = Desk()
    await desk.open()
    await desk.record(1)
    stale = await desk.execution(1)
    await desk.book(1)
    seen: list[int] = []

    def decide(found: Sequence[Any]) -> Sequence[Any]:
        seen.append(found[0].version)
        found[0].park("late", NOW)
        return found

    wanted = [(Execution, "1")]
    done = await desk.store.change_all(wanted, decide, by(), given=[stale])
    assert (seen, done.version) == ([1, 2], 2)
    assert (stale.version, stale.pending_events) == (1, [])
