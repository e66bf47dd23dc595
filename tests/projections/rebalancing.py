"""Runs and rebalances that hold, as events of the aggregates themselves, and random logs of them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal

from domain.base import Event
from domain.investment_model import ModelPosition
from domain.rebalance import (
    Answer,
    BoundBy,
    Certificate,
    Failure,
    Options,
    Problem,
    Proof,
    Rebalance,
    RebalanceRun,
    objective,
    problem_of,
)

NOW = datetime(2025, 6, 21, 10, tzinfo=UTC)
TECH, BOND, GOLD = "TECH123456789012345678AB", "BOND123456789012345678CD", "GOLD123456789012345678EF"
MODEL = "5f1d7a0c2b9e4f6d8a3c1e07"
PRICES = {TECH: Decimal("150.3383"), BOND: Decimal("99.5"), GOLD: Decimal("0.00012345")}
POSITIONS = (
    ModelPosition(TECH, Decimal(60), Decimal(5), Decimal(5)),
    ModelPosition(BOND, Decimal("30.005"), Decimal(3), Decimal("2.5")),
)


def run_id(number: int) -> str:
    return f"{number:032x}"


def a_run(
    number: int = 1,
    portfolios: Sequence[str] = ("ACC-1",),
    *,
    asynchronous: bool = False,
    prices: Mapping[str, Decimal] | None = PRICES,
    options: Options | None = None,
    at: datetime = NOW,
) -> RebalanceRun:
    """A run over these portfolios, with prices unless they are None; its events are still pending."""
    run = RebalanceRun.requested(
        run_id(number),
        model_id=MODEL,
        model_name='Größe "1"',
        model_version=3,
        positions=POSITIONS,
        portfolios=portfolios,
        options=options or Options(),
        asynchronous=asynchronous,
        at=at,
    )
    if prices is not None:
        run.price(dict(prices), source="book", price_position=7, trade_date="2025-06-21", at=at)
    return run


def a_rebalance(
    run: RebalanceRun,
    portfolio_id: str = "ACC-1",
    cash: str = "100000",
    held: Mapping[str, str] | None = None,
    at: datetime = NOW,
) -> Rebalance:
    """The result for a portfolio: of each security as many whole ones as its target pays for, which hold."""
    quantities = {name: Decimal(quantity) for name, quantity in (held or {}).items()}
    problem = problem_of(Decimal(cash), quantities, run.positions, run.prices or {}, run.options)
    made = tuple(
        (problem.market_value * line.target / 100 / line.price).to_integral_value(ROUND_FLOOR) for line in problem.lines
    )
    return Rebalance.recorded(run, portfolio_id, f"Portfolio {portfolio_id}", problem, answer(problem, made), at)


def answer(problem: Problem, quantities: tuple[Decimal, ...]) -> Answer:
    """These quantities with the certificate of the nearest ones."""
    reached = objective(problem, quantities)
    certificate = Certificate(
        status=Proof.OPTIMAL,
        minimises="deviation",
        objective=reached,
        lower_bound=reached,
        gap=Decimal(0),
        bound_by=BoundBy.SEPARABILITY,
        method="nearest",
        input_sha256=problem.digest,
    )
    return Answer(quantities, certificate)


def failure(portfolio_id: str = "ACC-9") -> Failure:
    return Failure(portfolio_id, "not-found", f"portfolio {portfolio_id} does not exist")


def whole(number: int = 1, portfolios: Sequence[str] = ("ACC-1",), *, asynchronous: bool = False) -> list[Event]:
    """A run over portfolios, all of which have a result, from its request to its end."""
    run = a_run(number, portfolios, asynchronous=asynchronous)
    events = list(run.collect_events())
    for portfolio_id in portfolios:
        events += a_rebalance(run, portfolio_id).collect_events()
    run.finish((), NOW)
    return [*events, *run.collect_events()]


def random_rebalances(seed: int, runs: int) -> list[Event]:
    """A log of so many runs at once, in any order but each its own; some fail, some never end, some are deleted."""
    choose = random.Random(seed)
    lives = [_life(choose, number) for number in range(1, runs + 1)]
    events: list[Event] = []
    while lives:
        life = choose.choice(lives)
        events.append(life.pop(0))
        if not life:
            lives.remove(life)
    return events


def _life(choose: random.Random, number: int) -> list[Event]:
    portfolios = [f"ACC-{each}" for each in choose.sample(range(12), choose.randrange(1, 6))]
    run = a_run(number, portfolios, asynchronous=choose.random() < 0.5, prices=None, at=NOW + timedelta(hours=number))
    events = list(run.collect_events())
    if choose.random() < 0.1:
        return events
    run.price(PRICES, source="book", price_position=number, trade_date="2025-06-21", at=NOW)
    events += run.collect_events()
    failed = []
    for portfolio_id in portfolios:
        if choose.random() < 0.2:
            failed.append(failure(portfolio_id))
            continue
        held = {GOLD: f"{choose.randrange(10**6)}.5"} if choose.random() < 0.5 else {}
        rebalance = a_rebalance(run, portfolio_id, str(choose.randrange(10**4, 10**9)), held)
        if choose.random() < 0.3:
            rebalance.delete(NOW)
        events += rebalance.collect_events()
    if choose.random() < 0.8:
        run.finish(failed, NOW)
    return [*events, *run.collect_events()]
