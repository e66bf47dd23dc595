"""Many problems at once give what each gives alone: the closed form to the last pick, and the verdict of the judge."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from domain.investment_model import ModelPosition
from domain.rebalance import Line, Mode, Options, Problem, check, objective, problem_of
from domain.values import ZERO
from tests.write_side.optimiser.instances import any_size, figure, name, options, small
from tests.write_side.optimiser.oracle import Oracle
from write_side.optimiser import pairs
from write_side.optimiser.batch import Batch, closed_forms, valid
from write_side.optimiser.exact import STAY, Choice, Exact
from write_side.optimiser.pairs import FINE, LIMB, Pair

Picks = tuple[int, ...]
randoms = st.randoms(use_true_random=False)


def alone(problem: Problem) -> Picks | None:
    """Return the closed form of one problem, in Python's integers."""
    exact = Exact(problem)
    if any(choice.empty for choice in exact.choices):
        return None
    picks = tuple(choice.nearest() for choice in exact.choices)
    cost = sum(choice.value(pick) for choice, pick in zip(exact.choices, picks, strict=True))
    return picks if cost <= exact.spendable else None


def judged(problem: Problem, picks: Picks) -> bool:
    """Return what the judge says of picks."""
    return not check(problem, Exact(problem).quantities(picks))


def reached(problem: Problem, picks: Picks) -> Decimal:
    """Return the objective of picks."""
    return objective(problem, Exact(problem).quantities(picks))


