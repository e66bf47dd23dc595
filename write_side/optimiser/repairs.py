"""The smallest changes that may repair a security: of its drifts, of its target, or of what the options say of it.

Percentages are rounded so that the quantity they are for is let in: drifts to 6 places, targets to steps of 0.005.
They are proposals: whether the whole problem then has allowed quantities is for ``Trial`` to decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Final

from domain.investment_model import wrong_security_id
from domain.investment_model.rules import MAX_DRIFT, MAX_DRIFT_PLACES, STEP
from domain.rebalance import Fix, Line
from domain.values import EXACT, ZERO, plain
from write_side.optimiser.picks import at_least, at_most
from write_side.optimiser.trials import FOR_ALL, Trial

Drops = frozenset[str]
NO_DROPS: Final[Drops] = frozenset()
_STEPS: Final = Fraction(STEP)
_MILLION: Final = 10**MAX_DRIFT_PLACES


def lots_between(trial: Trial, place: int) -> tuple[int, int]:
    """Return the least and the greatest number of lots in the band; where there is none the first is the greater."""
    exact, free = trial.free(place)
    bottom, top = (exact.whole(edge) for edge in trial.problem.band(trial.problem.lines[place]))
    return max(0, -(-bottom // free.lot)), top // free.lot


def blockers(trial: Trial, place: int) -> tuple[str, ...]:
    """Return options without which a security that has no allowed quantity has one, as few as will do.

    Empty where its band has none whatever the options say.
    """
    line, options = trial.problem.lines[place], trial.problem.options
    told = {
        "do_not_trade": line.security_id in options.do_not_trade,
        "buy_only": options.buy_only,
        "sell_only": options.sell_only,
        "lot_size": line.security_id in options.lot_size,
    }
    named = [option for option, is_told in told.items() if is_told]
    if not named or trial.least(place, Fix(drop=tuple(named))) is None:
        return ()
    return fewest(named, lambda rest: trial.least(place, Fix(drop=rest)) is not None)


def fewest(options: Sequence[str], enough: Callable[[tuple[str, ...]], bool]) -> tuple[str, ...]:
    """Return as few of the options as are still enough when dropped: one alone, else all but those that are in vain."""
    for option in options:
        if enough((option,)):
            return (option,)
    left = list(options)
    for option in options:
        if enough(rest := tuple(each for each in left if each != option)):
            left = list(rest)
    return tuple(left)


def widenings(trial: Trial, place: int, drops: Drops = NO_DROPS) -> list[Fix]:
    """Return changes that let the nearest quantities below and above its band in, drifts before targets, small first.

    ``drops`` are options that are gone by then. What the options leave is looked at as if there were no bands.
    """
    exact, free = trial.free(place, drops)
    bottom, top = (exact.whole(edge) for edge in trial.problem.band(trial.problem.lines[place]))
    value = exact.whole(trial.problem.market_value)
    weights = [
        Fraction(100 * free.value(pick), value)
        for pick in (at_most(free, top), at_least(free, max(0, bottom)))
        if pick is not None
    ]
    return _ranked(trial, place, weights, drops)


def lowerings(trial: Trial, place: int, by: Decimal) -> list[Fix]:
    """Return changes that lower the least value of a security by so much at least, as little as will do."""
    least = trial.least(place)
    if least is None:
        return []
    found = [
        Fix(drop=(option,))
        for option in sorted(own_options(trial, place))
        if (then := trial.least(place, Fix(drop=(option,)))) is not None and EXACT.subtract(least, then) >= by
    ]
    exact, free = trial.free(place)
    most = Fraction(EXACT.subtract(least, by)) * exact.scale // 1  # ``by`` can be finer than the units of this security
    pick = at_most(free, most)
    if pick is not None:
        weight = Fraction(100 * free.value(pick), exact.whole(trial.problem.market_value))
        found.extend(_ranked(trial, place, [weight], NO_DROPS))
    return found


def own_options(trial: Trial, place: int) -> list[str]:
    """Return the options that name this security."""
    options, name = trial.problem.options, trial.problem.lines[place].security_id
    named = {"do_not_trade": name in options.do_not_trade, "lot_size": name in options.lot_size}
    return [option for option, is_named in named.items() if is_named]


def told_for_all(trial: Trial) -> list[str]:
    """Return the options that a fix of the portfolio may drop and that are not as by default."""
    return [option for option, default in FOR_ALL.items() if getattr(trial.problem.options, option) != default]


def with_quantity(trial: Trial, place: int, fix: Fix, drops: Drops, *, lowest: bool) -> Fix:
    """Return the fix with the quantity that the security then has: the lowest allowed, else the nearest to target."""
    exact, choice = trial.alone(place, fix, drops)
    pick = choice.lowest() if lowest else choice.nearest()
    return Fix(set=fix.set, drop=fix.drop, gives_quantity=tidy(exact.quantities([pick])[0]))


def tidy(number: Decimal) -> Decimal:
    """Return the number without trailing zeros or exponent."""
    return Decimal(plain(number))


def _ranked(trial: Trial, place: int, weights: Sequence[Fraction], drops: Drops) -> list[Fix]:
    """Return the changes of drifts, then those of the target, that let quantities of these weights in."""
    line, ranked = trial.problem.lines[place], []
    for kind, let_in in enumerate((_by_drift, _by_target) if line.target else (_by_joining,)):
        for weight in weights:
            for change in let_in(trial, line, weight):
                size = sum(abs(EXACT.subtract(new, getattr(line, name))) for name, new in change.items())
                ranked.append((kind, size, Fix(set=change)))
    ranked.sort(key=lambda entry: entry[:2])
    return [fix for _, _, fix in ranked if trial.least(place, fix, drops) is not None]


def _by_drift(trial: Trial, line: Line, weight: Fraction) -> Iterator[dict[str, Decimal]]:
    """Yield the smallest drift that reaches a weight; the low one never above the high one."""
    away = weight - Fraction(line.target)
    drift = _up(abs(away))
    if drift > MAX_DRIFT:
        return
    if away > 0:
        yield {"high_drift": drift}
    elif drift > line.high_drift:
        yield {"low_drift": drift, "high_drift": drift}
    else:
        yield {"low_drift": drift}


def _by_target(trial: Trial, line: Line, weight: Fraction) -> Iterator[dict[str, Decimal]]:
    """Yield the target nearest to the present one whose band has a weight."""
    lowest, highest = _step_up(weight - Fraction(line.high_drift)), _step_down(weight + Fraction(line.low_drift))
    if lowest > highest:
        return
    if line.target < lowest <= EXACT.add(line.target, trial.room):
        yield {"target": lowest}
    if highest < line.target and (highest > 0 or (not weight and _may_leave(trial, line))):
        yield {"target": max(ZERO, highest)}


def _may_leave(trial: Trial, line: Line) -> bool:
    """Whether the model can do without the security: an option must not name one that is neither held nor in it."""
    options = trial.problem.options
    return bool(line.held) or line.security_id not in {*options.do_not_trade, *options.lot_size}


def _by_joining(trial: Trial, line: Line, weight: Fraction) -> Iterator[dict[str, Decimal]]:
    """Yield a target with drifts for a security that is held and not in the model: as one of it, it may be kept."""
    if not weight or trial.full or wrong_security_id(line.security_id):
        return
    target = max(STEP, _step_down(weight))
    away = weight - Fraction(target)
    if target > trial.room:
        return
    drift = _up(abs(away))
    yield {"target": target, "low_drift": drift if away < 0 else ZERO, "high_drift": drift}


def _up(percent: Fraction) -> Decimal:
    """Return the percentage rounded up to the places of a drift."""
    return tidy(EXACT.scaleb(Decimal(ceil(percent * _MILLION)), -MAX_DRIFT_PLACES))


def _step_up(percent: Fraction) -> Decimal:
    return tidy(EXACT.multiply(Decimal(ceil(percent / _STEPS)), STEP))


def _step_down(percent: Fraction) -> Decimal:
    return tidy(EXACT.multiply(Decimal(floor(percent / _STEPS)), STEP))
