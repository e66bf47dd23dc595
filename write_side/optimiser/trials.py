"""Repairs tried out: what a problem is like after some fixes, and whether it then has allowed quantities.

A problem has some exactly when every security has one and the least of them together cost no more than may be spent.
Whether a security has one, and its least, depends on the others through the market value only, which no fix changes:
so after a change of one security only that one is looked at again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import cached_property
from types import MappingProxyType
from typing import Final

from msgspec.structs import replace

from domain.investment_model.rules import MAX_POSITIONS, MAX_TARGET
from domain.rebalance import Fix, Line, Mode, Options, Problem
from domain.values import EXACT, ZERO, summed
from write_side.optimiser.exact import Choice, Exact

NOTHING: Final = Fix()
FOR_ONE: Final = frozenset({"do_not_trade", "lot_size"})
"""The options that a fix of a security drops for this security alone."""
FOR_ALL: Final[Mapping[str, object]] = {
    "mode": Mode.TO_TARGET,
    "buy_only": False,
    "sell_only": False,
    "do_not_trade": (),
    "min_trade": ZERO,
    "lot_size": {},
}
"""The options that a fix of the whole portfolio may drop, and what they are then."""


def repaired(problem: Problem, fixes: Mapping[str, Fix], overall: Fix = NOTHING) -> Problem:
    """Return the problem after a fix for each of these securities, and one of the whole portfolio."""
    drops = _for_all(fixes.values()) | set(overall.drop)
    names = {option: {name for name, fix in fixes.items() if option in fix.drop} for option in FOR_ONE}
    options = _without(problem.options, drops)
    options = replace(
        options,
        do_not_trade=tuple(name for name in options.do_not_trade if name not in names["do_not_trade"]),
        lot_size={name: lot for name, lot in options.lot_size.items() if name not in names["lot_size"]},
        **_cash_to_keep([*fixes.values(), overall]),
    )
    lines = tuple(widened(_changed(line, fixes.get(line.security_id, NOTHING)), overall) for line in problem.lines)
    return Problem(problem.cash, lines, options)


def widened(line: Line, overall: Fix) -> Line:
    """Return the security after a fix of the portfolio that sets ``low_drift``: of the model's, none is below that."""
    least = overall.set.get("low_drift", ZERO)
    if not line.target or line.low_drift >= least:
        return line
    return Line(line.security_id, line.price, line.held, line.target, least, max(least, line.high_drift))


class TimeOver(Exception):
    """No more fixes are to be tried."""


def never() -> bool:
    """Time is never over."""
    return False