def some_picks(random: Random, problem: Problem) -> Picks:
    """Return picks of which many are valid, and some are not: by one lot, or far off."""
    choices = Exact(problem).choices
    picks = [_some_pick(random, choice) for choice in choices]
    if random.random() < 0.4:
        at = random.randrange(len(picks))
        picks[at] = random.choice((STAY, 0, max(0, picks[at] - 1), picks[at] + 1, choices[at].held // choices[at].lot))
    return tuple(picks)


def _some_pick(random: Random, choice: Choice) -> int:
    if choice.empty:
        return random.choice((STAY, 0, choice.target // choice.lot))
    ends = [end for both in choice.ranges for end in both]
    return random.choice((choice.nearest(), choice.lowest(), choice.lowest(), *ends))


def of_one_model(random: Random, count: int, *, value: int = 10**9, securities: int = 100) -> list[Problem]:
    """Return portfolios of one model as a run has them: shared prices and positions, some with securities beside it."""
    ids = [name(number) for number in range(securities + 5)]
    prices = {each: figure(random, 1, 1_000, random.choice((2, 2, 2, 4))) for each in ids}
    weight = Decimal(19) / 20 / securities * 100 // Decimal("0.005") * Decimal("0.005")
    positions = [ModelPosition(each, weight, Decimal("0.5"), Decimal("0.75")) for each in ids[:securities]]
    told = random.choice((Options(), options(random, [], value, Options().on_infeasible)))
    portfolios = []
    for _ in range(count):
        held = {
            each: figure(random, 0, value / securities / 500, random.choice((0, 0, 4)))
            for each in ids
            if random.random() < 0.9
        }
        portfolios.append(problem_of(figure(random, 0, value, 2), held, positions, prices, told))
    return portfolios


def fitting(problems: Sequence[Problem]) -> float:
    """Return the part of the problems that the arrays take."""
    batch = Batch(problems)
    return sum(batch.taken()) / len(problems)


@settings(max_examples=60, deadline=None)
@given(randoms)
def test_the_closed_form_is_that_of_each_alone(random: Random) -> None:
    problems = [random.choice((small, any_size))(random) for _ in range(random.randrange(8))]
    assert closed_forms(problems) == [alone(problem) for problem in problems]


@settings(max_examples=60, deadline=None)
@given(randoms)
def test_the_verdict_is_that_of_the_judge(random: Random) -> None:
    problems = [random.choice((small, any_size))(random) for _ in range(random.randrange(8))]
    picks = [some_picks(random, problem) for problem in problems]
    expected = [judged(problem, mine) for problem, mine in zip(problems, picks, strict=True)]
    assert valid(problems, picks) == expected
    assert Batch(problems).objectives(picks) == [
        reached(problem, mine) for problem, mine in zip(problems, picks, strict=True)
    ]


def test_both_hold_in_thousands_of_cases() -> None:
    random = Random(20250621)
    right = closed = 0
    for _ in range(50):
        problems = [small(random) if random.random() < 0.85 else any_size(random, 5, most=9) for _ in range(100)]
        picks = [some_picks(random, problem) for problem in problems]
        batch = Batch(problems)
        found, verdicts = batch.closed_forms(), batch.valid(picks)
        assert found == [alone(problem) for problem in problems]
        assert verdicts == [judged(problem, mine) for problem, mine in zip(problems, picks, strict=True)]
        assert batch.objectives(picks) == [
            reached(problem, mine) for problem, mine in zip(problems, picks, strict=True)
        ]
        right, closed = right + sum(verdicts), closed + sum(each is not None for each in found)
    assert min(right, closed) > 1_000, "both verdicts and both outcomes have to be common"


def test_the_portfolios_of_a_model_all_fit_into_the_arrays() -> None:
    random = Random(7)
    for value in (10**5, 10**7, 10**9):
        problems = of_one_model(random, 20, value=value)
        assert fitting(problems) == 1
        assert closed_forms(problems) == [alone(problem) for problem in problems]


def test_the_nearest_quantities_are_those_of_enumeration() -> None:
    random = Random(11)
    problems = [small(random) for _ in range(500)]
    for problem, picks in zip(problems, closed_forms(problems), strict=True):
        oracle = Oracle(problem)
        wanted = oracle.nearest()
        if wanted is None or oracle.spent(wanted) > oracle.budget:
            assert picks is None
        else:
            assert picks is not None
            assert [Fraction(quantity) for quantity in Exact(problem).quantities(picks)] == wanted


def test_what_does_not_fit_into_64_bits_is_decided_all_the_same() -> None:
    odd = [
        Problem(Decimal("1E+15"), (Line(name(0), Decimal("0.00000001"), ZERO, Decimal(50), ZERO, Decimal(1)),)),
        Problem(ZERO, (Line(name(0), Decimal("123456789012345.12345678"), Decimal("99999.00000001"), Decimal(95)),)),
        Problem(Decimal("0.1234567890123456"), (Line(name(0), Decimal("3"), ZERO, Decimal(30), ZERO, Decimal(60)),)),
        Problem(
            Decimal(100), (Line(name(0), Decimal("3"), Decimal("0.123456789"), Decimal(30), Decimal(9), Decimal(9)),)
        ),
        Problem(Decimal(100), (Line(name(0), Decimal(3), ZERO, Decimal("30.0000001"), Decimal(9), Decimal(9)),)),
        Problem(Decimal(100), ()),
        Problem(Decimal(-1), ()),
        Problem(ZERO, (Line(name(0), Decimal(3), ZERO, Decimal(50)),)),
    ]
    usual = small(Random(1))
    assert fitting(odd) == 0
    assert closed_forms([*odd, usual]) == [alone(problem) for problem in [*odd, usual]]
    held = [tuple(STAY for _ in problem.lines) for problem in odd]
    assert Batch(odd).objectives(held) == [reached(problem, picks) for problem, picks in zip(odd, held, strict=True)]
    assert valid(odd, held) == [judged(problem, picks) for problem, picks in zip(odd, held, strict=True)]


def test_no_problems_have_no_answers() -> None:
    assert closed_forms([]) == []
    assert valid([], []) == []


def test_absurd_picks_are_invalid_and_do_not_overflow() -> None:
    problem = Problem(Decimal(100), (Line(name(0), Decimal(10), Decimal(1), Decimal(30), Decimal(30), Decimal(30)),))
    for pick in (-2, -(10**30), 10**18, 2**63, 10**30, 2**61, 2**64 + 3):
        assert valid([problem], [(pick,)]) == [False]
    assert valid([problem], [(STAY,)]) == valid([problem], [(3,)]) == [True]


def test_picks_for_other_lines_are_refused() -> None:
    problem = small(Random(3))
    with pytest.raises(ValueError, match="picks for"):
        valid([problem], [(0,) * (len(problem.lines) + 1)])


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("more", [{}, {"min_cash_percent": Decimal(5)}, {"sell_only": True}, {"buy_only": True}])
@pytest.mark.parametrize("smallest", ["0", "150"])
def test_every_option_over_a_model(mode: Mode, more: dict[str, object], smallest: str) -> None:
    told = Options(mode=mode, min_trade=Decimal(smallest), do_not_trade=(name(3),), **more)  # type: ignore[arg-type]
    problems = [structs.replace(each, options=told) for each in of_one_model(Random(5), 30, value=20_000, securities=8)]
    assert fitting(problems) == 1
    assert closed_forms(problems) == [alone(problem) for problem in problems]


VALUES = st.tuples(
    st.one_of(st.integers(-5, 5), st.integers(-(2**60), 2**60)),
    st.one_of(st.sampled_from([0, 1, FINE - 1]), st.integers(0, FINE - 1)),
)


def _pairs(values: Sequence[tuple[int, int]]) -> Pair:
    return np.array([whole for whole, _ in values]), np.array([rest for _, rest in values])


def _numbers(pair: Pair) -> list[int]:
    assert all(0 <= rest < FINE for rest in pair[1].tolist()), "the rest of a step is less than a step"
    return [whole * FINE + rest for whole, rest in zip(pair[0].tolist(), pair[1].tolist(), strict=True)]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=6), st.integers(1, 2**40))
def test_pairs_are_whole_numbers(both: list[tuple[tuple[int, int], tuple[int, int]]], lot: int) -> None:
    one, other = _pairs([left for left, _ in both]), _pairs([right for _, right in both])
    rows = list(zip(_numbers(one), _numbers(other), strict=True))
    assert pairs.before(one, other).tolist() == [left < right for left, right in rows]
    assert _numbers(pairs.added(one, other)) == [left + right for left, right in rows]
    assert _numbers(pairs.difference(one, other)) == [left - right for left, right in rows]
    assert pairs.lots_above(one, np.array(lot)).tolist() == [-(-left // (lot * FINE)) for left, _ in rows]
    assert pairs.sums(one, np.array([0])) == [sum(left for left, _ in rows)]


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**60 * LIMB), st.one_of(st.integers(0, 2 * LIMB), st.sampled_from([0, 1, LIMB, 2 * LIMB])))
def test_a_part_of_a_value_is_multiplied_out(value: int, millionths: int) -> None:
    limbs = (np.array([value // FINE]), np.array([value // LIMB % LIMB]), np.array([value % LIMB]))
    assert _numbers(pairs.part(limbs, np.array([millionths]))) == [value * millionths]


def test_one_unit_of_cash_more_or_less_decides() -> None:
    lines = (Line(name(0), Decimal("33.33"), Decimal("1.5"), Decimal(50), Decimal(50), Decimal(50)),)
    enough = Problem(Decimal("50.005"), lines, Options(min_cash=Decimal("33.34")))
    assert enough.market_value == Decimal("100.00")
    assert closed_forms([enough]) == [(2,)]
    assert closed_forms([structs.replace(enough, options=Options(min_cash=Decimal("33.3400000001")))]) == [None]
    share = Options(min_cash_percent=Decimal("33.34"))
    assert closed_forms([structs.replace(enough, options=share)]) == [(2,)]
    share = Options(min_cash_percent=Decimal("33.34000001"))
    assert closed_forms([structs.replace(enough, options=share)]) == [None]
