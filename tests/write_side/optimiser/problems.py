"""Problems for the tests of the optimiser: small ones that can be enumerated, and portfolios as people have them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import product
from random import Random
from typing import Any

from domain.rebalance import Line, Mode, Options, Problem, check, may_stay
from domain.values import EXACT

D = Decimal


def problem(cash: str, *lines: tuple[str, str, str, str, str], **options: Any) -> Problem:
    """Return the problem of lines ``(price, held, target, low, high)``, named S0, S1, ..."""
    rows = (Line(f"S{at}", *map(D, figures)) for at, figures in enumerate(lines))
    return Problem(D(cash), tuple(rows), Options(**options))


def of_value(value: str, *lines: tuple[str, str, str, str], **options: Any) -> Problem:
    """Return the problem of so much cash and nothing held; lines are ``(price, target, low, high)``."""
    return problem(value, *((price, "0", target, low, high) for price, target, low, high in lines), **options)


def small(random: Random) -> Problem:
    """Return a problem of up to four securities whose allowed quantities can all be tried, mostly short of cash."""
    lines = []
    for at in range(random.randint(1, 4)):
        price = D(random.randint(30, 900)) * D(random.choice(["1", "0.75", "1.01"]))
        held = D(random.randint(0, 12)) + (D(random.choice(["0", "0", "0.5", "0.75"])))
        target = D(random.choice([0, 5, 10, 20, 30]))
        low = D(random.choice([5, 10, 20, 30]))
        lines.append(Line(f"S{at}", price, held, target, low, low + random.choice([0, 0, 5])))
    options: dict[str, Any] = {"min_cash_percent": D(random.choice([0, 30, 50, 60, 70]))}
    if random.random() < 0.3:
        options["mode"] = random.choice([Mode.BREACHED_ONLY, Mode.TO_BAND])
    if random.random() < 0.3:
        options[random.choice(["buy_only", "sell_only"])] = True
    if random.random() < 0.3:
        options["min_trade"] = D(random.randint(1, 1500))
    if random.random() < 0.2:
        options["lot_size"] = {"S0": D(random.choice(["0.5", "2", "3"]))}
    elif random.random() < 0.2:
        options["do_not_trade"] = ("S0",)
    held_value = sum((line.price * line.held for line in lines), D(0))
    return Problem(D(random.randint(0, 5000)) - held_value / 4, tuple(lines), Options(**options))


def enumerated(problem: Problem) -> Decimal | None:
    """Return the least objective of all quantities that pass the check, None where none do: everything is tried."""
    ways = [list(_quantities(problem, at)) for at in range(len(problem.lines))]
    best: Decimal | None = None
    for each in product(*ways):
        if sum(value for value, _ in each) <= problem.spendable:
            cost = sum((cost for _, cost in each), D(0))
            best = cost if best is None else min(best, cost)
    return best


def _quantities(problem: Problem, at: int) -> Iterator[tuple[Decimal, Decimal]]:
    """Yield value and objective of every quantity of a line that passes the check, trying all up to the whole value."""
    line = problem.lines[at]
    lot, value = problem.lot(line.security_id), problem.market_value
    alone = {line.held} if may_stay(problem, line) else set[Decimal]()
    most = int(max(value, line.price * line.held) / (line.price * lot)) + 2
    wanted = line.held * line.price if problem.options.mode is Mode.TO_BAND else value * line.target / 100
    for quantity in sorted(alone | {lot * count for count in range(most)}):
        low, high = problem.band(line)
        if low <= quantity * line.price <= high:
            tried = [quantity if other is line else other.held for other in problem.lines]
            if all(violation.security_id != line.security_id for violation in check(problem, tried)):
                yield quantity * line.price, abs(wanted - quantity * line.price)


def portfolio(count: int, keep: str, seed: int, *, places: int = 2, **options: Any) -> Problem:
    """Return a portfolio of so many securities worth 2,000 each, of which ``keep`` percent have to be cash."""
    random = Random(f"{count} {keep} {seed}")
    weights = [1] * count
    for _ in range(190 - count):
        weights[random.randrange(count)] += 1
    value, lines = D(2000 * count), []
    for at in range(count):
        price = D(str(round(min(1000.0, max(1.0, 75 * math.exp(random.gauss(0, 0.7)))), places)))
        target, drift = D(weights[at]) / 2, D(random.choice(["0.5", "1", "2"]))
        held = D(int(value * target / 100 * D(random.randint(85, 115)) / 100 / price))
        lines.append(Line(f"S{at:04}", price, held, target, drift, drift))
    cash = value - sum((line.price * line.held for line in lines), D(0))
    return Problem(cash, tuple(lines), Options(min_cash_percent=D(keep), **options))


def after(problem: Problem, quantities: Sequence[Decimal]) -> Problem:
    """Return the problem as it is once these quantities are held."""
    cash = problem.cash
    for line, quantity in zip(problem.lines, quantities, strict=True):
        cash = EXACT.subtract(cash, EXACT.multiply(EXACT.subtract(quantity, line.held), line.price))
    lines = tuple(
        Line(line.security_id, line.price, quantity, line.target, line.low_drift, line.high_drift)
        for line, quantity in zip(problem.lines, quantities, strict=True)
    )
    return Problem(cash, lines, problem.options)
