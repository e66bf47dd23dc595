"""Every repair that an explanation offers repairs, decided by fractions apart from the optimiser, and is small."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.rebalance import Explanation, Fix, Line, Obstacle, Problem, Reason
from tests.write_side.optimiser.deciding import STEP, after, feasible, firsts
from tests.write_side.optimiser.instances import any_size, pinched, small
from write_side.optimiser.explain import explain

randoms = st.randoms(use_true_random=False)
_MILLIONTH, _CENT = Decimal("0.000001"), Decimal("0.01")


def _repairs_are_repairs(problem: Problem) -> Explanation | None:
    """Check every repair offered; None where the problem has allowed quantities."""
    if feasible(problem):
        with pytest.raises(ValueError, match="has allowed quantities"):
            explain(problem)
        return None
    explanation = explain(problem).explanation
    first = firsts(explanation)
    for obstacle in explanation.securities:
        for fix in obstacle.fixes:
            assert feasible(after(problem, first | {obstacle.security_id: fix})), (problem, obstacle, fix)
    for fix in explanation.fixes:
        assert feasible(after(problem, {}, fix)), (problem, fix)
    return explanation


@settings(max_examples=150, deadline=None)
@given(randoms)
def test_every_repair_offered_repairs(random: Random) -> None:
    _repairs_are_repairs(random.choice((small, pinched))(random))


@settings(max_examples=40, deadline=None)
@given(randoms)
def test_every_repair_offered_repairs_whatever_the_size(random: Random) -> None:
    _repairs_are_repairs(any_size(random))


def test_nearly_every_problem_has_a_repair_of_each_security_in_the_way_or_of_the_portfolio() -> None:
    random, explained, without = Random(7), 0, 0
    for _ in range(2_000):
        if (explanation := _repairs_are_repairs(small(random))) is not None:
            explained += 1
            without += not explanation.fixes and not any(each.fixes for each in explanation.securities)
    assert explained > 500
    assert without * 100 <= explained


def _smaller(line: Line, fix: Fix) -> Iterator[dict[str, Decimal]]:
    """Yield the figures of the fix with the change one step smaller."""
    names = set(fix.set)
    if names in ({"high_drift"}, {"low_drift"}):
        yield {name: figure - _MILLIONTH for name, figure in fix.set.items()}
    elif names == {"low_drift", "high_drift"}:
        low = fix.set["low_drift"] - _MILLIONTH
        yield {"low_drift": low, "high_drift": max(low, line.high_drift)}
    elif names == {"target"}:
        yield {"target": fix.set["target"] + (STEP if line.target > fix.set["target"] else -STEP)}


def test_no_repair_offered_can_be_a_step_smaller() -> None:
    """But for ``min_trade``, which leaves a hole in what is allowed; what is short of cash besides is left out."""
    random, tried = Random(8), 0
    for _ in range(1_500):
        problem = random.choice((small, pinched))(random)
        if feasible(problem) or problem.options.min_trade:
            continue
        explanation = explain(problem).explanation
        narrow = [each.reason is not Reason.MINIMUM_HOLDINGS_EXCEED_CASH for each in explanation.securities]
        if any(narrow) and explanation.short_by is not None:
            continue
        for obstacle, line, fix in _of_securities(problem, explanation):
            together = firsts(explanation)
            if not any(narrow) and feasible(after(problem, {obstacle.security_id: fix})):
                together = {}
            for change in _smaller(line, fix):
                smaller = together | {obstacle.security_id: Fix(set=change, drop=fix.drop)}
                assert not feasible(after(problem, smaller)), (problem, obstacle, fix)
                tried += 1
        for fix in explanation.fixes:
            for name, figure in fix.set.items():
                step = {"min_cash": _CENT, "min_cash_percent": _MILLIONTH, "low_drift": -_MILLIONTH}[name]
                assert not feasible(after(problem, {}, Fix(set={name: figure + step}, drop=fix.drop))), (problem, fix)
                tried += 1
    assert tried > 700


def _of_securities(problem: Problem, explanation: Explanation) -> Iterator[tuple[Obstacle, Line, Fix]]:
    lines = {line.security_id: line for line in problem.lines}
    for obstacle in explanation.securities:
        for fix in obstacle.fixes:
            yield obstacle, lines[obstacle.security_id], fix
