"""The least breach of bands is that of full enumeration; cash and options hold; the deviation is small beside it."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.rebalance import Line, Mode, Problem, check
from domain.rebalance.checking import BANDS
from tests.write_side.optimiser.deciding import problem_of
from tests.write_side.optimiser.instances import any_size, pinched, small
from tests.write_side.optimiser.oracle import Oracle
from write_side.optimiser.nearest import nearest

randoms = st.randoms(use_true_random=False)


def breach(problem: Problem, quantities: tuple[Decimal, ...]) -> Fraction:
    """Return the total breach of bands; nothing else may be violated."""
    violations = check(problem, quantities)
    assert not [violation for violation in violations if violation.rule not in BANDS]
    return sum((Fraction(violation.by) for violation in violations), Fraction())


def _same_as_enumerated(problem: Problem) -> bool:
    """Check one problem; returns whether it has a breach."""
    found, least = nearest(problem), Oracle(problem, banded=False).least_breach()
    assert (found is None) == (least is None)
    if found is None:
        return False
    assert breach(problem, found) == least
    return bool(least)


def test_the_least_breach_is_that_of_enumeration_in_thousands_of_cases() -> None:
    random = Random(20250622)
    breached = sum(_same_as_enumerated(small(random)) for _ in range(1_800))
    breached += sum(_same_as_enumerated(pinched(random)) for _ in range(300))
    assert breached > 500


@settings(max_examples=200, deadline=None)
@given(randoms)
def test_the_least_breach_is_that_of_enumeration(random: Random) -> None:
    _same_as_enumerated(small(random))


def _least_deviation(problem: Problem) -> Fraction | None:
    """Return the least objective among the quantities that are each as near to the band as they ever can be."""
    oracle = Oracle(problem, banded=False)
    for place, line in enumerate(problem.lines):
        if allowed := oracle.allowed[place]:
            least = min(oracle.breach(line, quantity) for quantity in allowed)
            oracle.allowed[place] = [quantity for quantity in allowed if oracle.breach(line, quantity) == least]
    return oracle.least()


def test_where_cash_leaves_every_security_as_near_as_it_can_be_the_deviation_is_the_least_as_well() -> None:
    random, compared = Random(20250623), 0
    for _ in range(600):
        problem = small(random)
        least, found = _least_deviation(problem), nearest(problem)
        if least is not None and found is not None:
            assert Oracle(problem).objective([Fraction(quantity) for quantity in found]) == least
            compared += breach(problem, found) > 0
    assert compared > 100


def _must_keep(problem: Problem, line: Line) -> Fraction:
    """Return the value below which the options do not let a security fall."""
    options, held = problem.options, Fraction(line.held) * Fraction(line.price)
    low, high = map(Fraction, problem.band(line))
    kept = line.security_id in options.do_not_trade or options.buy_only
    if low <= held <= high:
        kept = kept or options.mode is Mode.BREACHED_ONLY or held < options.min_trade
    return held if kept else Fraction()


@settings(max_examples=60, deadline=None)
@given(randoms)
def test_cash_and_options_hold_whatever_the_size(random: Random) -> None:
    problem = any_size(random)
    found = nearest(problem)
    if found is not None:
        breach(problem, found)
    else:
        assert sum(_must_keep(problem, line) for line in problem.lines) > Fraction(problem.spendable)


@pytest.mark.parametrize(
    ("problem", "quantities"),
    [
        pytest.param(
            problem_of("95000", ("400", "50", "0.1", "0.1"), ("400", "40", "0.1", "0.1")),
            ("119", "95"),
            id="conflicting",
        ),
        pytest.param(
            problem_of("1200000", ("999999.99", "1", "0.5", "1"), ("0.01", "89", "5", "5")),
            ("0", "106800000"),
            id="numerical_stability_extreme",
        ),
        pytest.param(problem_of("160", ("50", "60", "5", "5"), ("100", "30", "3", "3")), ("2", "0"), id="zero_current"),
        pytest.param(problem_of("1050", ("1000", "95", "0.1", "0.1")), ("1",), id="infeasible_tight"),
    ],
)
def test_problems_without_allowed_quantities_have_a_nearest_answer(
    problem: Problem, quantities: tuple[str, ...]
) -> None:
    assert nearest(problem) == tuple(map(Decimal, quantities))


def test_too_little_cash_for_all_bands_is_taken_where_it_hurts_least() -> None:
    problem = problem_of("1000", ("100", "50", "5", "5"), ("1", "45", "5", "5"), min_cash=Decimal("200"))
    assert nearest(problem) == (Decimal(4), Decimal(400))
    assert breach(problem, (Decimal(4), Decimal(400))) == 50


def test_what_stays_in_its_band_goes_to_its_target_where_cash_is_left() -> None:
    # 750 can be spent, 800 are needed: the first gives up its share, and the last has 50 above the bottom of its band
    lines = (("100", "10", "9", "9"), ("300", "60", "5", "5"), ("1", "20", "10", "10"))
    problem = problem_of("1000", *lines, min_cash=Decimal("250"))
    assert nearest(problem) == (Decimal(0), Decimal(2), Decimal(150))
    assert breach(problem, (Decimal(0), Decimal(2), Decimal(150))) == 10


def test_a_holding_that_may_not_be_sold_and_cannot_be_paid_for_has_no_nearest_answer() -> None:
    overdrawn = problem_of("1000", ("100", "50", "5", "5"), held=("11",), do_not_trade=("S" + "0" * 23,))
    assert nearest(overdrawn) is None
    assert nearest(problem_of("1000", ("100", "50", "5", "5"), held=("11",), buy_only=True)) is None
    assert nearest(problem_of("1000", ("100", "50", "5", "5"), min_cash=Decimal("1000.01"))) is None


def test_a_problem_with_allowed_quantities_has_no_breach() -> None:
    problem = problem_of("1000", ("100", "50", "5", "5"), ("10", "40", "5", "5"), mode=Mode.TO_TARGET)
    assert nearest(problem) == (Decimal(5), Decimal(40))


def test_a_fraction_that_is_held_is_found_between_whole_lots() -> None:
    # 210 can be spent: 2 whole shares leave 10 of it, in which the tenth of a share fits that is held of the other
    problem = problem_of(
        "467",
        ("100", "45", "0", "10"),
        ("100", "45", "0", "10"),
        held=("3.7", "0.1"),
        min_cash=Decimal("257"),
        min_trade=Decimal(1),
    )
    assert nearest(problem) == (Decimal(2), Decimal("0.1"))
    assert breach(problem, (Decimal(2), Decimal("0.1"))) == Fraction("210.30")
