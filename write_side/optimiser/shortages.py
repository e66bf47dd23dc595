"""What lowers the minimum holdings of a portfolio where together they cost more than may be spent."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from typing import Final

from domain.investment_model.rules import MAX_DRIFT, MAX_DRIFT_PLACES
from domain.rebalance import Fix
from domain.values import EXACT, ZERO, summed
from domain.values import places as places_of
from write_side.optimiser.picks import at_least
from write_side.optimiser.repairs import fewest, lowerings, tidy, told_for_all
from write_side.optimiser.trials import NOTHING, Trial

MOST_NAMED: Final = 10
_MILLION: Final = 10**MAX_DRIFT_PLACES


def greatest(trial: Trial) -> list[int]:
    """Return the securities whose minimum is the greatest."""
    minima = {place: least for place, least in enumerate(trial.minima) if least}
    return sorted(minima, key=lambda place: (-minima[place], place))[:MOST_NAMED]


def lowered(trial: Trial) -> dict[int, list[Fix]]:
    """Return the securities whose minimum is the greatest, and for each what lowers it, every one tried out.

    Each fix repairs alone where some can; else one fix of each of those that have to give way together.
    """
    minima, named = trial.minima, greatest(trial)
    short = EXACT.subtract(trial.minimum, trial.problem.spendable)
    found = {
        place: [fix for fix in lowerings(trial, place, short) if trial.repairs({place: fix})]
        for place in named
        if (minima[place] or ZERO) >= short
    }
    if any(found.values()):
        return {place: found.get(place, []) for place in named}
    together = _together(trial, named)
    return {place: together.get(place, []) for place in named}


def _together(trial: Trial, named: Sequence[int]) -> dict[int, list[Fix]]:
    """Return a change for each of as few of the securities as repair it together, none where all are not enough."""
    widening = _Widening(trial, named)
    drift = widening.smallest()
    if drift is None:
        return {}
    savings = {place: saved for place, saved in widening.savings(drift).items() if saved > 0}
    short = EXACT.subtract(trial.minimum, trial.problem.spendable)
    spare = EXACT.subtract(summed(savings.values()), short)
    for place in sorted(savings, key=lambda place: savings[place]):
        if savings[place] <= spare:
            spare = EXACT.subtract(spare, savings.pop(place))
    found = {}
    for place in sorted(savings, key=lambda place: -savings[place]):
        found[place] = lowerings(trial, place, EXACT.subtract(savings[place], spare))
        for fix in found[place][:1]:
            now = EXACT.subtract(trial.minima[place] or ZERO, trial.least(place, fix) or ZERO)
            spare = EXACT.subtract(EXACT.add(spare, now), savings[place])
    firsts = {place: fixes[0] for place, fixes in found.items() if fixes}
    return found if trial.repairs(firsts) else {}


class _Widening:
    """The minima of securities whose low drift is raised to the same figure, as far as it is below that."""

    def __init__(self, trial: Trial, places: Sequence[int]) -> None:
        lines, self._exact = trial.problem.lines, trial.unbanded
        weighted = [place for place in places if lines[place].target]
        digits = max(places_of(lines[place].target) for place in weighted) if weighted else 0
        self._fine = 10 ** max(0, digits - MAX_DRIFT_PLACES)
        self._value = self._exact.whole(trial.problem.market_value)
        self._places, self._starts = weighted, [self._exact.whole(trial.minima[place] or ZERO) for place in weighted]
        self._targets = [int(lines[place].target * _MILLION * self._fine) for place in weighted]
        self._lows = [int(lines[place].low_drift * _MILLION) for place in weighted]
        self._choices = [self._exact.choices[place] for place in weighted]
        self._spendable = self._exact.spendable - self._exact.whole(trial.minimum) + sum(self._starts)

    def smallest(self) -> Decimal | None:
        """Return the smallest drift with which all fit, None where none does."""
        low, high = -1, -(-max(self._targets, default=0) // self._fine)
        above, below = sum(self._starts) - self._spendable, self._spendable - sum(self._least(high))
        if high > MAX_DRIFT * _MILLION or below < 0:
            return None
        halve = False
        while high - low > 1:  # the costs fall nearly in a line: where it says, and the middle, in turns
            guess = (low + high) // 2 if halve else low + (high - low) * above // (above + below)
            guess, halve = min(max(guess, low + 1), high - 1), not halve
            spare = self._spendable - sum(self._least(guess))
            if spare >= 0:
                high, below = guess, spare
            else:
                low, above = guess, -spare
        return _percent(high)

    def savings(self, drift: Decimal) -> dict[int, Decimal]:
        """Return by how much the minimum of each security is lower then."""
        least = self._least(int(EXACT.scaleb(drift, MAX_DRIFT_PLACES)))
        saved = zip(self._places, self._starts, least, strict=True)
        return {place: self._exact.money(start - new) for place, start, new in saved}

    def _least(self, millionths: int) -> list[int]:
        """Return the least value of each security with this low drift."""
        found, unit = list(self._starts), 100 * _MILLION * self._fine
        for index, (start, low, target) in enumerate(zip(self._starts, self._lows, self._targets, strict=True)):
            if millionths > low and start:
                bottom = -(-self._value * (target - millionths * self._fine) // unit)
                choice = self._choices[index]
                pick = at_least(choice, max(0, bottom))
                found[index] = start if pick is None else min(start, choice.value(pick))
        return found


def overall_fixes(trial: Trial) -> list[Fix]:
    """Return what repairs the whole portfolio alone, every one tried out: options, cash to keep, a wider band for all.

    Where no option is enough alone, the fewest that are enough together.
    """
    told = told_for_all(trial)
    found = [fix for fix in (Fix(drop=(option,)) for option in told) if trial.repairs({}, fix)]
    if (cash := less_cash_kept(trial, {})) is not None:
        found.append(Fix(set=cash))
    if not trial.empty:
        drift = _Widening(trial, range(len(trial.problem.lines))).smallest()
        if drift is not None and trial.repairs_as_whole(fix := Fix(set={"low_drift": drift})):
            found.append(fix)
    if not found and trial.repairs({}, _given_up(trial, told)):
        found.append(_given_up(trial, fewest(told, lambda rest: trial.repairs({}, _given_up(trial, rest)))))
    return found


def _given_up(trial: Trial, options: Sequence[str]) -> Fix:
    """Return the fix that drops these options, and keeps as much of the cash to keep as then works."""
    drops = tuple(options)
    return Fix(set=less_cash_kept(trial, {}, Fix(drop=drops)) or {}, drop=drops)


def less_cash_kept(trial: Trial, fixes: dict[int, Fix], overall: Fix = NOTHING) -> dict[str, Decimal] | None:
    """Return the most cash that may be kept after these fixes, as the option that says how much; None: that is no help.

    An amount is rounded down to cents, a percentage to 6 places.
    """
    options = trial.problem.options
    name = "min_cash" if options.min_cash else "min_cash_percent"
    if not trial.problem.cash_to_keep:
        return None
    short = trial.short_by(fixes, Fix(set={name: ZERO}, drop=overall.drop))
    if short is None or short > 0:
        return None
    most = Fraction(short.copy_negate())
    if name == "min_cash_percent":
        kept = _percent(int(most * 100 * _MILLION / Fraction(trial.problem.market_value)))
    else:
        kept = EXACT.scaleb(EXACT.scaleb(short.copy_negate(), 2).to_integral_value(ROUND_FLOOR), -2)
    return {name: tidy(kept)} if kept < getattr(options, name) else None


def _percent(millionths: int) -> Decimal:
    return tidy(EXACT.scaleb(Decimal(millionths), -MAX_DRIFT_PLACES))
