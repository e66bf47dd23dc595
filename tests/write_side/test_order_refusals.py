"""Orders that are not sent: what is missing, what the portfolio does not take, what has changed, what is open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest

from domain.errors import FoliologError, NotFound, RuleViolated
from domain.execution import TradeType
from domain.order import BlotterBegun, OrdersSent
from domain.portfolio import Portfolio, PositionUpdate, Status, TransactionType
from domain.rebalance import Rebalance
from tests.write_side.desks import BOND, NOW, TECH
from tests.write_side.placing import Placing, told
from tests.write_side.stores import by
from write_side.adapters.service import ServiceUnavailable
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
    await desk.store.change(
        Portfolio, "ACC-1", lambda one: one.update([_fee("89255.5")], NOW, now=NOW), by(), missing=NotFound
    )
    made = await desk.rebalance()  # it has 10,042.5 in cash: 60,049.5 and 29,997 are nearest to their targets
    await desk.become(Status.SUSPENDED)
    with pytest.raises(RuleViolated, match=f"rebalance {made} trades nothing"):
        await desk.send(made)


def _fee(amount: str) -> PositionUpdate:
    return PositionUpdate(transaction_type=TransactionType.FEE, quantity_change=Decimal(amount))


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
    await desk.fill(first, tech="398")
    with pytest.raises(RuleViolated, match="are open"):
        await desk.send(second)
    await desk.fill(first, bonds="0", tech="1", service_id=11)
    done = await desk.send(second)
    assert (told(done), done.version) == ((201, "OPEN 2"), 3)


async def test_fills_of_another_rebalance_have_changed_what_is_held() -> None:
    desk = Placing()
    first = await desk.start()
    second = await desk.rebalance()
    await desk.send(first)
    await desk.fill(first)
    await desk.update("BUY", "303", BOND)
    await desk.update("BUY", "399")
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