class Trial:
    """A problem on which fixes are tried; a security is called by its place among the lines."""

    def __init__(self, problem: Problem, over: Callable[[], bool] = never) -> None:
        """``over``: whether no more fixes are to be tried; then those who try get ``TimeOver``."""
        self.problem, self.over = problem, over
        self._least: dict[tuple[object, ...], Decimal | None] = {}
        self._free: dict[tuple[int, frozenset[str]], tuple[Exact, Choice]] = {}
        self._wholes: dict[frozenset[str], Minima] = {}

    @property
    def minima(self) -> list[Decimal | None]:
        """The least value that each security may have, None where it may have none."""
        return self.whole(frozenset()).each

    @cached_property
    def minimum(self) -> Decimal:
        """What they cost together."""
        return self.whole(frozenset()).total

    @cached_property
    def empty(self) -> list[int]:
        """The securities without an allowed quantity."""
        return sorted(self.whole(frozenset()).empty)

    @cached_property
    def unbanded(self) -> Exact:
        """The whole problem, as if there were no bands."""
        return Exact(self.problem, banded=False)

    @cached_property
    def room(self) -> Decimal:
        """The percentages that targets may still rise together."""
        return max(ZERO, EXACT.subtract(MAX_TARGET, summed(line.target for line in self.problem.lines)))

    @cached_property
    def full(self) -> bool:
        """Whether the model has no room for another security."""
        return self._modelled >= MAX_POSITIONS

    def free(self, place: int, drops: frozenset[str] = frozenset()) -> tuple[Exact, Choice]:
        """Return what a security may have without some options, as if it had no band."""
        if (place, drops) not in self._free:
            self._free[place, drops] = self.alone(place, drops=drops, banded=False)
        return self._free[place, drops]

    def alone(
        self, place: int, fix: Fix = NOTHING, drops: frozenset[str] = frozenset(), *, banded: bool = True
    ) -> tuple[Exact, Choice]:
        """Return what a security may have after its fix and without some options: exactly as among all the others."""
        line = _changed(self.problem.lines[place], fix)
        name, options = line.security_id, _without(self.problem.options, drops | _for_all([fix]))
        locked = name in options.do_not_trade and "do_not_trade" not in fix.drop
        lots = {name: options.lot_size[name]} if name in options.lot_size and "lot_size" not in fix.drop else {}
        options = replace(options, do_not_trade=(name,) if locked else (), lot_size=lots)
        rest = EXACT.subtract(self.problem.market_value, EXACT.multiply(line.held, line.price))
        exact = Exact(Problem(rest, (line,), options), banded=banded)
        return exact, exact.choices[0]

    def least(self, place: int, fix: Fix = NOTHING, drops: frozenset[str] = frozenset()) -> Decimal | None:
        """Return the least value that a security may have then, None where it may have none."""
        key = (place, tuple(fix.set.items()), fix.drop, drops)
        if key not in self._least:
            exact, choice = self.alone(place, fix, drops)
            self._least[key] = None if choice.empty else exact.money(choice.value(choice.lowest()))
        return self._least[key]

    def short_by(self, fixes: Mapping[int, Fix], overall: Fix = NOTHING) -> Decimal | None:
        """Return by how much the least quantities then cost more than may be spent (0 or less: it is repaired).

        None where a security then has none, or the targets would be more than a model may have.
        """
        return Together(self, fixes, overall).short_by()

    def repairs(self, fixes: Mapping[int, Fix], overall: Fix = NOTHING) -> bool:
        """Whether there are allowed quantities then."""
        short = self.short_by(fixes, overall)
        return short is not None and short <= 0

    def repairs_as_whole(self, overall: Fix) -> bool:
        """Whether there are allowed quantities after a fix of the portfolio that changes securities too."""
        self.go_on()
        minima = Minima(repaired(self.problem, {}, overall))
        return not minima.empty and minima.total <= minima.spendable

    def go_on(self) -> None:
        """Raise ``TimeOver`` where nothing more is to be tried."""
        if self.over():
            raise TimeOver

    def whole(self, drops: frozenset[str]) -> Minima:
        """Return the minima of all without some options."""
        if drops not in self._wholes:
            options = _without(self.problem.options, drops)
            self._wholes[drops] = Minima(Problem(self.problem.cash, self.problem.lines, options))
        return self._wholes[drops]

    def growth(self, place: int, fix: Fix) -> tuple[Decimal, int]:
        """Return by how much the targets together, and by how many their number, rise with the fix of a security."""
        before = self.problem.lines[place].target
        after = fix.set.get("target", before)
        return EXACT.subtract(after, before), bool(after) - bool(before)

    def may_grow(self, rise: Decimal, more: int) -> bool:
        """Whether the targets together, and how many there are, are then such as a model may have."""
        return rise <= self.room and (more <= 0 or self._modelled + more <= MAX_POSITIONS)

    @cached_property
    def _modelled(self) -> int:
        return sum(1 for line in self.problem.lines if line.target)


