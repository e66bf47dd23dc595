"""The mathematical cases of the public Order Generation Service (seed 002) with their exact optimum.

Where the public service answers otherwise (it rounds a continuous optimum and looks at no band afterwards), ``exact``
here is what enumeration of whole shares gives.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

import pytest
import pytest_asyncio

from domain.rebalance import Answer, Infeasible, Line, Problem, Proof, Reason, check
from domain.values import EXACT, ZERO, money
from tests.write_side.optimiser.answers import opened
from tests.write_side.optimiser.instances import name
from tests.write_side.optimiser.oracle import Oracle
from write_side.optimiser.chain import ExactOptimiser

_ROUND = Context(prec=60, rounding=ROUND_HALF_UP)


class Vector(NamedTuple):
    """A case: weights and drifts are fractions as there; what it holds; the quantities and the deviation to be had."""

    title: str
    prices: Sequence[str]
    weights: Sequence[str]
    low: Sequence[str]
    high: Sequence[str]
    value: Decimal
    quantities: Sequence[int] | None
    deviation: str | None
    held: Sequence[int] = ()


def _percent(fraction: str) -> Decimal:
    return EXACT.multiply(Decimal(fraction), Decimal(100))


def stated(vector: Vector) -> Problem:
    """Return the problem of a vector; its cash makes its value."""
    held = vector.held or [0] * len(vector.prices)
    rows = vector.weights, vector.low, vector.high
    lines = tuple(
        Line(name(at), Decimal(price), Decimal(held[at]), *(_percent(row[at]) for row in rows))
        for at, price in enumerate(vector.prices)
    )
    holdings = Problem(ZERO, lines).market_value
    return Problem(EXACT.subtract(vector.value, holdings), lines)


def _valued(prices: Sequence[str], held: Sequence[int], part: str) -> Decimal:
    """Return the market value of which what is held is that part, to three places as the service rounds it."""
    holdings = sum(Fraction(price) * count for price, count in zip(prices, held, strict=True)) / Fraction(part)
    exact = _ROUND.divide(Decimal(holdings.numerator), Decimal(holdings.denominator))
    return _ROUND.quantize(exact, Decimal("0.001"))


PRECISE = "100.123456789012345678 100.987654321098765432"


def _large(count: int = 50) -> Vector:
    prices, held = [str(25 + at % 10) for at in range(count)], [100 + 10 * (at % 20) for at in range(count)]
    value = _valued(prices, held, "0.95")
    rows = ["0.015"] * count, ["0.01"] * count, ["0.02"] * count
    return Vector("large_portfolio_50", prices, *rows, value, None, "326.32", held)


def _scaling(count: int, deviation: str) -> Vector:
    prices, held = [str(50 + at % 5) for at in range(count)], [100 + at % 10 for at in range(count)]
    rows = ["0.005"] * count, ["0.01"] * count, ["0.01"] * count
    return Vector(f"performance_scaling_{count}", prices, *rows, _valued(prices, held, "0.9"), None, deviation, held)


def _stress() -> Vector:
    count = 75
    prices, held = [str(10 + 3 * at % 100) for at in range(count)], [50 + 7 * at % 200 for at in range(count)]
    weights = ["0.02" if at < 25 else "0.01" if at < 50 else "0.005" for at in range(count)]
    low = [("0.005", "0.01", "0.015")[at % 3] for at in range(count)]
    high = [("0.01", "0.02", "0.025")[at % 3] for at in range(count)]
    return Vector(
        "complexity_stress_75", prices, weights, low, high, _valued(prices, held, "0.92"), None, "1163.10", held
    )


def _case(
    title: str,
    prices: str,
    weights: str,
    low: str,
    high: str,
    value: str,
    quantities: str | None,
    deviation: str | None,
    held: str = "",
) -> Vector:
    """Return a case from columns with spaces; one drift counts for all securities."""
    count = len(prices.split())
    rows = [column.split() * (count if len(column.split()) == 1 else 1) for column in (prices, weights, low, high)]
    found = None if quantities is None else [int(quantity) for quantity in quantities.split()]
    return Vector(
        title,
        rows[0],
        rows[1],
        rows[2],
        rows[3],
        Decimal(value),
        found,
        deviation,
        [int(count) for count in held.split()],
    )


FEASIBLE = [
    _large(),
    _case("extreme_prices", "0.05 10000", "0.10 0.80", "0.02", "0.03", "85000", "170000 7", "2000", "10000 8"),
    _case("boundary_conditions", "100", "0.95", "0", "0.05", "100000", "950", "0", "950"),
    _case("decimal_precision", PRECISE, "0.335 0.565", "0.001", "0.001", "100000", "335 559", "89.26", "335 565"),
    _case("just_within", "100", "0.5", "0.02", "0.02", "100000", "500", "0", "520"),
    _case("just_outside", "100", "0.5", "0.02", "0.02", "100000", "500", "0", "550"),
    _scaling(10, "108.00"),
    _scaling(25, "261.94"),
    _scaling(50, "600.00"),
    _scaling(75, "1175.83"),
    _scaling(100, "800.00"),
    _stress(),
    _case("zero_target", "100 100 100", "0.6 0 0.3", "0.03 0 0.02", "0.03 0.05 0.02", "95000", "570 0 285", "0"),
    _case("single_position", "100", "0.9", "0.05", "0.05", "100000", "900", "0", "950"),
    _case("minimum_viable", "50 40", "0.5 0.4", "0.1", "0.2", "100", "1 1", "0", "1 1"),
    _case("simple", "100 100", "0.6 0.3", "0.05 0.03", "0.05 0.03", "95000", "570 285", "0"),
    _case("constraint_satisfaction", "100 100", "0.6 0.3", "0.05 0.03", "0.05 0.03", "90000", "540 270", "0"),
    _case("precision", "33.333333 59.876543", "0.6 0.3", "0.05 0.03", "0.05 0.03", "20000", "360 100", "12.35"),
]

INFEASIBLE = [
    (_case("conflicting_constraints", "400 400", "0.5 0.4", "0.001", "0.001", "95000", None, None, "125 100"), [0]),
    (_case("extreme_values", "999999.99 0.01", "0.01 0.89", "0.005 0.05", "0.01 0.05", "1200000", None, None), [0]),
    (_case("zero_current", "50 100", "0.6 0.3", "0.05 0.03", "0.05 0.03", "160", None, None), [1]),
    (_case("infeasible_tight", "1000", "0.95", "0.001", "0.001", "1050", None, None), [0]),
]


@pytest_asyncio.fixture(scope="module")
async def optimiser() -> AsyncIterator[ExactOptimiser]:
    async with opened() as found:
        yield found


@pytest.mark.parametrize("vector", FEASIBLE, ids=lambda vector: vector.title)
async def test_the_exact_optimum(optimiser: ExactOptimiser, vector: Vector) -> None:
    problem = stated(vector)
    (answer,) = await optimiser.solve([problem])
    assert isinstance(answer, Answer)
    certificate = answer.certificate
    assert certificate.status is Proof.OPTIMAL
    assert check(problem, answer.quantities) == []
    assert str(money(certificate.objective)) == str(money(Decimal(vector.deviation or "0")))
    wanted = Oracle(problem).nearest() if vector.quantities is None else vector.quantities
    assert [Fraction(quantity) for quantity in answer.quantities] == wanted


@pytest.mark.parametrize(
    ("vector", "named"), INFEASIBLE, ids=lambda each: each.title if isinstance(each, Vector) else ""
)
async def test_what_the_public_service_calls_optimal_and_is_not(
    optimiser: ExactOptimiser, vector: Vector, named: list[int]
) -> None:
    problem = stated(vector)
    assert [at for at, line in enumerate(problem.lines) if _is_empty(problem, line)] == named
    (refusal,) = await optimiser.solve([problem])
    assert isinstance(refusal, Infeasible)
    securities = refusal.explanation.securities
    assert [each.security_id for each in securities] == [name(at) for at in named]
    assert {each.reason for each in securities} == {Reason.BAND_NARROWER_THAN_ONE_SHARE}
    assert all(each.fixes for each in securities)


def _is_empty(problem: Problem, line: Line) -> bool:
    """Whether no whole number of shares lies in the band."""
    value, target = Fraction(problem.market_value) / 100, Fraction(line.target)
    low, high = value * (target - Fraction(line.low_drift)), value * (target + Fraction(line.high_drift))
    return ceil(low / Fraction(line.price)) > floor(high / Fraction(line.price))


async def test_the_smallest_fix_of_the_tight_case_is_the_drift_of_the_note(optimiser: ExactOptimiser) -> None:
    """One share of 1000 is 95.238... % of 1050: the high drift has to be at least 0.2381 %, rounded up to 6 places."""
    (refusal,) = await optimiser.solve([stated(INFEASIBLE[3][0])])
    assert isinstance(refusal, Infeasible)
    (obstacle,) = refusal.explanation.securities
    drifts = [fix.set["high_drift"] for fix in obstacle.fixes if "high_drift" in fix.set]
    assert drifts == [Decimal("0.238096")]
    assert (obstacle.min_shares, obstacle.max_shares) == (Decimal(1), Decimal(0))
