"""Portfolios to rebalance, made from seeds: as markets have them, and over ranges no market has; and a plain check."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from random import Random

from domain.investment_model import ModelPosition
from domain.rebalance import Line, Options, Problem, problem_of
from domain.values import EXACT, ZERO

_CENTS = -2


def market(seed: int, options: Options | None = None, *, securities: int = 100) -> Problem:
    """Return a portfolio of about 2,000 a security that has drifted: log-normal prices, targets of 95 % together."""
    (problem,) = of_one_model(seed, 1, options or Options(), securities=securities, value=2_000 * securities)
    return problem


def of_one_model(seed: int, count: int, options: Options, *, securities: int = 100, value: int) -> list[Problem]:
    """Return so many portfolios of one model, all of about this value; every fifth holding is a fraction."""
    random = Random(seed)
    ids = [f"SECURITY{number:016d}" for number in range(securities)]
    prices = {each: _price(random) for each in ids}
    positions = [
        ModelPosition(each, weight, drift, drift)
        for each, weight in zip(ids, _targets(random, securities), strict=True)
        for drift in (Decimal(random.choice(("0.5", "1", "2"))),)
    ]
    return [problem_of(*_held(random, positions, prices, value), positions, prices, options) for _ in range(count)]


def _held(
    random: Random, positions: list[ModelPosition], prices: dict[str, Decimal], value: int
) -> tuple[Decimal, dict[str, Decimal]]:
    """Return cash and quantities that have drifted from the targets by about 15 % of each."""
    held, left = {}, Decimal(value)
    for position in positions:
        price = prices[position.security_id]
        ideal = float(position.target) / 100 * value / float(price) * random.gauss(1, 0.15)
        places = 4 if random.random() < 0.2 else 0
        quantity = EXACT.scaleb(Decimal(max(0, round(ideal * 10**places))), -places)
        held[position.security_id] = quantity
        left = EXACT.subtract(left, EXACT.multiply(quantity, price))
    return left, held


def _price(random: Random) -> Decimal:
    """Return a price with two places, median 75, 1 to 1,000; one in twenty below 1; some with four places."""
    if random.random() < 0.05:
        return EXACT.scaleb(Decimal(random.randrange(5, 100)), _CENTS)
    places = 4 if random.random() < 0.1 else 2
    price = min(1_000.0, max(1.0, random.lognormvariate(4.32, 0.9)))
    return EXACT.scaleb(Decimal(round(price * 10**places)), -places)


def _targets(random: Random, securities: int) -> list[Decimal]:
    """Return targets in multiples of half a percent, 95 % together; finer ones where there are too many for that."""
    step = "0.5" if securities <= 190 else "0.005"
    parts = int(95 / Decimal(step))
    counts = [1] * securities
    for _ in range(parts - securities):
        counts[random.randrange(securities)] += 1
    return [EXACT.multiply(Decimal(count), Decimal(step)) for count in counts]


def wide(seed: int, *, binding: float = 0.25) -> Problem:
    """Return a problem of 2 to 12 securities with prices of 0.01 to 500,000 and a value of 1,000 to 10**12.

    ``binding`` of them have to keep so much cash that it may bind; some are infeasible.
    """
    random = Random(seed)
    value, count = 10 ** random.uniform(3, 12), random.randrange(2, 13)
    shares = [random.random() + 0.02 for _ in range(count)]
    lines = []
    for number, share in enumerate(shares):
        steps = max(1, int(share / sum(shares) * random.choice((95, 95, 80)) * 200))
        price = EXACT.scaleb(Decimal(max(1, round(100 * 10 ** random.uniform(-2, 5.7)))), _CENTS)
        if float(price) > value / 10 and random.random() < 0.97:
            price = EXACT.scaleb(Decimal(max(1, round(value / random.uniform(20, 10_000) * 100))), _CENTS)
        low, high = sorted(EXACT.scaleb(Decimal(random.randrange(100, 8_000)), -3) for _ in range(2))
        held = Decimal(round(steps / 20_000 * value / float(price) * random.uniform(0, 2)))
        target = EXACT.scaleb(Decimal(5 * steps), -3)
        lines.append(Line(f"SECURITY{number:016d}", price, held, target, min(low, target), max(high, low)))
    holdings = Problem(ZERO, tuple(lines)).market_value
    cash = EXACT.scaleb(Decimal(max(0, round((value - float(holdings)) * 100)) + random.randrange(100_000)), _CENTS)
    options = Options()
    if random.random() < binding:
        options = Options(min_cash_percent=EXACT.scaleb(Decimal(random.randrange(400, 1_200)), _CENTS))
    return Problem(cash, tuple(lines), options)


def violations(problem: Problem, quantities: Sequence[Decimal]) -> list[str]:
    """Return what whole shares, bands and cash say against quantities, in fractions; none where they are valid.

    It knows the cash to keep and no other option, and shares nothing with the optimiser.
    """
    value = Fraction(problem.cash) + sum(Fraction(line.held) * Fraction(line.price) for line in problem.lines)
    found, spent = [], Fraction()
    for line, quantity in zip(problem.lines, map(Fraction, quantities), strict=True):
        worth, target = quantity * Fraction(line.price), Fraction(line.target)
        spent += worth
        if quantity < 0 or quantity.denominator != 1:
            found.append(f"{quantity} of {line.security_id} is no number of shares")
        if (
            not value * (target - Fraction(line.low_drift))
            <= 100 * worth
            <= value * (target + Fraction(line.high_drift))
        ):
            found.append(f"{line.security_id} is outside its band")
    kept = Fraction(problem.options.min_cash) + value * Fraction(problem.options.min_cash_percent) / 100
    return [*found, "it costs too much"] if spent > value - kept else found


def is_infeasible(problem: Problem) -> bool:
    """Whether some band has no whole number of shares, or the least that the bands allow cost too much together."""
    value = Fraction(problem.cash) + sum(Fraction(line.held) * Fraction(line.price) for line in problem.lines)
    least = Fraction()
    for line in problem.lines:
        price, target = Fraction(line.price), Fraction(line.target)
        shares = max(0, -(-value * (target - Fraction(line.low_drift)) // (100 * price)))
        if shares > value * (target + Fraction(line.high_drift)) // (100 * price):
            return True
        least += shares * price
    kept = Fraction(problem.options.min_cash) + value * Fraction(problem.options.min_cash_percent) / 100
    return least > value - kept
