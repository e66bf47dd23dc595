"""Orders that are not sent: what is missing, what the portfolio does not take, what has changed, what is open."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest

from domain.errors import FoliologError, NotFound, RuleViolated
from domain.execution import ExecutionRecorded, TradeType
from domain.order import BlotterBegun, OrdersSent
from domain.portfolio import Portfolio, PositionUpdate, Status, TransactionType
from domain.rebalance import Rebalance
from read_side.order import SHOWN
from tests.projections.ordering import booked, executed, not_looked_up
from tests.write_side.desks import BOND, NOW, TECH
from tests.write_side.placing import Placing, told
from tests.write_side.stores import by
from write_side.adapters.service import ServiceUnavailable
from write_side.order import OrdersKnown, Standing, Unbooked
from write_side.ports import Held
from write_side.rebalance import DeleteRebalance, RebalancePortfolio


async def test_what_is_not_there_has_no_orders() -> None:
    desk = Placing()
    made = await desk.start()
    for missing in ("0" * 24, "x", "../x\0", made[:-1]):
        with pytest.raises(NotFound, match="does not exist"):
            await desk.send(missing)
        with pytest.raises(NotFound, match="does not exist"):
            await desk.cancel(missing)
    with pytest.raises(NotFound, match="were not sent"):
        await desk.cancel(made)
    await DeleteRebalance(rebalance_id=made).handle(desk.store, by(), now=NOW)
    with pytest.raises(NotFound, match="does not exist"):
        await desk.send(made)
    assert desk.new(BlotterBegun) == []


async def test_nothing_to_trade() -> None:
    desk = Placing()
    await desk.start()
    await desk.update("BUY", "399")
    await desk.update("BUY", "303", BOND)
    await _cash(desk, TransactionType.FEE, "89255.5")
    made = await desk.rebalance()  # it has 10,042.5 in cash: 60,049.5 and 29,997 are nearest to their targets
    await desk.become(Status.SUSPENDED)
    with pytest.raises(RuleViolated, match=f"rebalance {made} trades nothing"):
        await desk.send(made)


async def _cash(desk: Placing, kind: TransactionType, amount: str) -> None:
    update = PositionUpdate(transaction_type=kind, quantity_change=Decimal(amount))
    await desk.store.change(Portfolio, "ACC-1", lambda one: one.update([update], NOW, now=NOW), by(), missing=NotFound)


@pytest.mark.parametrize("status", [Status.SUSPENDED, Status.LIQUIDATING])
async def test_a_portfolio_that_does_not_take_the_trades_gets_no_orders(status: Status) -> None:
    desk = Placing()
    made = await desk.start()
    await desk.become(status)
    if status is Status.SUSPENDED:  # which goes before what it holds
        await desk.update("IN", "12")
    with pytest.raises(RuleViolated, match=f"portfolio ACC-1 is {status}"):
        await desk.send(made)
    assert desk.new(BlotterBegun) == []


async def test_a_portfolio_that_is_liquidated_may_sell() -> None:
    desk = Placing()
    await desk.start()
    await desk.update("IN", "4053")
    await desk.update("IN", "3073", BOND)
    await desk.become(Status.LIQUIDATING)
    made = await desk.rebalance()  # of 1,014,203.5 are 60 percent 4,043 of TECH and 30 percent 3,073 of BOND
    assert told(await desk.send(made)) == (201, "OPEN 1")
    (sent,) = desk.new(OrdersSent)
    assert isinstance(sent, OrdersSent)
    (order,) = sent.orders
    assert (order.transaction_type, order.security_id, order.quantity) == (TradeType.SELL, TECH, Decimal(10))


async def test_what_is_held_has_to_be_as_it_was() -> None:
    desk = Placing()
    made = await desk.start()
    await desk.update("IN", "12.5")
    with pytest.raises(RuleViolated, match=rf"{TECH} \(0 then, 12.5 now\); rebalance it again"):
        await desk.send(made)
    await desk.update("OUT", "12.5")
    assert told(await desk.send(made))[0] == 201


async def test_one_set_of_orders_is_open_at_a_time() -> None:
    desk = Placing()
    first = await desk.start()
    second = await desk.rebalance()
    await desk.send(first)
    with pytest.raises(RuleViolated, match=f"are open, those of rebalance {first}"):
        await desk.send(second)
    await desk.fill(first, bonds="301", tech="396")
    await desk.book(1, 2)
    second = await desk.rebalance()
    with pytest.raises(RuleViolated, match="are open"):
        await desk.send(second)
    await desk.fill(first, bonds="2", tech="3", service_id=11)
    await desk.book(11, 12)
    await _cash(desk, TransactionType.DEP, "50000")
    done = await desk.send(await desk.rebalance())
    assert (told(done), done.version) == ((201, "OPEN 2"), 3)


async def test_nothing_is_sent_while_a_fill_of_the_last_orders_is_not_booked() -> None:
    """Not even from a rebalance of what is held now, which is what was held before the fills: it would buy twice."""
    desk = Placing()
    first = await desk.start()
    await desk.send(first)
    await desk.fill(first)
    second = await desk.rebalance()
    said = f"execution .* names order {first}-{{}} and is not booked: {{}}; book it first, POST /api/v1/executions/"
    with pytest.raises(RuleViolated, match=said.format(1, "NONE")) as caught:
        await desk.send(second)
    assert str(caught.value).endswith(f"/executions/{_first_fill(desk)}/book")
    await desk.become(Status.SUSPENDED)
    await desk.book(1, 2)
    await desk.become(Status.ACTIVE)
    with pytest.raises(RuleViolated, match=said.format(1, "PARKED: portfolio ACC-1 is SUSPENDED.*")):
        await desk.send(second)
    await desk.book(1)
    with pytest.raises(RuleViolated, match=said.format(2, "PARKED.*")):
        await desk.send(second)
    assert told(await desk.send(first)) == (200, "FILLED 2")
    await desk.book(2)
    with pytest.raises(RuleViolated, match="does not hold any more"):
        await desk.send(second)
    assert len(desk.new(OrdersSent)) == 1


async def test_nothing_is_sent_while_a_fill_is_not_recorded_because_its_look_up_failed() -> None:
    """The desk has filled it, and the portfolio will have it once it is looked up: it would be bought twice."""
    desk = Placing()
    first = await desk.start()
    await desk.send(first)
    *failed, ended = not_looked_up(1, f"{first}-2", recorded=True)
    await desk.execute(*failed)
    await desk.cancel(first)
    second = await desk.rebalance()
    said = f"executionServiceId 1 names order {first}-2 and is not recorded, the look-up of its portfolio failed: away;"
    with pytest.raises(RuleViolated, match=said):
        await desk.send(second)
    await desk.execute(executed(1, f"{first}-2", "1", "150.5"), ended)
    with pytest.raises(RuleViolated, match="is not booked: NONE"):
        await desk.send(second)
    await desk.book(1)
    with pytest.raises(RuleViolated, match="does not hold any more"):
        await desk.send(second)


def _first_fill(desk: Placing) -> int:
    return 1 + next(at for at, event in enumerate(desk.memory.events) if isinstance(event, ExecutionRecorded))


@pytest.mark.parametrize(
    "late",
    [{}, {"side": "SELL"}, {"security_id": BOND}, {"line": 9}],
    ids=["counted", "other side", "other security", "no such order"],
)
async def test_late_and_mismatched_fills_of_cancelled_orders_have_to_be_booked_too(late: dict[str, Any]) -> None:
    desk = Placing()
    first = await desk.start()
    await desk.update("IN", "1")
    await desk.update("OUT", "1")
    await desk.send(first)
    await desk.cancel(first)
    second = await desk.rebalance()
    order_id = f"{first}-{late.get('line', 2)}"
    others = {name: value for name, value in late.items() if name != "line"}
    await desk.execute(executed(1, order_id, "0", "150.5", **others))
    [late_one] = await desk.execute(executed(2, order_id, "5", "150.5", **others))
    with pytest.raises(RuleViolated, match=f"execution {late_one} names order {order_id} and is not booked"):
        await desk.send(second)
    await desk.execute(booked(2))
    assert told(await desk.send(second)) == (201, "OPEN 2")


async def test_late_fills_of_older_orders_have_to_be_booked_too() -> None:
    desk = Placing()
    first, second = await desk.start(), await desk.rebalance()
    for each in (first, second):
        await desk.send(each)
        await desk.cancel(each)
    [late] = await desk.execute(executed(1, f"{first}-2", "5", "1"))
    with pytest.raises(RuleViolated, match=f"execution {late} names order {first}-2"):
        await desk.send(await desk.rebalance())


@dataclass
class JustBooked:
    """``OrdersKnown`` of a desk; executions are booked at the moment in which it is asked which are not."""

    desk: Placing
    known: OrdersKnown

    async def standing(self, rebalance_ids: Collection[str], at_least: int) -> Mapping[str, Standing]:
        return await self.known.standing(rebalance_ids, at_least)

    async def unbooked(self, portfolio_id: str, at_least: int) -> Unbooked | None:
        await self.desk.book(1, 2)
        return await self.known.unbooked(portfolio_id, await self.desk.memory.head())


async def test_what_is_booked_meanwhile_is_in_the_holdings_that_are_compared() -> None:
    desk = Placing()
    first = await desk.start()
    await desk.send(first)
    await desk.fill(first)
    second = await desk.rebalance()
    desk.orders = replace(desk.orders, known=JustBooked(desk, desk.orders.known))
    with pytest.raises(RuleViolated, match=rf"{BOND} \(0 then, 303 now\)"):
        await desk.send(second)


async def test_fills_beyond_those_that_are_shown_are_not_forgotten() -> None:
    desk = Placing()
    first = await desk.start()
    await desk.send(first)
    await desk.cancel(first)
    second, count = await desk.rebalance(), 2 * SHOWN
    ids = await desk.execute(*(executed(number, f"{first}-2", "1", "1") for number in range(1, count + 1)))
    await desk.execute(*(booked(number) for number in range(1, count)))
    with pytest.raises(RuleViolated, match=f"execution {ids[-1]} names order"):
        await desk.send(second)


async def test_fills_of_other_portfolios_and_where_nothing_books_them_are_not_waited_for() -> None:
    desk = Placing()
    first = await desk.start()
    await desk.send(first)
    await desk.cancel(first)
    second = await desk.rebalance()
    await desk.execute(executed(1, f"{first}-2", "5", "1", portfolio_id="ACC-2"), executed(2, "DESK-1", "5", "1"))
    assert told(await desk.send(second)) == (201, "OPEN 2")
    await desk.cancel(second)
    await desk.execute(executed(3, f"{second}-2", "5", "1"))
    third = await desk.rebalance()
    with pytest.raises(RuleViolated, match="is not booked"):
        await desk.send(third)
    desk.orders = replace(desk.orders, booked=False)
    assert told(await desk.send(third)) == (201, "OPEN 2")


async def test_fills_of_another_rebalance_have_changed_what_is_held() -> None:
    desk = Placing()
    first = await desk.start()
    second = await desk.rebalance()
    await desk.send(first)
    await desk.fill(first)
    await desk.book(1, 2)
    with pytest.raises(RuleViolated, match=rf"{BOND} \(0 then, 303 now\), {TECH} \(0 then, 399 now\)"):
        await desk.send(second)


@dataclass
class Elsewhere:
    """``Holdings`` of another service."""

    told: dict[str, Held | FoliologError] = field(default_factory=dict)

    async def of(self, portfolio_ids: Sequence[str]) -> Mapping[str, Held | FoliologError]:
        return {name: held for name, held in self.told.items() if name in portfolio_ids}


async def test_a_portfolio_of_another_service_has_no_status_here() -> None:
    desk = Placing()
    elsewhere = Elsewhere({"FUND": Held("FUND", "Fund", Decimal(100_000), {})})
    desk.orders = replace(desk.orders, holdings=elsewhere)
    desk.runs = replace(desk.runs, means=replace(desk.runs.means, holdings=elsewhere))
    await desk.model("FUND")
    outcome = await RebalancePortfolio(portfolio_id="FUND").handle(desk.runs, by())
    assert outcome.results is not None
    made = outcome.results[0]
    assert isinstance(made, Rebalance)
    away = ServiceUnavailable("accounting is away")
    for held, refusal in (
        (away, "is away"),
        (Held("FUND", "Fund", Decimal(1), {"X": Decimal(2)}), r"X \(0 then, 2 now\)"),
        (None, "what it holds is not known"),
    ):
        elsewhere.told = {} if held is None else {"FUND": held}
        with pytest.raises(type(held) if held is away else RuleViolated, match=refusal):
            await desk.send(made.rebalance_id)
    elsewhere.told = {"FUND": Held("FUND", "Fund", Decimal(5), {"X": Decimal(0)})}
    assert told(await desk.send(made.rebalance_id)) == (201, "OPEN 2")
