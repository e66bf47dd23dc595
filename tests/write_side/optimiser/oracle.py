"""The rebalancing problem by enumeration, in fractions, written from the contract: slow, plain, and nobody else's code.

Nothing here is shared with the optimiser or with the judge in ``domain``: only the figures of a problem are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from math import ceil, floor

from domain.rebalance import Line, Mode, Problem

CENT = Fraction(1, 100)


class Oracle:
    """A problem in fractions: ``allowed`` quantities of each line, ``budget``, and what is best by enumeration."""

    def __init__(self, problem: Problem, *, banded: bool = True) -> None:
        """``banded`` False: every quantity that the options leave, inside its band or not."""
        self.lines = problem.lines
        self.options = problem.options
        self.value = Fraction(problem.cash) + sum(
            (_price(line) * Fraction(line.held) for line in problem.lines), Fraction()
        )
        kept = Fraction(self.options.min_cash) + self.value * Fraction(self.options.min_cash_percent) / 100
        self.budget = self.value - kept
        self._banded = banded
        self.allowed = [self._allowed(line) for line in self.lines]

    def band(self, line: Line) -> tuple[Fraction, Fraction]:
        """Return ``MV*(w-l)`` and ``MV*(w+h)``."""
        target, low, high = Fraction(line.target), Fraction(line.low_drift), Fraction(line.high_drift)
        return self.value * (target - low) / 100, self.value * (target + high) / 100

    def cost(self, line: Line, quantity: Fraction) -> Fraction:
        """Return what a quantity adds to the objective."""
        if self.options.mode is Mode.TO_BAND:
            return abs(quantity - Fraction(line.held)) * _price(line)
        return abs(self.value * Fraction(line.target) / 100 - quantity * _price(line))

    def breach(self, line: Line, quantity: Fraction) -> Fraction:
        """Return by how much money a quantity is outside the band."""
        low, high = self.band(line)
        return max(Fraction(), low - quantity * _price(line), quantity * _price(line) - high)

    def objective(self, quantities: Sequence[Fraction]) -> Fraction:
        """Return the sum of the costs."""
        return sum((self.cost(line, q) for line, q in zip(self.lines, quantities, strict=True)), Fraction())

    def breaches(self, quantities: Sequence[Fraction]) -> Fraction:
        """Return the sum of the breaches."""
        return sum((self.breach(line, q) for line, q in zip(self.lines, quantities, strict=True)), Fraction())

    def spent(self, quantities: Sequence[Fraction]) -> Fraction:
        """Return what quantities are worth together."""
        return sum((_price(line) * q for line, q in zip(self.lines, quantities, strict=True)), Fraction())

    def feasible(self, quantities: Sequence[Fraction]) -> bool:
        """Whether these quantities are allowed together."""
        each = all(q in allowed for q, allowed in zip(quantities, self.allowed, strict=True))
        return each and self.spent(quantities) <= self.budget

    def least(self) -> Fraction | None:
        """Return the least objective of all feasible quantities, None where there are none."""
        return self._least(self.cost)

    def least_breach(self) -> Fraction | None:
        """Return the least sum of breaches of all quantities that cash and the options leave."""
        return self._least(self.breach)

    def nearest(self) -> list[Fraction] | None:
        """Return per line the allowed quantity of least cost; of two the one nearer to what is held, then the lower."""
        if not all(self.allowed):
            return None
        return [self._best(line, allowed) for line, allowed in zip(self.lines, self.allowed, strict=True)]

    def _best(self, line: Line, allowed: Iterable[Fraction]) -> Fraction:
        return min(allowed, key=lambda q: (self.cost(line, q), abs(q - Fraction(line.held)), q))

    def _least(self, cost_of: Callable[[Line, Fraction], Fraction]) -> Fraction | None:
        reached: list[tuple[Fraction, Fraction]] = [(Fraction(), Fraction())]
        for line, allowed in zip(self.lines, self.allowed, strict=True):
            choices = [(q * _price(line), cost_of(line, q)) for q in allowed]
            reached = _undominated((spent + value, total + cost) for spent, total in reached for value, cost in choices)
        return min((total for spent, total in reached if spent <= self.budget), default=None)

    def _allowed(self, line: Line) -> list[Fraction]:
        """Return every quantity that the band and the options allow, one by one from the words of the contract."""
        low, high = self.band(line)
        price, lot, held = _price(line), Fraction(self.options.lot_size.get(line.security_id, 1)), Fraction(line.held)
        inside = low <= held * price <= high
        options, smallest = self.options, Fraction(self.options.min_trade)
        if not self._banded:
            low, high = Fraction(), max(self.value, held * price) + lot * price
        lots = range(max(0, ceil(low / (lot * price))), floor(high / (lot * price)) + 1)
        quantities = {count * lot for count in lots}
        is_locked = line.security_id in options.do_not_trade
        reluctant = is_locked or options.buy_only or options.sell_only or smallest or options.mode is not Mode.TO_TARGET
        if reluctant and low <= held * price <= high:  # what is held may stay although it is no whole number of lots
            quantities.add(held)
        if is_locked or (options.mode is Mode.BREACHED_ONLY and inside):
            quantities &= {held}
        if options.buy_only:
            quantities = {q for q in quantities if q >= held}
        if options.sell_only:
            quantities = {q for q in quantities if q <= held}
        if inside:
            quantities = {q for q in quantities if q == held or abs(q - held) * price >= smallest}
        return sorted(quantities)


def _price(line: Line) -> Fraction:
    return Fraction(line.price)


def _undominated(reached: Iterable[tuple[Fraction, Fraction]]) -> list[tuple[Fraction, Fraction]]:
    """Return the pairs of spent and total to which no other is at least as good in both."""
    kept: list[tuple[Fraction, Fraction]] = []
    for spent, total in sorted(reached):
        if not kept or total < kept[-1][1]:
            kept.append((spent, total))
    return kept
