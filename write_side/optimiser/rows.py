"""Problems read into whole numbers of 64 bits, where they fit: what many portfolios share, and what each one has."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, Inexact
from functools import lru_cache
from itertools import repeat
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from msgspec.structs import astuple

from domain.rebalance.options import Options
from domain.rebalance.problem import Problem
from domain.values import EXACT, ONE, places
from write_side.optimiser.pairs import FINE, LIMB, MOST

_PERCENT_PLACES: Final = 6
_STEPS: Final = tuple((digits, Decimal(10**digits)) for digits in (2, 4, 8))
_NEVER: Final = 2**63 - 1
_UNITS: Final = tuple((digits, Decimal(10**digits)) for digits in (0, 4, 8))


class Model:
    """What portfolios with the same securities, prices, weights and options share.

    ``places`` are those of a *step*, the last place of the prices of lots; weights are in millionths of a percent.
    Raises ``decimal.Inexact`` or ``OverflowError`` for figures that do not fit.
    """

    def __init__(self, columns: tuple[tuple[Decimal, ...], ...], options: Options, ids: tuple[str, ...]) -> None:
        self.columns, self.options = columns, options
        prices, targets, below, above = columns
        lots = prices
        if options.lot_size:
            sizes = (options.lot_size.get(security_id, ONE) for security_id in ids)
            lots = tuple(EXACT.multiply(price, size) for price, size in zip(prices, sizes, strict=True))
        self.places = _enough_places((*prices, *lots) if options.lot_size else prices)
        unit = Decimal(10**self.places)
        self.steps = list(map(Decimal.__trunc__, map(EXACT.multiply, prices, repeat(unit))))
        of_lots = self.steps
        if options.lot_size:
            of_lots = list(map(Decimal.__trunc__, map(EXACT.multiply, lots, repeat(unit))))
        self.keep = _whole(options.min_cash, self.places + 8)
        self.keep_percent = _whole(options.min_cash_percent, 8)
        whole, rest = divmod(_whole(options.min_trade, self.places + 8), LIMB)
        self.smallest = whole, rest * LIMB
        self.dearest = max(self.steps)
        if max(self.dearest, *of_lots, whole) > MOST:
            raise OverflowError("prices, lots or the smallest trade do not fit into 64 bits")
        self.prices, self.lots = np.array(self.steps, np.int64), np.array(of_lots, np.int64)
        weights, low, high = (np.array(list(map(_millionths, column)), np.int64) for column in (targets, below, above))
        self.targets, self.bottoms, self.tops = weights, np.maximum(weights - low, 0), weights + high
        if min(weights.min(), low.min(), high.min()) < 0 or self.tops.max() > 2 * LIMB:
            raise OverflowError("weights are not between 0 and 200 percent")
        self.locked = np.array([security_id in options.do_not_trade for security_id in ids], np.bool_)

    def spendable(self, value: int) -> int:
        """Return what a portfolio of this value may spend, rounded down; both in units of 1E-16 of a step."""
        return value - self.keep * LIMB + -value * self.keep_percent // 10**10


Models: TypeAlias = dict[tuple[str, ...], Model]
"""By the securities, the model that was met last with them."""


class Row(NamedTuple):
    """A portfolio in numbers: quantities in units of ``10**-digits``, cash in units of 1E-16 of a step."""

    at: int
    model: Model
    held: list[int]
    digits: int
    cash: int


def row(at: int, problem: Problem, models: Models) -> Row | None:
    """Return a problem as a row, None where it does not fit; ``models`` keeps the last model of the same securities."""
    if not problem.lines:
        return None
    ids, prices, held, *weights = zip(*map(astuple, problem.lines), strict=True)
    columns, options = (prices, *weights), problem.options
    try:
        model = models.get(ids)
        if model is None or model.columns != columns or (model.options is not options and model.options != options):
            models[ids] = model = Model(columns, options, ids)
        cash = _whole(problem.cash, model.places + 8) * LIMB
    except (Inexact, OverflowError):
        return None
    for digits, unit in _UNITS:
        try:
            exact = map(EXACT.to_integral_exact, map(EXACT.multiply, held, repeat(unit)) if digits else held)
            quantities = list(map(Decimal.__trunc__, exact))
        except Inexact:
            continue
        return Row(at, model, quantities, digits, cash) if _small(quantities, digits, model) else None
    return None


def worth(value: int) -> bool:
    """Whether a market value, in units of 1E-16 of a step, is positive and small enough."""
    return 0 < value <= MOST * FINE


def _small(quantities: list[int], digits: int, model: Model) -> bool:
    """Whether nothing is short, and each quantity can be multiplied with its price."""
    unit, most = 10**digits, max(quantities)
    if min(quantities) < 0 or max(most, model.dearest * unit) > _NEVER:
        return False
    limit = MOST * unit
    return most * model.dearest <= limit or all(
        quantity * price <= limit for quantity, price in zip(quantities, model.steps, strict=True)
    )


def _whole(number: Decimal, digits: int) -> int:
    """Return the number in units of ``10**-digits``; raises ``decimal.Inexact`` where it is no whole number of them."""
    return int(EXACT.to_integral_exact(EXACT.scaleb(number, digits)))


@lru_cache(10_000)
def _millionths(percent: Decimal) -> int:
    """Return a percentage in millionths of one."""
    return _whole(percent, _PERCENT_PLACES)


def _enough_places(numbers: Sequence[Decimal]) -> int:
    """Return how many decimal places are enough for these numbers: the fewest of 2, 4 and 8, else what they need."""
    for digits, unit in _STEPS:
        try:
            for number in map(EXACT.multiply, numbers, repeat(unit)):
                EXACT.to_integral_exact(number)
        except Inexact:
            continue
        return digits
    return max(map(places, numbers))
