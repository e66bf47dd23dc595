"""From holdings, prices and a model to a problem, and the refusals in their order."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from domain.errors import Invalid, NotFound
from domain.portfolio import Portfolio, PositionUpdate, TransactionType
from domain.prices import Price
from domain.rebalance import (
    Failure,
    MissingPrice,
    NonPositiveMarketValue,
    Options,
    RebalanceRun,
    ShortHolding,
)
from tests.api.memory_log import MemoryLog
from tests.write_side.desks import BOND, MODEL_ID, NOW, POSITIONS, TECH, Desk
from tests.write_side.stores import by
from write_side.holdings import StoredHoldings
from write_side.market_prices import BookPrices
from write_side.ports import Held
from write_side.rebalance.inputs import failure, must_name_known, problem, trade_date

PRICES = {TECH: Decimal("150.5"), BOND: Decimal(99)}


def run_at(**prices: Decimal) -> RebalanceRun:
    run = RebalanceRun.requested(
        "r",
        model_id=MODEL_ID,
        model_name="Growth",
        model_version=1,
        positions=POSITIONS,
        portfolios=("A",),
        options=Options(),
        at=NOW,
    )
    run.price(prices, source="test", price_position=0, trade_date="2025-06-21", at=NOW)
    return run


def holding(cash: str, **quantities: str) -> Held:
    return Held("A", "A", Decimal(cash), {name: Decimal(quantity) for name, quantity in quantities.items()})


@pytest.mark.parametrize(
    ("now", "day"),
    [
        (datetime(2025, 6, 18, 1, 0, tzinfo=UTC), "2025-06-17"),
        (datetime(2025, 1, 15, 4, 59, tzinfo=UTC), "2025-01-14"),
        (datetime(2025, 1, 15, 5, 0, tzinfo=UTC), "2025-01-15"),
    ],
)
def test_the_trade_date_is_the_day_in_new_york(now: datetime, day: str) -> None:
    assert trade_date(now) == day


def test_a_problem_has_a_line_for_all_that_is_held_or_modelled() -> None:
    stated = problem(run_at(**PRICES, X=Decimal(20)), "A", holding("-5.5", X="0.5", GONE="0"))
    assert [line.security_id for line in stated.lines] == [BOND, TECH, "X"]
    assert (stated.cash, stated.market_value) == (Decimal("-5.5"), Decimal("4.5"))
    assert [line.target for line in stated.lines] == [30, 60, 0]


def test_refusals_come_in_their_order() -> None:
    with pytest.raises(NotFound):
        problem(run_at(), "A", None)
    with pytest.raises(ShortHolding) as short:
        problem(run_at(), "A", holding("-100", X="-1", Y="1"))
    assert short.value.securities == ("X",)
    with pytest.raises(MissingPrice) as missing:
        problem(run_at(**{TECH: Decimal(0)}), "A", holding("-100", Y="1"))
    assert missing.value.securities == (BOND, TECH, "Y")
    for held in (holding("-0.01"), holding("-150.5", **{TECH: "1"}), holding("-200", **{TECH: "1"})):
        with pytest.raises(NonPositiveMarketValue):
            problem(run_at(**PRICES), "A", held)
    assert problem(run_at(**PRICES), "A", holding("0")).market_value == 0
    assert problem(run_at(**PRICES), "A", holding("-150.49", **{TECH: "1"})).market_value == Decimal("0.01")


def test_an_option_that_names_a_stranger_is_a_fault() -> None:
    must_name_known(Options(do_not_trade=(TECH,), lot_size={BOND: Decimal(10)}), {TECH, BOND})
    with pytest.raises(Invalid) as invalid:
        must_name_known(Options(do_not_trade=(TECH, "X"), lot_size={"Y": Decimal(10)}), {TECH, BOND})
    assert [fault.pointer for fault in invalid.value.faults] == ["/do_not_trade/1", "/lot_size/Y"]


def test_a_failure_keeps_what_the_refusal_tells() -> None:
    assert failure("A", MissingPrice("no price", ("X",))) == Failure(
        portfolio_id="A", code="missing-price", detail="no price", securities=("X",)
    )


async def test_stored_holdings_are_those_of_the_portfolios_that_exist() -> None:
    desk = Desk(MemoryLog())
    await desk.open(*(f"P{number}" for number in range(60)), cash="5")
    await desk.store.change(
        Portfolio,
        "P7",
        lambda portfolio: portfolio.update(
            [
                PositionUpdate(
                    transaction_type=TransactionType.SHORT,
                    quantity_change=Decimal("2.5"),
                    instrument_id="X",
                    price=Decimal(4),
                )
            ],
            NOW,
            now=NOW,
        ),
        by(),
        missing=lambda: NotFound("P7"),
    )
    held = await StoredHoldings(desk.store).of([*(f"P{number}" for number in range(60)), "NONE"])
    assert len(held) == 60
    assert held["P7"] == Held("P7", "P7", Decimal(15), {"X": Decimal("-2.5")})


class Table:
    """A price table that knows the newest price once it was told to catch up."""

    def __init__(self) -> None:
        self.book: dict[str, Price] = {"A": Price(Decimal(1), NOW), "B": Price(Decimal(5), NOW)}
        self.position = 3

    async def reach(self, position: int, wait: float) -> None:
        raise NotImplementedError

    async def catch_up(self, wait: float) -> None:
        self.book["A"] = Price(Decimal(2), NOW)
        self.position = 4


async def test_every_price_recorded_before_counts() -> None:
    priced = await BookPrices(Table()).of({"A", "NONE"})
    assert (priced.prices, priced.position) == ({"A": Decimal(2)}, 4)