class Together:
    """Fixes of securities with one of the portfolio, and what becomes of them with other ones for a few securities.

    All are added up once; a change is looked at by itself. Fixes of securities leave the cash to keep as it is.
    """

    def __init__(self, trial: Trial, fixes: Mapping[int, Fix], overall: Fix = NOTHING) -> None:
        self._trial, self._overall = trial, frozenset(overall.drop)
        self._fixes: dict[int, Fix] = {}
        self._dropped: Counter[str] = Counter()
        self._rise, self._more = ZERO, 0
        self._sums: dict[frozenset[str], tuple[Decimal, int]] = {}
        kept = replace(trial.problem.options, **_cash_to_keep([overall]))
        self._spendable = Problem(trial.problem.market_value, (), kept).spendable
        self.take(fixes)

    def take(self, changes: Mapping[int, Fix]) -> None:
        """Have these fixes from now on."""
        self._dropped, self._rise, self._more = self._with(changes)
        self._sums = {drops: self._changed(drops, before, changes) for drops, before in self._sums.items()}
        self._fixes |= changes

    def short_by(self, changes: Mapping[int, Fix | None] = MappingProxyType({})) -> Decimal | None:
        """Return what ``Trial.short_by`` says of the fixes with these changes: another fix of a security, or none."""
        self._trial.go_on()
        dropped, rise, more = self._with(changes)
        drops = self._overall | {option for option, count in dropped.items() if count}
        if drops not in self._sums:
            self._sums[drops] = self._sum(drops)
        total, amiss = self._changed(drops, self._sums[drops], changes)
        if amiss or not self._trial.may_grow(rise, more):
            return None
        return EXACT.subtract(total, self._spendable)

    def repairs(self, changes: Mapping[int, Fix | None] = MappingProxyType({})) -> bool:
        """Whether there are allowed quantities then."""
        short = self.short_by(changes)
        return short is not None and short <= 0

    def _with(self, changes: Mapping[int, Fix | None]) -> tuple[Counter[str], Decimal, int]:
        """Return how often each option is dropped, and the growth of the model, after changes."""
        dropped, rise, more = self._dropped.copy(), self._rise, self._more
        for place, fix in changes.items():
            for new, sign in ((self._fixes.get(place), -1), (fix, 1)):
                if new is not None:
                    dropped.update(dict.fromkeys(_for_all([new]), sign))
                    by, number = self._trial.growth(place, new)
                    rise, more = EXACT.add(rise, EXACT.multiply(by, Decimal(sign))), more + sign * number
        return dropped, rise, more

    def _sum(self, drops: frozenset[str]) -> tuple[Decimal, int]:
        """Return the least that all cost together without some options, and how many have no quantity."""
        whole = self._trial.whole(drops)
        total, amiss = whole.total, len(whole.empty)
        for place, fix in self._fixes.items():
            self._trial.go_on()
            value, none = self._least(place, fix, drops)
            total, amiss = EXACT.add(total, EXACT.subtract(value, whole.each[place] or ZERO)), amiss + none
            amiss -= place in whole.empty
        return total, amiss

    def _changed(
        self, drops: frozenset[str], before: tuple[Decimal, int], changes: Mapping[int, Fix | None]
    ) -> tuple[Decimal, int]:
        """Return what becomes of such a sum by changes."""
        total, amiss = before
        for place, fix in changes.items():
            old, without = self._least(place, self._fixes.get(place), drops)
            new, none = self._least(place, fix, drops)
            total, amiss = EXACT.add(total, EXACT.subtract(new, old)), amiss + none - without
        return total, amiss

    def _least(self, place: int, fix: Fix | None, drops: frozenset[str]) -> tuple[Decimal, bool]:
        """Return the least value of a security, 0 where it has none, and whether that is so."""
        least = self._trial.whole(drops).each[place] if fix is None else self._trial.least(place, fix, drops)
        return (ZERO, True) if least is None else (least, False)


class Minima:
    """The least value that each security of a problem may have, and their sum."""

    def __init__(self, problem: Problem) -> None:
        exact = Exact(problem)
        values = [None if choice.empty else choice.value(choice.lowest()) for choice in exact.choices]
        self.each = [None if value is None else exact.money(value) for value in values]
        self.empty = {place for place, value in enumerate(values) if value is None}
        self.total = exact.money(sum(value for value in values if value is not None))
        self.spendable = problem.spendable


def _changed(line: Line, fix: Fix) -> Line:
    """Return the security after its fix; one without a target is out of the model and has no drifts."""
    if not fix.set:
        return line
    figures = [fix.set.get(name, getattr(line, name)) for name in ("target", "low_drift", "high_drift")]
    return Line(line.security_id, line.price, line.held, *(figures if figures[0] else (ZERO, ZERO, ZERO)))


def _for_all(fixes: Iterable[Fix]) -> set[str]:
    """Return the options that these fixes of securities drop for all."""
    return {option for fix in fixes for option in fix.drop if option not in FOR_ONE}


def _without(options: Options, drops: Iterable[str]) -> Options:
    return replace(options, **{name: FOR_ALL[name] for name in drops})


def _cash_to_keep(fixes: Iterable[Fix]) -> dict[str, Decimal]:
    return {name: fix.set[name] for fix in fixes for name in ("min_cash", "min_cash_percent") if name in fix.set}
