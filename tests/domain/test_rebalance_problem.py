"""The rebalancing problem and its judge are exact: value, bands, digest, and every rule to the last digit."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from domain.rebalance import Line, Mode, Options, Problem, check, deviation, may_stay, objective, traded_value
from domain.rebalance.checking import Rule, Violation, told
from domain.values import EXACT, ZERO
from tests.write_side.optimiser.instances import any_size, small
from tests.write_side.optimiser.oracle import Oracle

D = Decimal
A, B = "AAAA", "BBBB"


def one(
    held: str, *, price: str = "10", cash: str = "50", band: Sequence[str] = ("50", "20", "20"), **options: Any
) -> Problem:
    """Return a problem of one security."""
    target, low, high = map(D, band)
    return Problem(D(cash), (Line(A, D(price), D(held), target, low, high),), Options(**options))


def violated(problem: Problem, *quantities: str) -> list[tuple[Rule, Decimal]]:
    """Return the rules that these quantities violate, and by how much."""
    return [(violation.rule, violation.by) for violation in check(problem, [D(quantity) for quantity in quantities])]


# --- figures ---------------------------------------------------------------------------------------------------------


def test_market_value_and_what_may_be_spent_are_exact() -> None:
    lines = (
        Line(A, D("999999999999999.99999999"), D("0.00000001"), D(50), D(1), D(1)),
        Line(B, D("0.00000003"), D("411522632921810.70329218"), D(45), D(1), D(1)),
    )
    problem = Problem(D("-0.0000000000000001"), lines, Options(min_cash_percent=D("0.00000001")))
    value = sum((Fraction(line.held) * Fraction(line.price) for line in lines), Fraction(problem.cash))
    assert Fraction(problem.market_value) == value
    assert Fraction(problem.cash_to_keep) == value / 10**10
    assert Fraction(problem.spendable) == value - value / 10**10


def test_the_band_of_a_security_is_exact() -> None:
    problem = one("1", price="33.33", cash="66.67", band=("33.335", "0.000001", "1"))
    low, high = problem.band(problem.lines[0])
    assert (low, high) == (D("33.334999"), D("34.335"))


def test_an_amount_and_a_lot_where_none_is_named() -> None:
    problem = one("1", min_cash=D("12.5"), lot_size={B: D(5)})
    assert (problem.market_value, problem.cash_to_keep, problem.spendable) == (D(60), D("12.5"), D("47.5"))
    assert (problem.lot(A), problem.lot(B)) == (D(1), D(5))


def test_of_a_portfolio_worth_nothing_nothing_has_to_stay_in_cash() -> None:
    empty = Problem(ZERO, (Line("A", Decimal(10), ZERO, Decimal(50), ZERO, ZERO),), Options(min_cash=Decimal(100)))
    assert (empty.cash_to_keep, empty.spendable) == (ZERO, ZERO)
    assert check(empty, [ZERO]) == []


def test_the_objective_is_the_deviation_or_what_is_traded() -> None:
    problem = one("3", cash="70")
    quantities = [D("4.5")]
    assert objective(problem, quantities) == deviation(problem, quantities) == D(5)
    to_band = structs.replace(problem, options=Options(mode=Mode.TO_BAND))
    assert objective(to_band, quantities) == traded_value(to_band, quantities) == D(15)


# --- digest ----------------------------------------------------------------------------------------------------------


def test_the_digest_does_not_depend_on_how_figures_are_written() -> None:
    problem = one("1.50", cash="1E+3", min_cash=D("5.0"), do_not_trade=(B, A), lot_size={A: D("2.0"), B: D(1)})
    same = one("1.5", cash="1000.00", min_cash=D(5), do_not_trade=(A, B), lot_size={B: D("1.00"), A: D(2)})
    assert problem.digest == same.digest
    assert len(problem.digest) == 64
    assert problem.digest == problem.digest.lower()


def test_the_digest_of_a_problem_stays_as_it_is_for_ever() -> None:
    problem = one("1.5", min_cash=D("5"), mode=Mode.TO_BAND)
    assert problem.digest == "3145c9ca59189bd9e59f742f7647492ba35ea9c8c1d7bb1700d24d387336d415"


OTHERS: list[tuple[str, Problem]] = [
    ("cash", one("1", cash="50.01")),
    ("held", one("1.00000001")),
    ("price", one("1", price="10.01")),
    ("target", one("1", band=("50.005", "20", "20"))),
    ("low", one("1", band=("50", "20.000001", "20"))),
    ("high", one("1", band=("50", "20", "20.000001"))),
    ("mode", one("1", mode=Mode.TO_BAND)),
    ("min_cash", one("1", min_cash=D("0.01"))),
    ("min_cash_percent", one("1", min_cash_percent=D("0.01"))),
    ("buy_only", one("1", buy_only=True)),
    ("sell_only", one("1", sell_only=True)),
    ("do_not_trade", one("1", do_not_trade=(A,))),
    ("min_trade", one("1", min_trade=D("0.01"))),
    ("lot_size", one("1", lot_size={A: D(2)})),
]


def test_the_digest_depends_on_every_figure_and_option() -> None:
    digests = {one("1").digest, *(problem.digest for _, problem in OTHERS)}
    assert len(digests) == 1 + len(OTHERS)


# --- the judge -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "quantity", "expected"),
    [
        # the value is 100: the band is 30 to 70
        (one("5"), "3", []),
        (one("5"), "7", []),
        (one("5"), "2", [(Rule.BELOW_BAND, D(10))]),
        (one("5"), "8", [(Rule.ABOVE_BAND, D(10))]),
        (one("5", band=("0", "0", "0")), "-1", [(Rule.NEGATIVE, D(1)), (Rule.BELOW_BAND, D(10))]),
        (one("5"), "4.5", [(Rule.NOT_WHOLE, D("0.5"))]),
        (one("5", lot_size={A: D("0.5")}), "4.5", []),
        (one("5", lot_size={A: D(3)}), "6", []),
        (one("5", lot_size={A: D(3)}), "5", [(Rule.NOT_WHOLE, D(2))]),
        (one("5", lot_size={A: D(3)}, sell_only=True), "5", []),
        (one("5", min_cash=D(50)), "5", []),
        (one("5", min_cash=D("50.01")), "5", [(Rule.CASH, D("0.01"))]),
        (one("5", min_cash_percent=D(50)), "5", []),
        (one("5", min_cash_percent=D("50.00000001")), "5", [(Rule.CASH, D("0.00000001"))]),
        (one("5", buy_only=True), "4", [(Rule.BUY_ONLY, D(1))]),
        (one("5", buy_only=True), "6", []),
        (one("5", sell_only=True), "6", [(Rule.SELL_ONLY, D(1))]),
        (one("5", sell_only=True), "4", []),
        (one("5", do_not_trade=(A,)), "5", []),
        (one("5", do_not_trade=(A,)), "6", [(Rule.DO_NOT_TRADE, D(1))]),
        (one("5", do_not_trade=(A,)), "4", [(Rule.DO_NOT_TRADE, D(1))]),
        (one("5", do_not_trade=(B,)), "4", []),
        (one("5", min_trade=D(20)), "7", []),
        (one("5", min_trade=D("20.01")), "7", [(Rule.MIN_TRADE, D("0.01"))]),
        (one("5", min_trade=D("20.01")), "5", []),
        (one("5", mode=Mode.BREACHED_ONLY), "6", [(Rule.BREACHED_ONLY, D(1))]),
        (one("5", mode=Mode.BREACHED_ONLY), "5", []),
        (one("5", mode=Mode.TO_BAND), "6", []),
        # what is held and no whole number may stay only where an option is about not trading
        (one("4.5", cash="55"), "4.5", [(Rule.NOT_WHOLE, D("0.5"))]),
        (one("4.5", cash="55", mode=Mode.TO_BAND), "4.5", []),
        (one("4.5", cash="55", mode=Mode.BREACHED_ONLY), "4.5", []),
        (one("4.5", cash="55", buy_only=True), "4.5", []),
        (one("4.5", cash="55", min_trade=D(1)), "4.5", []),
        (one("4.5", cash="55", do_not_trade=(A,)), "4.5", []),
        (one("4.5", cash="55", do_not_trade=(B,)), "4.5", [(Rule.NOT_WHOLE, D("0.5"))]),
        (one("4.5", cash="55", buy_only=True), "5.5", [(Rule.NOT_WHOLE, D("0.5"))]),
        # what is outside its band may come back by a trade of any size, in every mode
        (one("8", cash="20", min_trade=D(50)), "7", []),
        (one("8", cash="20", mode=Mode.BREACHED_ONLY), "6", []),
        (one("8", cash="20", mode=Mode.BREACHED_ONLY), "8", [(Rule.ABOVE_BAND, D(10))]),
        (one("8", cash="20", do_not_trade=(A,)), "8", [(Rule.ABOVE_BAND, D(10))]),
        # cash below zero has to be made good
        (one("11", cash="-10", band=("95", "50", "15")), "11", [(Rule.CASH, D(10))]),
        (one("11", cash="-10", band=("95", "50", "15")), "10", []),
    ],
)
def test_every_rule_at_its_edge(problem: Problem, quantity: str, expected: list[tuple[Rule, Decimal]]) -> None:
    assert violated(problem, quantity) == expected


def test_every_violation_of_every_security_is_named() -> None:
    lines = (Line(A, D(10), D(5), D(50), D(1), D(1)), Line(B, D(10), D(5), D(40), D(1), D(1)))
    problem = Problem(ZERO, lines, Options(buy_only=True))
    assert check(problem, [D("4.5"), D(7)]) == [
        Violation(Rule.BELOW_BAND, A, D(4)),
        Violation(Rule.BUY_ONLY, A, D("0.5")),
        Violation(Rule.NOT_WHOLE, A, D("0.5")),
        Violation(Rule.ABOVE_BAND, B, D(29)),
        Violation(Rule.CASH, None, D(15)),
    ]


def test_a_violation_can_be_told() -> None:
    assert told(Violation(Rule.CASH, None, D("1.50"))) == "all together: cash by 1.5"
    assert told(Violation(Rule.MIN_TRADE, A, D(2))) == f"{A}: min_trade by 2"


def test_there_is_a_quantity_for_every_line() -> None:
    with pytest.raises(ValueError, match="shorter"):
        check(one("5"), [])


def some_quantities(random: Random, problem: Problem) -> list[Decimal]:
    """Return quantities of which many are allowed; some are off by a bit."""
    quantities = []
    for line, allowed in zip(problem.lines, Oracle(problem).allowed, strict=True):
        multiples = [_decimal(quantity) for quantity in allowed] or [line.held]
        quantity = random.choice((multiples[0], random.choice(multiples)))
        if random.random() < 0.15:
            step = random.choice((D(1), D(-1), D("0.5"), D("-0.00000001"), problem.lot(line.security_id)))
            quantity = EXACT.add(quantity, step)
        quantities.append(quantity)
    return quantities


def _decimal(number: Fraction) -> Decimal:
    return EXACT.divide(D(number.numerator), D(number.denominator))


def _agree(random: Random, problem: Problem) -> bool:
    quantities = some_quantities(random, problem)
    allowed = Oracle(problem).feasible([Fraction(quantity) for quantity in quantities])
    assert (not check(problem, quantities)) == allowed
    return allowed


@settings(max_examples=200, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_judge_allows_what_enumeration_allows(random: Random) -> None:
    _agree(random, small(random))


def test_the_judge_allows_what_enumeration_allows_in_thousands_of_cases() -> None:
    random = Random(20250621)
    allowed = sum(_agree(random, small(random)) for _ in range(3_000))
    assert 600 < allowed < 2_400, "both verdicts have to be common"


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_deviation_and_traded_value_are_exact_whatever_the_figures(random: Random) -> None:
    problem = any_size(random, 3)
    quantities = [D(random.randrange(10**6)) for _ in problem.lines]
    value = Fraction(problem.market_value)
    rows = [(value * Fraction(line.target) / 100, Fraction(line.price), Fraction(line.held)) for line in problem.lines]
    pairs = list(zip(rows, map(Fraction, quantities), strict=True))
    assert Fraction(deviation(problem, quantities)) == sum(abs(target - q * price) for (target, price, _), q in pairs)
    assert Fraction(traded_value(problem, quantities)) == sum(abs(q - held) * price for (_, price, held), q in pairs)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Options(), False),
        (Options(min_cash=D(5), lot_size={A: D(2)}), False),
        (Options(do_not_trade=(B,)), False),
        (Options(do_not_trade=(A,)), True),
        (Options(buy_only=True), True),
        (Options(sell_only=True), True),
        (Options(min_trade=D(1)), True),
        (Options(mode=Mode.TO_BAND), True),
        (Options(mode=Mode.BREACHED_ONLY), True),
    ],
)
def test_which_options_let_a_holding_stay(options: Options, expected: bool) -> None:
    problem = structs.replace(one("4.5"), options=options)
    assert may_stay(problem, problem.lines[0]) is expected
