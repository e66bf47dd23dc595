"""The whole numbers of a problem say the same as enumeration in fractions: what is allowed, nearest, lowest, held."""

from __future__ import annotations

from decimal import Decimal, Inexact
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.rebalance import Line, Mode, Options, Problem
from tests.write_side.optimiser.instances import any_size, name, small
from tests.write_side.optimiser.oracle import Oracle
from write_side.optimiser.exact import STAY, Choice, Exact

randoms = st.randoms(use_true_random=False)


def one(held: str, target: str, low: str, high: str, *, price: str = "10", cash: str = "0", **told: object) -> Choice:
    """Return the choice of one security; cash makes the value."""
    lines = (Line(name(0), Decimal(price), Decimal(held), Decimal(target), Decimal(low), Decimal(high)),)
    (choice,) = Exact(Problem(Decimal(cash), lines, Options(**told))).choices  # type: ignore[arg-type]
    return choice


def _same_as_enumerated(problem: Problem, *, banded: bool) -> None:
    exact, oracle = Exact(problem, banded=banded), Oracle(problem, banded=banded)
    assert Fraction(exact.money(exact.spendable)) == oracle.budget
    for line, choice, allowed in zip(problem.lines, exact.choices, oracle.allowed, strict=True):
        picks = [pick for low, high in choice.ranges for pick in range(low, high + 1)]
        values = [Fraction(exact.money(choice.value(pick))) for pick in picks]
        assert values == sorted(set(values)), "ranges rise and have nothing in common"
        if choice.stay:
            values.append(Fraction(exact.money(choice.held)))
        assert set(values) == {quantity * Fraction(line.price) for quantity in allowed}
        assert choice.empty == (not allowed)
        costs = {Fraction(exact.money(choice.cost(pick))) for pick in picks}
        assert costs <= {oracle.cost(line, quantity) for quantity in allowed}
        held = Fraction(line.held)
        assert (choice.may_hold() is not None) == (held in allowed)
        if allowed:
            assert Fraction(exact.money(choice.value(choice.lowest()))) == allowed[0] * Fraction(line.price)


@settings(max_examples=300, deadline=None)
@given(randoms, st.booleans())
def test_what_is_allowed_is_what_enumeration_finds(random: Random, banded: bool) -> None:
    _same_as_enumerated(small(random), banded=banded)


def test_what_is_allowed_is_what_enumeration_finds_in_thousands_of_cases() -> None:
    random = Random(20250621)
    for _ in range(2_000):
        _same_as_enumerated(small(random), banded=random.random() < 0.7)


@settings(max_examples=300, deadline=None)
@given(randoms)
def test_the_nearest_picks_are_the_nearest_quantities(random: Random) -> None:
    problem = small(random)
    wanted = Oracle(problem).nearest()
    exact = Exact(problem)
    if wanted is None:
        assert any(choice.empty for choice in exact.choices)
    else:
        quantities = exact.quantities([choice.nearest() for choice in exact.choices])
        assert [Fraction(quantity) for quantity in quantities] == wanted


@settings(max_examples=100, deadline=None)
@given(randoms)
def test_units_lose_nothing_whatever_the_figures(random: Random) -> None:
    problem = any_size(random)
    exact = Exact(problem)
    assert exact.money(exact.spendable) == problem.spendable
    for line, choice in zip(problem.lines, exact.choices, strict=True):
        assert Fraction(exact.money(choice.held)) == Fraction(line.held) * Fraction(line.price)
        target = Fraction(problem.market_value) * Fraction(line.target) / 100
        expected = choice.held if problem.options.mode is Mode.TO_BAND else target * exact.scale
        assert choice.target == expected


def test_money_finer_than_a_unit_is_refused() -> None:
    exact = Exact(Problem(Decimal("100"), (Line(name(0), Decimal("1"), Decimal("1")),)))
    with pytest.raises(Inexact):
        exact.whole(Decimal("0.0000000001"))


def test_of_two_equally_near_the_one_nearer_to_what_is_held_is_taken() -> None:
    # the value is 100, the target 25: two and three shares of 10 are equally far
    assert one("4", "25", "25", "25", cash="60").nearest() == 3
    assert one("1", "25", "25", "25", cash="90").nearest() == 2
    assert one("2.5", "25", "25", "25", cash="75").nearest() == 2, "both are as near to what is held: the lower one"


def test_what_is_held_and_no_whole_number_stays_only_where_an_option_says_so() -> None:
    assert one("2.5", "25", "25", "25", cash="75", sell_only=True).nearest() == STAY
    assert one("2.5", "25", "25", "25", cash="75").may_hold() is None
    assert one("2.5", "25", "25", "25", cash="75", sell_only=True).may_hold() == STAY
    assert one("2", "25", "25", "25", cash="80").may_hold() == 2


def test_band_edges_are_allowed() -> None:
    assert one("0", "30", "10", "20", cash="100").ranges == ((2, 5),)


def test_a_trade_of_exactly_the_smallest_is_allowed() -> None:
    assert one("3", "30", "30", "30", cash="70", min_trade=Decimal("20")).ranges == ((0, 1), (5, 6))
    assert one("3", "30", "30", "30", cash="70", min_trade=Decimal("20.01")).ranges == ((0, 0), (6, 6))


def test_dust_outside_its_band_is_sold_although_the_trade_is_small() -> None:
    choice = one("1", "0", "0", "0", cash="990", min_trade=Decimal("500"))
    assert (choice.ranges, choice.stay) == (((0, 0),), False)


def test_what_may_not_be_traded_and_is_outside_its_band_has_nothing_allowed() -> None:
    assert one("5", "10", "1", "1", cash="50", do_not_trade=(name(0),)).empty
    assert one("5", "50", "1", "1", cash="50", do_not_trade=(name(0),)).may_hold() == STAY
