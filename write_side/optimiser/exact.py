"""The problem in whole numbers: what each security may have, what it would have at best, and what that costs.

All values are integers in units of ``1 / scale`` of the currency, so nothing is rounded. A *pick* of a security is the
number of its lots, or ``STAY`` for what is held, left as it is (which may be no whole number of lots).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Final

import msgspec

from domain.rebalance.checking import may_stay
from domain.rebalance.options import Mode
from domain.rebalance.problem import Line, Problem
from domain.values import EXACT, places

STAY: Final = -1
"""The pick of a security that is left as it is held."""


class Choice(msgspec.Struct, frozen=True, gc=False):
    """What one security may have.

    ``lot`` is the value of one lot, ``held`` that of what is held, ``target`` the value to be near to. ``ranges`` are
    the allowed numbers of lots, disjoint and rising; ``stay``: what is held is allowed as it is. Where nothing is
    allowed there are no ranges and no stay.
    """

    lot: int
    held: int
    target: int
    ranges: tuple[tuple[int, int], ...]
    stay: bool

    @property
    def empty(self) -> bool:
        """Whether nothing is allowed."""
        return not self.ranges and not self.stay

    def value(self, pick: int) -> int:
        """Return the value of a pick."""
        return self.held if pick == STAY else pick * self.lot

    def cost(self, pick: int) -> int:
        """Return how far a pick is from the target."""
        return abs(self.target - self.value(pick))

    def lowest(self) -> int:
        """Return the pick of the least value; there has to be one."""
        if not self.ranges or (self.stay and self.held < self.ranges[0][0] * self.lot):
            return STAY
        return self.ranges[0][0]

    def nearest(self) -> int:
        """Return the pick nearest to the target; of two, that nearer to what is held, then the lower one."""
        held, target = self.held, self.target

        def rank(pick: int) -> tuple[int, int, int]:
            value = self.value(pick)
            return abs(target - value), abs(held - value), value

        return min(self._candidates(), key=rank)

    def _candidates(self) -> Iterator[int]:
        """Yield picks among which the nearest to the target is."""
        below, above = self.target // self.lot, -(-self.target // self.lot)
        for low, high in self.ranges:
            yield min(max(below, low), high)
            yield min(max(above, low), high)
        if self.stay:
            yield STAY

    def may_hold(self) -> int | None:
        """Return the pick that trades nothing, None where that is not allowed."""
        if self.stay:
            return STAY
        lots, rest = divmod(self.held, self.lot)
        return lots if not rest and any(low <= lots <= high for low, high in self.ranges) else None


class Exact:
    """A problem in whole numbers: ``choices`` by line, and ``spendable``, what they may cost together."""

    def __init__(self, problem: Problem, *, banded: bool = True) -> None:
        """``banded`` False: as if there were no bands (for what comes nearest to them)."""
        self.problem = problem
        lines, options = problem.lines, problem.options
        of_prices = max((places(line.price) for line in lines), default=0)
        of_lots = max(map(places, options.lot_size.values()), default=0)
        of_held = max((places(line.held) for line in lines), default=0)
        of_money = max(of_prices + max(of_lots, of_held), places(problem.cash), places(options.min_cash))
        of_money = max(of_money, places(options.min_trade))
        percents = {number for line in lines for number in (line.target, line.low_drift, line.high_drift)}
        of_percent = max(map(places, percents), default=0)
        self._of_percent = max(of_percent, places(options.min_cash_percent))
        self._of_money = of_money
        self.scale = 10 ** (of_money + self._of_percent + 2)
        """So many units are one of the currency; a hundredth for the percent is in it."""
        self._banded = banded
        self.spendable = self.whole(problem.spendable)
        self._value: int = self.whole(problem.market_value) // 10 ** (self._of_percent + 2)

    def whole(self, money: Decimal) -> int:
        """Return money in units; raises ``decimal.Inexact`` where it is no whole number of them."""
        digits = self._of_money + self._of_percent + 2
        return int(EXACT.to_integral_exact(EXACT.scaleb(money, digits)))

    def money(self, units: int) -> Decimal:
        """Return units as money, exactly."""
        return EXACT.scaleb(Decimal(units), -(self._of_money + self._of_percent + 2))

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        """What each security may have, in the order of the lines."""
        return tuple(self._choice(line) for line in self.problem.lines)

    def quantities(self, picks: Sequence[int]) -> tuple[Decimal, ...]:
        """Return the quantity of each pick."""
        problem = self.problem
        return tuple(
            line.held if pick == STAY else EXACT.multiply(problem.lot(line.security_id), Decimal(pick))
            for line, pick in zip(problem.lines, picks, strict=True)
        )

    def _part(self, percent: Decimal) -> int:
        """Return so many percent of the market value in units."""
        steps = int(EXACT.scaleb(percent, self._of_percent))
        return self._value * steps

    def _choice(self, line: Line) -> Choice:
        problem, options = self.problem, self.problem.options
        lot = self.whole(EXACT.multiply(problem.lot(line.security_id), line.price))
        held = self.whole(EXACT.multiply(line.held, line.price))
        bottom = self._part(EXACT.subtract(line.target, line.low_drift))
        top = self._part(EXACT.add(line.target, line.high_drift))
        inside = bottom <= held <= top
        target = held if options.mode is Mode.TO_BAND else self._part(line.target)
        allowed = inside or not self._banded
        if line.security_id in options.do_not_trade or (options.mode is Mode.BREACHED_ONLY and inside):
            return Choice(lot, held, target, (), allowed)
        low, high = max(0, -(-bottom // lot)), top // lot
        if not self._banded:
            low, high = 0, max(self._value_of_all(), held) // lot + 1
        if options.buy_only:
            low = max(low, -(-held // lot))
        if options.sell_only:
            high = min(high, held // lot)
        stay = allowed and may_stay(problem, line)
        ranges = _without(low, high, held, lot, self.whole(options.min_trade) if inside else 0)
        return Choice(lot, held, target, ranges, stay)

    def _value_of_all(self) -> int:
        return self.whole(self.problem.market_value)


def _without(low: int, high: int, held: int, lot: int, smallest: int) -> tuple[tuple[int, int], ...]:
    """Return the ranges between low and high without those lots that would be a trade of less than ``smallest``."""
    if not smallest:
        return ((low, high),) if low <= high else ()
    below, above = (held - smallest) // lot, -(-(held + smallest) // lot)
    parts = ((low, min(high, below)), (max(low, above), high))
    return tuple((first, last) for first, last in parts if first <= last)
