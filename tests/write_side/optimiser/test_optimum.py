"""The optimiser against enumeration: the least objective, infeasible exactly when nothing fits, and nothing left to do.

And on prices from a cent to half a million, in portfolios of up to a million millions: not one violation, by a check in
fractions that shares nothing with the optimiser.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest
import pytest_asyncio
from msgspec import structs

from benchmarks.portfolios import is_infeasible, violations, wide
from domain.rebalance import Answer, BoundBy, Infeasible, Line, Mode, OnInfeasible, Options, Problem, Proof
from domain.values import EXACT, ZERO
from tests.write_side.optimiser.answers import opened
from tests.write_side.optimiser.instances import name, pinched, small
from tests.write_side.optimiser.oracle import CENT, Oracle
from write_side.optimiser.chain import ExactOptimiser

Found = Answer | Infeasible


@pytest_asyncio.fixture(scope="module")
async def optimiser() -> AsyncIterator[ExactOptimiser]:
    async with opened() as found:
        yield found


def quantities_of(answer: Answer) -> list[Fraction]:
    return [Fraction(quantity) for quantity in answer.quantities]


def expect_optimum(problem: Problem, oracle: Oracle, found: Found) -> str:
    """Assert that this is the right answer to the problem; return what kind it is."""
    least = oracle.least()
    if least is None:
        assert isinstance(found, Infeasible), problem
        return "infeasible"
    assert isinstance(found, Answer), problem
    quantities, certificate = quantities_of(found), found.certificate
    reached, bound = oracle.objective(quantities), Fraction(certificate.lower_bound)
    assert oracle.feasible(quantities), problem
    assert reached - least <= CENT, (problem, found)
    assert certificate.status is Proof.OPTIMAL, (problem, found)
    assert Fraction(certificate.objective) == reached
    assert bound <= least, (problem, found)
    assert Fraction(certificate.gap) == reached - bound <= CENT
    assert certificate.input_sha256 == problem.digest
    nearest = oracle.nearest()
    assert nearest is not None
    if oracle.spent(nearest) > oracle.budget:
        return "binding"
    held = [Fraction(line.held) for line in problem.lines]
    assert quantities == nearest or (quantities == held and reached - least <= CENT), (problem, found)
    return "free"


def after(problem: Problem, answer: Answer) -> Problem:
    """Return the problem of the portfolio as it is when all has been traded."""
    lines = tuple(
        structs.replace(line, held=quantity) for line, quantity in zip(problem.lines, answer.quantities, strict=True)
    )
    cost = Problem(ZERO, lines).market_value
    return structs.replace(problem, cash=EXACT.subtract(problem.market_value, cost), lines=lines)


@pytest.mark.parametrize(("make", "count"), [(small, 1_500), (pinched, 700)], ids=["any", "cash binds"])
async def test_the_answer_is_the_best_that_enumeration_finds(
    optimiser: ExactOptimiser, make: object, count: int
) -> None:
    assert callable(make)
    random = Random(20250621)
    problems: list[Problem] = [make(random) for _ in range(count)]
    found = await optimiser.solve(problems)
    kinds = Counter(
        expect_optimum(problem, Oracle(problem), answer) for problem, answer in zip(problems, found, strict=True)
    )
    if make is pinched:
        assert kinds["binding"] > count * 0.9
    else:
        assert min(kinds["infeasible"], kinds["free"]) > count // 4


@pytest.mark.parametrize("make", [small, pinched], ids=["any", "cash binds"])
async def test_a_second_run_trades_nothing(optimiser: ExactOptimiser, make: object) -> None:
    """But where small trades are not made: other ones are small then, so that a better quantity may be in reach."""
    assert callable(make)
    random = Random(4)
    problems: list[Problem] = [make(random) for _ in range(700)]
    first = await optimiser.solve(problems)
    again = [after(asked, found) for asked, found in zip(problems, first, strict=True) if isinstance(found, Answer)]
    still = 0
    for problem, answer in zip(again, await optimiser.solve(again), strict=True):
        assert isinstance(answer, Answer), problem
        held = tuple(line.held for line in problem.lines)
        still += answer.quantities == held
        if answer.quantities != held:
            oracle = Oracle(problem)
            assert problem.options.min_trade, (problem, answer)
            assert oracle.objective(quantities_of(answer)) < oracle.objective(list(map(Fraction, held))) - CENT
    assert still > max(200, len(again) * 0.97)


async def test_the_same_problem_always_has_the_same_answer(optimiser: ExactOptimiser) -> None:
    random = Random(8)
    problems = [pinched(random) for _ in range(300)]
    together = await optimiser.solve(problems)
    backwards = await optimiser.solve(problems[::-1])
    for one, other in zip(together, backwards[::-1], strict=True):
        if isinstance(one, Answer):
            assert one == other
        else:
            assert isinstance(other, Infeasible)
            assert one.explanation == other.explanation


async def test_nearest_is_asked_only_where_nothing_fits_and_cash_and_options_hold(optimiser: ExactOptimiser) -> None:
    random = Random(15)
    makes = (small, pinched)
    problems = [random.choice(makes)(random, on_infeasible=OnInfeasible.NEAREST) for _ in range(800)]
    kinds: Counter[str] = Counter()
    for problem, found in zip(problems, await optimiser.solve(problems), strict=True):
        oracle = Oracle(problem)
        if oracle.least() is not None:
            kinds[expect_optimum(problem, oracle, found)] += 1
            continue
        soft = Oracle(problem, banded=False)
        least = soft.least_breach()
        if least is None:
            assert isinstance(found, Infeasible), problem
            kinds["impossible"] += 1
            continue
        assert isinstance(found, Answer), problem
        quantities, certificate = quantities_of(found), found.certificate
        assert certificate.status is Proof.NEAREST
        assert soft.feasible(quantities), (problem, found)
        breach = soft.breaches(quantities)
        assert breach == Fraction(certificate.objective)
        assert breach == sum(Fraction(violation.by) for violation in certificate.breaches)
        assert Fraction(certificate.lower_bound) <= least <= breach <= least + CENT, (problem, found)
        kinds["nearest"] += 1
    assert min(kinds["nearest"], kinds["impossible"]) > 20


# --- wide ranges -----------------------------------------------------------------------------------------------------


async def test_wide_ranges_are_never_violated_nor_called_infeasible(optimiser: ExactOptimiser) -> None:
    problems = [wide(seed, binding=0.03) for seed in range(10_000)]
    kinds: Counter[str] = Counter()
    for start in range(0, len(problems), 500):
        portion = problems[start : start + 500]
        for problem, found in zip(portion, await optimiser.solve(portion), strict=True):
            if isinstance(found, Infeasible):
                assert is_infeasible(problem), problem
                kinds["infeasible"] += 1
                continue
            assert violations(problem, found.quantities) == [], (problem, found)
            kinds[found.certificate.status] += 1
            kinds["bound"] += found.certificate.bound_by is not BoundBy.SEPARABILITY
    assert kinds["infeasible"] > 200
    assert kinds["bound"] > 50
    assert kinds[Proof.OPTIMAL] > 9_000


async def test_what_cannot_be_proved_says_so_and_how_far_it_may_be_off(optimiser: ExactOptimiser) -> None:
    for found in await optimiser.solve([wide(seed, binding=0.5) for seed in range(10_000, 10_120)]):
        if isinstance(found, Answer):
            certificate = found.certificate
            assert certificate.gap == EXACT.subtract(certificate.objective, certificate.lower_bound) >= 0
            assert (certificate.status is Proof.OPTIMAL) == (certificate.gap <= Decimal("0.01"))


# --- examples --------------------------------------------------------------------------------------------------------


async def test_nothing_held_and_nothing_worth_is_an_answer_without_trades(optimiser: ExactOptimiser) -> None:
    problem = Problem(ZERO, (Line(name(0), Decimal(10), ZERO, Decimal(50), Decimal(5), Decimal(5)),))
    (found,) = await optimiser.solve([problem])
    assert isinstance(found, Answer)
    assert found.quantities == (ZERO,)
    assert await optimiser.solve([]) == []


async def test_a_model_without_positions_sells_everything(optimiser: ExactOptimiser) -> None:
    lines = (Line(name(0), Decimal("10.5"), Decimal("3.75")), Line(name(1), Decimal(7), Decimal(2)))
    (found,) = await optimiser.solve([Problem(Decimal(-5), lines)])
    assert isinstance(found, Answer)
    assert found.quantities == (ZERO, ZERO)


async def test_cash_below_zero_is_made_good_by_the_cheapest_sale(optimiser: ExactOptimiser) -> None:
    # the value is 100; at best 5 of 10 and 45 of 1, together 95, of which 90 may be spent
    lines = (
        Line(name(0), Decimal(10), Decimal(6), Decimal(50), Decimal(20), Decimal(20)),
        Line(name(1), Decimal(1), Decimal(60), Decimal(45), Decimal(20), Decimal(20)),
    )
    problem = Problem(Decimal(-20), lines, Options(min_cash=Decimal(10)))
    (found,) = await optimiser.solve([problem])
    assert isinstance(found, Answer)
    assert found.quantities == (Decimal(5), Decimal(40))
    assert found.certificate.objective == 5


async def test_what_is_inside_its_band_is_not_sold_for_cash_when_only_breaches_count(optimiser: ExactOptimiser) -> None:
    lines = (Line(name(0), Decimal(10), Decimal(9), Decimal(80), Decimal(20), Decimal(20)),)
    strict = Options(mode=Mode.BREACHED_ONLY, min_cash=Decimal(20))
    (found,) = await optimiser.solve([Problem(Decimal(10), lines, strict)])
    assert isinstance(found, Infeasible)
    (found,) = await optimiser.solve([Problem(Decimal(10), lines, structs.replace(strict, mode=Mode.TO_BAND))])
    assert isinstance(found, Answer)
    assert found.quantities == (Decimal(8),)


async def test_a_fraction_that_is_held_is_kept_where_that_is_the_least_that_has_to_give_way(
    optimiser: ExactOptimiser,
) -> None:
    # the value is 100, of which 18 may be spent: three shares are wanted, two cost too much, 1.7 are held
    lines = (
        Line(name(0), Decimal(10), Decimal("1.7"), Decimal(30), Decimal(30), Decimal(30)),
        Line(name(1), Decimal(10), Decimal(5), ZERO, ZERO, ZERO),
    )
    problem = Problem(Decimal(33), lines, Options(min_cash=Decimal(82), min_trade=Decimal(1)))
    (found,) = await optimiser.solve([problem])
    expect_optimum(problem, Oracle(problem), found)
    assert isinstance(found, Answer)
    assert found.quantities == (Decimal("1.7"), ZERO)
