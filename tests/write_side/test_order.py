"""The commands on orders: what is sent once, told again, and cancelled; two at once, keys and conditions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from domain.base import Aggregate, Event
from domain.errors import NotFound, NotYet, RuleViolated, StaleVersion
from domain.order import BlotterBegun, OrdersCancelled, OrdersSent
from domain.portfolio import Status
from read_side.order import Standing as Known
from tests.api.memory_log import MemoryLog
from tests.write_side.desks import BOND, NOW, TECH, keyed
from tests.write_side.placing import Placing, told
from tests.write_side.stores import by
from write_side.event_store import Done
from write_side.log import ANY_VERSION, Answer, Appended, Context
from write_side.order import Unbooked
from write_side.rebalance import DeleteRebalance


class Meeting(MemoryLog):
    """A log whose next two appends come in at the same moment, once ``barrier`` is set."""

    barrier: asyncio.Barrier | None = None

    async def append(
        self, events: Sequence[Event], context: Context, *, answer: Answer | None = None, version: int = 0
    ) -> Appended:
        if self.barrier is not None:
            met, self.barrier = self.barrier, self.barrier if self.barrier.n_waiting == 0 else None
            await met.wait()
        return await super().append(events, context, answer=answer, version=version)


async def at_once(log: Meeting, *sends: Awaitable[Done[Aggregate]]) -> list[Any]:
    """Let both decide before one of them is stored; return what each has come to."""
    log.barrier = asyncio.Barrier(2)
    return await asyncio.gather(*sends, return_exceptions=True)


async def test_orders_are_sent_once() -> None:
    desk = Placing()
    made = await desk.start()
    before = len(desk.memory.events)
    done = await desk.send(made)
    assert (told(done), done.version, done.position) == ((201, "OPEN 2"), 2, before + 2)
    begun, sent = desk.memory.events[before:]
    assert isinstance(begun, BlotterBegun)
    assert isinstance(sent, OrdersSent)
    assert (sent.originator_id, sent.rebalance_id, sent.timestamp) == ("orders/ACC-1", made, NOW)
    shown = [(order.order_id, str(order.transaction_type), order.security_id, str(order.quantity), str(order.price))
             for order in sent.orders]  # fmt: skip
    assert shown == [(f"{made}-1", "BUY", BOND, "303", "99"), (f"{made}-2", "BUY", TECH, "399", "150.5")]
    again = await desk.send(made)
    assert (told(again), again.version, again.position) == ((200, "OPEN 2"), 2, before + 2)
    assert len(desk.memory.events) == before + 2


async def test_asked_for_again_they_are_told_whatever_came_since() -> None:
    desk = Placing()
    made = await desk.start()
    await desk.send(made)
    await desk.fill(made, tech="100")
    await desk.update("BUY", "100")
    await desk.become(Status.SUSPENDED)
    assert told(await desk.send(made)) == (200, "OPEN 2")
    await desk.cancel(made)
    await DeleteRebalance(rebalance_id=made).handle(desk.store, by(), now=NOW)
    assert told(await desk.send(made)) == (200, "CANCELLED 2")
    await desk.fill(made, tech="299", service_id=11)
    assert told(await desk.send(made)) == (200, "FILLED 2")
    assert len(desk.new(OrdersSent)) == 1


async def test_orders_that_are_not_the_last_are_told_again_too() -> None:
    desk = Placing()
    first = await desk.start()
    second = await desk.rebalance()
    await desk.send(first)
    await desk.cancel(first)
    assert told(await desk.send(second)) == (201, "OPEN 2")
    again = await desk.send(first)
    assert (told(again), again.version) == ((200, "CANCELLED 2"), 4)
    with pytest.raises(RuleViolated, match="are CANCELLED"):
        await desk.cancel(first)
    assert len(desk.new(OrdersSent, OrdersCancelled)) == 3


async def test_a_key_gives_the_first_answer_again() -> None:
    desk = Placing()
    made = await desk.start()
    first = await desk.send(made, keyed("k"))
    await desk.update("IN", "1")
    await desk.cancel(made, keyed("c"))
    again = await desk.send(made, keyed("k"))
    assert (told(again), again.replayed, again.position) == (told(first), True, first.position)
    assert told(await desk.send(made, keyed("other"))) == (200, "CANCELLED 2")
    assert told(await desk.send(made, keyed("other"))) == (200, "CANCELLED 2")
    assert (await desk.cancel(made, keyed("c"))).replayed


async def test_a_condition_is_about_the_blotter() -> None:
    desk = Placing()
    made = await desk.start()
    with pytest.raises(NotFound, match=r"If-Match: \* could match"):
        await desk.send(made, by(expected_version=ANY_VERSION))
    with pytest.raises(StaleVersion) as caught:
        await desk.send(made, by(expected_version=1))
    assert caught.value.current == 0
    await desk.send(made)
    for version in (1, 3):
        with pytest.raises(StaleVersion):
            await desk.send(made, by(expected_version=version))
        with pytest.raises(StaleVersion):
            await desk.cancel(made, by(expected_version=version))
    assert told(await desk.send(made, by(expected_version=2)))[0] == 200
    assert told(await desk.send(made, by(expected_version=ANY_VERSION)))[0] == 200
    assert (await desk.cancel(made, by(expected_version=2))).version == 3


async def test_what_is_open_is_cancelled_once() -> None:
    desk = Placing()
    made = await desk.start()
    await desk.send(made)
    await desk.fill(made, tech="100")
    done = await desk.cancel(made)
    assert (told(done), done.version) == ((201, "CANCELLED 2"), 3)
    with pytest.raises(RuleViolated, match=f"the orders of rebalance {made} are CANCELLED"):
        await desk.cancel(made)
    assert len(desk.new(OrdersCancelled)) == 1


async def test_what_is_completely_filled_is_not_cancelled() -> None:
    desk = Placing()
    made = await desk.start()
    await desk.send(made)
    await desk.fill(made)
    with pytest.raises(RuleViolated, match="are FILLED: none is open"):
        await desk.cancel(made)


@dataclass
class Asked:
    """``OrdersKnown`` that is behind; it remembers the positions that it was asked for."""

    positions: list[int] = field(default_factory=list)

    async def standing(self, rebalance_ids: Collection[str], at_least: int) -> Mapping[str, Known]:
        self.positions.append(at_least)
        raise NotYet("orders", at_least, 0)

    async def unbooked(self, portfolio_id: str, at_least: int) -> Unbooked | None:
        self.positions.append(at_least)
        raise NotYet("orders", at_least, 0)


async def test_the_view_has_to_include_the_head_of_the_log() -> None:
    desk = Placing()
    first, second = await desk.start(), await desk.rebalance()
    await desk.send(first, keyed("k"))
    behind = Asked()
    desk.orders = replace(desk.orders, known=behind)
    head = await desk.memory.head()
    for asked in (desk.send(second), desk.send(first), desk.cancel(first)):
        with pytest.raises(NotYet):
            await asked
    assert behind.positions == [head] * 3
    new = Placing()
    made = await new.start()
    new.orders = replace(new.orders, known=behind)
    with pytest.raises(NotYet):  # also before the first orders: something may be filled already
        await new.send(made)
    assert behind.positions[3:] == [await new.memory.head()]
    assert (await desk.send(first, keyed("k"))).replayed  # for which no view is asked


async def test_of_two_rebalances_sent_at_once_one_is() -> None:
    log = Meeting()
    one, other = Placing(log), Placing(log)
    first, second = await one.start(), await one.rebalance()
    found = await at_once(log, one.send(first), other.send(second))
    assert sorted(type(each).__name__ for each in found) == ["Done", "RuleViolated"]
    assert len(one.new(OrdersSent)) == len(one.new(BlotterBegun)) == 1


async def test_one_rebalance_sent_twice_at_once_is_sent_once() -> None:
    log = Meeting()
    one, other = Placing(log), Placing(log)
    made = await one.start()
    found = await at_once(log, one.send(made), other.send(made))
    assert sorted(told(each) for each in found) == [(200, "OPEN 2"), (201, "OPEN 2")]
    assert len(one.new(OrdersSent)) == 1


async def test_a_blotter_that_another_process_has_changed_is_not_decided_on() -> None:
    one = Placing()
    first, second = await one.start(), await one.rebalance()
    other = Placing(one.memory)
    await one.send(first)
    await other.cancel(first)
    assert told(await one.send(second)) == (201, "OPEN 2")
    with pytest.raises(RuleViolated, match=f"those of rebalance {second}"):
        await other.send(await one.rebalance())
