"""Fixes of many securities, added up once and changed one by one, come to what the changed problem itself says."""

from __future__ import annotations

from decimal import Decimal
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.rebalance import Fix, Problem
from domain.values import EXACT
from tests.write_side.optimiser.instances import pinched, small
from write_side.optimiser.repairs import own_options, told_for_all
from write_side.optimiser.trials import Together, Trial, repaired

randoms = st.randoms(use_true_random=False)


def a_fix(random: Random, trial: Trial, place: int) -> Fix:
    line, told = trial.problem.lines[place], {}
    if line.target and random.random() < 0.5:
        drift = line.high_drift + random.randint(0, 20)
        told = random.choice([{"high_drift": drift}, {"low_drift": drift, "high_drift": drift}])
    elif line.target and random.random() < 0.5:
        told = {"target": max(Decimal(0), line.target + random.randint(-10, 5))}
    options = [name for name in told_for_all(trial) if name not in {"do_not_trade", "lot_size"}]
    droppable = options + own_options(trial, place)
    return Fix(set=told, drop=tuple(random.sample(droppable, random.randint(0, len(droppable)))))


def missing(problem: Problem, fixes: dict[int, Fix], overall: Fix) -> Decimal | None:
    """Return what ``Trial.short_by`` should say, from the changed problem as a whole."""
    changed = repaired(problem, {problem.lines[place].security_id: fix for place, fix in fixes.items()}, overall)
    targets = [sum(line.target for line in each.lines) for each in (problem, changed)]
    trial = Trial(changed)
    if trial.empty or targets[1] > max(95, targets[0]):
        return None
    return EXACT.subtract(trial.minimum, changed.spendable)


@settings(max_examples=200, deadline=None)
@given(randoms)
def test_every_change_comes_to_what_the_changed_problem_says(random: Random) -> None:
    problem = random.choice((small, pinched))(random)
    trial, places = Trial(problem), range(len(problem.lines))
    fixes = {place: a_fix(random, trial, place) for place in places if random.random() < 0.7}
    overall = Fix(drop=tuple(name for name in told_for_all(trial) if random.random() < 0.2))
    together = Together(trial, fixes, overall)
    for _ in range(6):
        assert together.short_by() == missing(problem, fixes, overall)
        place = random.choice(places)
        fix = a_fix(random, trial, place)
        without = {other: each for other, each in fixes.items() if other != place}
        assert together.short_by({place: None}) == missing(problem, without, overall)
        assert together.short_by({place: fix}) == missing(problem, fixes | {place: fix}, overall)
        if random.random() < 0.5:
            together.take({place: fix})
            fixes |= {place: fix}
