"""Many problems at once, exactly: the lines of all portfolios as arrays of 64-bit integers.

Nothing is rounded, and no float decides anything (``pairs.py`` has the arithmetic). A portfolio whose figures do not
fit into 64 bits goes the single way, in Python's integers (``exact.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import chain, repeat
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from domain.rebalance.checking import check, objective
from domain.rebalance.options import Mode, Options
from domain.rebalance.problem import Problem
from domain.values import EXACT
from write_side.optimiser.exact import STAY, Exact
from write_side.optimiser.pairs import (
    FINE,
    LIMB,
    MOST,
    Flags,
    Numbers,
    Pair,
    added,
    before,
    choose,
    difference,
    lots_above,
    part,
    sums,
)
from write_side.optimiser.rows import Models, row, worth

Picks: TypeAlias = tuple[int, ...]


def closed_forms(problems: Sequence[Problem]) -> list[Picks | None]:
    """Return for each problem the picks nearest to the targets, as ``Choice.nearest`` has them.

    They are the optimum, since the objective is a sum over the lines. None: nothing is allowed for one of the lines,
    or together they cost more than may be spent.
    """
    return Batch(problems).closed_forms()


def valid(problems: Sequence[Problem], picks: Sequence[Picks]) -> list[bool]:
    """Return for each problem whether its picks satisfy every rule, as ``domain.rebalance.check`` decides it.

    Raises ``ValueError`` for more or fewer picks than lines.
    """
    return Batch(problems).valid(picks)


class Batch:
    """Problems as arrays; those that do not fit into them are kept aside and decided one by one."""

    def __init__(self, problems: Sequence[Problem], models: Models | None = None) -> None:
        """``models``: what is known already of the models of batches before, and will be of these."""
        self._problems = problems
        known: Models = {} if models is None else models
        rows = (row(index, problem, known) for index, problem in enumerate(problems))
        self._rows = [each for each in rows if each is not None]
        if self._rows:
            self._fill()

    def taken(self) -> list[bool]:
        """Return which problems are decided in the arrays."""
        fitting = {each.at for each, fits in zip(self._rows, self._fits, strict=True) if fits} if self._rows else set()
        return [index in fitting for index in range(len(self._problems))]

    def closed_forms(self) -> list[Picks | None]:
        """Return what the function of that name does."""
        found: list[Picks | None] = [None] * len(self._problems)
        alone = set(range(len(self._problems)))
        if self._rows:
            picks, allowed = self._nearest()
            told = zip(self._rows, self._split(picks), self._all(allowed), self._paid(self._value(picks)), strict=True)
            for each, mine, there, paid in told:
                if paid is not None:
                    alone.remove(each.at)
                    found[each.at] = tuple(mine) if there and paid else None
        for index in alone:
            found[index] = _closed_form(Exact(self._problems[index]))
        return found

    def valid(self, picks: Sequence[Picks]) -> list[bool]:
        """Return what the function of that name does."""
        for problem, mine in zip(self._problems, picks, strict=True):
            if len(problem.lines) != len(mine):
                raise ValueError(f"{len(mine)} picks for {len(problem.lines)} lines")
        found: list[bool | None] = [None] * len(self._problems)
        if self._rows:
            for each, verdict in zip(self._rows, self._verdicts([picks[each.at] for each in self._rows]), strict=True):
                found[each.at] = verdict
        return [
            _valid(problem, mine) if verdict is None else verdict
            for problem, mine, verdict in zip(self._problems, picks, found, strict=True)
        ]

    def objectives(self, picks: Sequence[Picks]) -> list[Decimal]:
        """Return what the picks of each problem reach of what its mode minimises, exactly, in money."""
        found: list[Decimal | None] = [None] * len(self._problems)
        if self._rows:
            chosen, clear = self._chosen([picks[each.at] for each in self._rows])
            value, target = self._value(chosen), self._target()
            less = before(value, target)
            apart = difference(choose(less, target, value), choose(less, value, target))
            for each, units, known in zip(self._rows, sums(apart, self._starts), clear, strict=True):
                if known:
                    found[each.at] = EXACT.scaleb(Decimal(units), -16 - each.model.places)
        return [
            objective(problem, Exact(problem).quantities(mine)) if reached is None else reached
            for problem, mine, reached in zip(self._problems, picks, found, strict=True)
        ]

    def _fill(self) -> None:
        """Make the arrays of values: what is held, and the bands."""
        rows = self._rows
        counts = [len(each.held) for each in rows]
        self._counts = np.array(counts, np.int64)
        self._starts = np.cumsum(self._counts) - self._counts
        prices, self._lots = self._of("prices"), self._of("lots")
        held = np.array([quantity for each in rows for quantity in each.held], np.int64)
        unit = self._each(10**each.digits for each in rows)
        shares = held // unit
        parts = (held - shares * unit) * prices
        steps = parts // unit
        self._held: Pair = shares * prices + steps, (parts - steps * unit) * (FINE // unit)
        self._values = [each.cash + value for each, value in zip(rows, sums(self._held, self._starts), strict=True)]
        self._fits = [worth(value) for value in self._values]
        shown = [value // LIMB if fits else 0 for value, fits in zip(self._values, self._fits, strict=True)]
        self._limbs = (
            self._each(value // FINE for value in shown),
            self._each(value // LIMB % LIMB for value in shown),
            self._each(value % LIMB for value in shown),
        )
        self._bottom, self._top = part(self._limbs, self._of("bottoms")), part(self._limbs, self._of("tops"))
        self._inside = ~(before(self._held, self._bottom) | before(self._top, self._held))
        self._locked = self._of("locked")
        self._fixed = self._locked | (self._told(lambda told: told.mode is Mode.BREACHED_ONLY) & self._inside)
        self._buy_only, self._sell_only = (
            self._told(lambda told: told.buy_only),
            self._told(lambda told: told.sell_only),
        )
        self._smallest: Pair = (
            self._each(each.model.smallest[0] for each in rows),
            self._each(each.model.smallest[1] for each in rows),
        )
        self._bound = self._inside & ((self._smallest[0] > 0) | (self._smallest[1] > 0))
        at_ease = self._told(lambda told: told.mode is not Mode.TO_TARGET or bool(told.min_trade))
        self._may_stay = self._locked | self._buy_only | self._sell_only | at_ease

    def _nearest(self) -> tuple[Numbers, Flags]:
        """Return the pick of every line nearest to its target, and for which lines anything is allowed."""
        lots, held, target = self._lots, self._held, self._target()
        twice, twice_held, no_rest = added(target, target), added(held, held), np.zeros((), np.int64)

        def higher(together: Pair) -> Flags:
            """Whether of two values with this sum the higher is better: nearer to the target, else to what is held."""
            better, even = before(together, twice), (together[0] == twice[0]) & (together[1] == twice[1])
            return better | (even & before(together, twice_held)) if even.any() else better

        floor = target[0] // lots
        ceiling = floor + ((floor * lots != target[0]) | (target[1] > 0))
        picks, allowed = np.zeros_like(floor), np.zeros_like(floor, np.bool_)
        for first, last in self._ranges():
            for wanted in (floor, ceiling):  # so they rise
                others, there = np.minimum(np.maximum(wanted, first), last), first <= last
                picks = np.where(there & (~allowed | higher(((picks + others) * lots, no_rest))), others, picks)
                allowed = allowed | there
        if (stays := self._inside & self._may_stay).any():
            value = self._value(picks)
            up = higher(added(value, held))
            better = (before(value, held) & up) | (before(held, value) & ~up)
            picks, allowed = np.where(stays & (~allowed | better), STAY, picks), allowed | stays
        return picks, allowed

    def _target(self) -> Pair:
        """Return the value that each line is to be near to."""
        target = part(self._limbs, self._of("targets"))
        to_band = self._told(lambda told: told.mode is Mode.TO_BAND)
        return choose(to_band, self._held, target) if to_band.any() else target

    def _ranges(self) -> list[tuple[Numbers, Numbers]]:
        """Return the allowed numbers of lots, line by line: first and last of rising ranges; empty if first > last."""
        lots, held = self._lots, self._held
        low, high = lots_above(self._bottom, lots), self._top[0] // lots
        if self._buy_only.any():
            low = np.where(self._buy_only, np.maximum(low, lots_above(held, lots)), low)
        if self._sell_only.any():
            high = np.where(self._sell_only, np.minimum(high, held[0] // lots), high)
        if self._fixed.any():
            high = np.where(self._fixed, low - 1, high)
        if not self._bound.any():
            return [(low, high)]
        below = difference(held, self._smallest)[0] // lots  # between these two it would be too small a trade
        above = lots_above(added(held, self._smallest), lots)
        return [
            (low, np.where(self._bound, np.minimum(high, below), high)),
            (np.where(self._bound, np.maximum(low, above), high + 1), high),
        ]

    def _value(self, picks: Numbers) -> Pair:
        value, stays = (picks * self._lots, np.zeros_like(picks)), picks == STAY
        return choose(stays, self._held, value) if stays.any() else value

    def _verdicts(self, picks: Sequence[Picks]) -> list[bool | None]:
        """Return for each row whether its picks are valid, None where that cannot be told here."""
        chosen, clear = self._chosen(picks)
        value, held = self._value(chosen), self._held
        less, more = before(value, held), before(held, value)
        wrong = before(value, self._bottom) | before(self._top, value)
        wrong |= (less & self._buy_only) | (more & self._sell_only) | ((less | more) & self._fixed)
        if self._bound.any():
            traded = choose(less, difference(held, value), difference(value, held))
            wrong |= (less | more) & self._bound & before(traded, self._smallest)
        broken = (held[1] > 0) | (held[0] % self._lots > 0)
        wrong |= (chosen == STAY) & broken & ~self._may_stay
        told = zip(clear, self._all(~wrong), self._paid(value), strict=True)
        return [right and bool(paid) if known else None for known, right, paid in told]

    def _chosen(self, picks: Sequence[Picks]) -> tuple[Numbers, list[bool]]:
        """Return the picks of all rows as numbers, and which rows are as they were given: the others do not fit."""
        fits = [fit and min(mine) >= STAY and max(mine) <= MOST for fit, mine in zip(self._fits, picks, strict=True)]
        flat = chain.from_iterable(mine if fit else repeat(0, len(mine)) for mine, fit in zip(picks, fits, strict=True))
        chosen = np.array(list(flat), np.int64)
        safe = chosen <= MOST // self._lots * 4
        clear = [fit and all_safe for fit, all_safe in zip(fits, self._all(safe), strict=True)]
        return np.where(safe, chosen, 0), clear

    def _paid(self, value: Pair) -> list[bool | None]:
        """Return for each row whether so much may be spent, None where its value does not fit."""
        costs = sums(value, self._starts)
        told = zip(self._rows, self._values, costs, self._fits, strict=True)
        return [cost <= each.model.spendable(value) if fits else None for each, value, cost, fits in told]

    def _all(self, flags: Flags) -> list[bool]:
        found: list[bool] = np.logical_and.reduceat(flags, self._starts).tolist()
        return found

    def _split(self, numbers: Numbers) -> Iterator[list[int]]:
        flat, starts = numbers.tolist(), self._starts.tolist()
        return (flat[start:end] for start, end in zip(starts, [*starts[1:], len(flat)], strict=True))

    def _of(self, name: str) -> NDArray[Any]:
        """Return an array of the models, line by line."""
        return np.concatenate([getattr(each.model, name) for each in self._rows])

    def _told(self, about: Callable[[Options], bool]) -> Flags:
        """Return what options say, line by line; one flag for all lines where it is the same."""
        told: Flags = self._each(about(each.model.options) for each in self._rows) != 0
        return told

    def _each(self, numbers: Iterable[int]) -> Numbers:
        """Return the number of each row, line by line; one number for all lines where it is the same."""
        given = np.fromiter(numbers, np.int64, len(self._rows))
        return np.repeat(given, self._counts) if (given != given[0]).any() else given[0, ...]


def _closed_form(exact: Exact) -> Picks | None:
    """Return the closed form of one problem."""
    choices = exact.choices
    if any(choice.empty for choice in choices):
        return None
    picks = tuple(choice.nearest() for choice in choices)
    cost = sum(choice.value(pick) for choice, pick in zip(choices, picks, strict=True))
    return picks if cost <= exact.spendable else None


def _valid(problem: Problem, picks: Picks) -> bool:
    """Return whether the picks of one problem satisfy every rule."""
    return min(picks, default=0) >= STAY and not check(problem, Exact(problem).quantities(picks))
