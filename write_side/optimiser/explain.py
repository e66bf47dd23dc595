"""Why a problem has no allowed quantities, and the smallest changes that repair it, each of them tried out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from decimal import Decimal
from typing import NamedTuple, TypeVar

from domain.rebalance import Explanation, Fix, Infeasible, Obstacle, Problem, Reason
from domain.values import EXACT, ZERO
from write_side.optimiser.repairs import (
    blockers,
    fewest,
    lots_between,
    own_options,
    tidy,
    told_for_all,
    widenings,
    with_quantity,
)
from write_side.optimiser.sentence import message
from write_side.optimiser.shortages import greatest, less_cash_kept, lowered, overall_fixes
from write_side.optimiser.trials import FOR_ONE, NOTHING, TimeOver, Together, Trial, never, repaired

T = TypeVar("T")
_REPAIRED = 1_000
"""Of so many securities without a quantity repairs are looked for, not of more."""

_CASH = frozenset({"min_cash", "min_cash_percent"})
_DRIFTS = ("low_drift", "high_drift")


class _Repairs(NamedTuple):
    """Fixes of securities by place, the first of each being what those of the others were tried with.

    ``short`` is the problem after the first fixes of the securities that had no quantity, where cash is short then.
    """

    fixes: dict[int, list[Fix]]
    short: Trial | None = None


def explain(problem: Problem, over: Callable[[], bool] = never) -> Infeasible:
    """Return why nothing is allowed; raises ``ValueError`` where something is.

    Each fix of a security repairs together with the first fix of every other one named, each of the portfolio alone.
    Once the time is ``over`` no more fixes are looked for.
    """
    trial = Trial(problem, over)
    if not trial.empty and trial.minimum <= problem.spendable:
        raise ValueError("the problem has allowed quantities")
    blocking = {place: blockers(trial, place) for place in trial.empty}
    nothing: list[Fix] = []
    overall = tuple(_in_time(lambda: overall_fixes(trial), nothing))
    if blocking:
        repairs = _in_time(lambda: _of_bands(trial, blocking), _none_of(blocking))
    else:
        repairs = _in_time(lambda: _of_cash(trial, given_up=not overall), _none_of(greatest(trial), trial))
    dropped = _dropped_by_others(repairs)
    securities = tuple(_obstacle(trial, place, repairs, dropped[place], blocking) for place in repairs.fixes)
    short = repairs.short
    explanation = Explanation(
        securities=securities,
        short_by=tidy(EXACT.subtract(short.minimum, problem.spendable)) if short else None,
        minimum_value=tidy(short.minimum) if short else None,
        spendable=tidy(problem.spendable) if short else None,
        fixes=overall,
    )
    return Infeasible(message(explanation, trial), explanation)


def _in_time(find: Callable[[], T], otherwise: T) -> T:
    try:
        return find()
    except TimeOver:
        return otherwise


def _none_of(places: Iterable[int], short: Trial | None = None) -> _Repairs:
    return _Repairs({place: [] for place in places}, short)


def _of_cash(trial: Trial, *, given_up: bool) -> _Repairs:
    """Return what lowers the greatest minima; ``given_up``: where that is not enough, with options given up."""
    fixes = lowered(trial)
    if given_up and not any(fixes.values()) and (repairs := _giving_up(trial, ())):
        fixes |= repairs.fixes
    return _Repairs(fixes, trial)


def _of_bands(trial: Trial, blocking: Mapping[int, tuple[str, ...]]) -> _Repairs:
    """Return repairs of the securities without a quantity: changes of each alone, else with options given up."""
    if len(blocking) > _REPAIRED:
        return _none_of(blocking)
    alone: dict[int, list[Fix]] = {}
    for place, options in blocking.items():
        trial.go_on()
        dropped, own = [Fix(drop=options)] if options else [], FOR_ONE.issuperset(options)
        changes = widenings(trial, place)
        alone[place] = dropped + changes if own else changes + dropped
    repairs, places = _settled(trial, alone), tuple(blocking)
    given_up = {option for fixes in (repairs.fixes if repairs else {}).values() for option in fixes[0].drop} - FOR_ONE
    if repairs and not given_up:
        return repairs
    return _in_time(lambda: _giving_up(trial, places, given_up), None) or repairs or _none_of(places)


def _giving_up(trial: Trial, places: Sequence[int], first: Set[str] = frozenset()) -> _Repairs | None:
    """Return repairs without some options, those ``first`` if that will do, else as few as will.

    What names securities is given up for these places only.
    """

    def settled(options: tuple[str, ...]) -> _Repairs | None:
        drops = frozenset(options) - _CASH
        candidates = {place: _without(trial, place, drops) for place in places}
        given = Fix(set=dict.fromkeys(sorted(_CASH & set(options)), ZERO), drop=tuple(sorted(drops - FOR_ONE)))
        return _settled(trial, candidates, given)

    if first and (repairs := settled(tuple(sorted(first)))):
        return repairs
    told = [name for name in sorted(_CASH) if getattr(trial.problem.options, name)] + told_for_all(trial)
    if not told or settled(tuple(told)) is None:
        return None
    return settled(fewest(told, lambda options: settled(options) is not None))


def _without(trial: Trial, place: int, drops: frozenset[str]) -> list[Fix]:
    """Return changes of a security without some options, of which those that name it are part of the change."""
    trial.go_on()
    own = tuple(option for option in own_options(trial, place) if option in drops)
    if trial.least(place, drops=drops) is not None:
        return [Fix(drop=own)]
    return [Fix(set=change.set, drop=own) for change in widenings(trial, place, drops)]


def _settled(trial: Trial, candidates: Mapping[int, list[Fix]], given: Fix = NOTHING) -> _Repairs | None:
    """Return those of the candidates that repair, with what else has to change where cash is short then.

    ``given`` is a fix of the portfolio that is part of each of them: options dropped, cash not kept, of which in the
    end as much is kept as can be. None where there is no such repair.
    """
    firsts = {place: fixes[0] for place, fixes in candidates.items() if fixes}
    if len(firsts) < len(candidates) or trial.short_by(firsts, given) is None:
        return None
    _lower(trial, firsts, candidates, Fix(drop=given.drop))
    short = None
    if not trial.repairs(firsts, Fix(drop=given.drop)):
        short = Trial(repaired(trial.problem, _by_name(trial, firsts), given), trial.over)
    if short and short.minimum > short.problem.spendable:
        firsts |= {place: _merged(firsts.get(place, NOTHING), fix) for place, fix in _fewest(short).items()}
        if not trial.repairs(firsts, given):
            return None
    if given.set:
        given = Fix(set=less_cash_kept(trial, firsts, given) or {}, drop=given.drop)
    fixes = {place: [_merged(first, given)] for place, first in firsts.items()}
    together = Together(trial, firsts, given)
    for place in candidates:
        if together.repairs({place: None}):
            continue
        for fix in candidates[place]:
            known = any(_contains(_merged(fix, given), each) for each in fixes[place])
            if not known and together.repairs({place: fix}):
                fixes[place].append(_merged(fix, given))
    return _Repairs(fixes, short)


def _lower(trial: Trial, firsts: dict[int, Fix], candidates: Mapping[int, list[Fix]], given: Fix) -> None:
    """Where cash is short, let those securities have less of which another candidate makes that possible."""
    together = Together(trial, firsts, given)
    if together.repairs():
        return
    savings, drops = [], frozenset(given.drop)
    for place, fixes in candidates.items():
        least = [
            (value, rank) for rank, fix in enumerate(fixes) if (value := trial.least(place, fix, drops)) is not None
        ]
        first = trial.least(place, firsts[place], drops)
        if least and first is not None and min(least)[0] < first:
            savings.append((EXACT.subtract(min(least)[0], first), place, fixes[min(least)[1]]))
    for _, place, fix in sorted(savings, key=lambda saving: saving[:2]):
        if together.short_by({place: fix}) is not None:
            together.take({place: fix})
            firsts[place] = fix
        if together.repairs():
            return


def _fewest(short: Trial) -> dict[int, Fix]:
    """Return a fix for as few securities as will do, of those that lower the minimum holdings enough."""
    firsts = {place: fixes[0] for place, fixes in lowered(short).items() if fixes}
    for place, fix in firsts.items():
        if short.repairs({place: fix}):
            return {place: fix}
    return firsts


def _merged(first: Fix, second: Fix) -> Fix:
    return Fix(set=first.set | second.set, drop=tuple(dict.fromkeys(first.drop + second.drop)))


def _contains(fix: Fix, smaller: Fix) -> bool:
    """Whether a fix does all that another one does and, but for the target, no less of it."""
    return set(smaller.drop) <= set(fix.drop) and all(
        name in fix.set and (fix.set[name] == value or (fix.set[name] > value and name in _DRIFTS))
        for name, value in smaller.set.items()
    )


def _by_name(trial: Trial, fixes: Mapping[int, Fix]) -> dict[str, Fix]:
    return {trial.problem.lines[place].security_id: fix for place, fix in fixes.items()}


def _dropped_by_others(repairs: _Repairs) -> dict[int, frozenset[str]]:
    """Return for each security the options that the first fixes of the others drop for all."""
    own = {place: {*fixes[0].drop} - FOR_ONE if fixes else set() for place, fixes in repairs.fixes.items()}
    counts = Counter(option for options in own.values() for option in options)
    return {
        place: frozenset(option for option, count in counts.items() if count > (option in options))
        for place, options in own.items()
    }


def _obstacle(
    trial: Trial, place: int, repairs: _Repairs, dropped: frozenset[str], blocking: Mapping[int, tuple[str, ...]]
) -> Obstacle:
    """Return what is to be said of one security; ``dropped``: the options that the others drop for all."""
    line, lot = trial.problem.lines[place], trial.problem.lot(trial.problem.lines[place].security_id)
    if place not in blocking:
        reason, option = Reason.MINIMUM_HOLDINGS_EXCEED_CASH, _lifting(trial, place)
    elif blocking[place]:
        reason, option = Reason.OPTION, blocking[place][0]
    else:
        reason, option = Reason.BAND_NARROWER_THAN_ONE_SHARE, None
    least, most = lots_between(trial, place)
    return Obstacle(
        security_id=line.security_id,
        price=line.price,
        held=line.held,
        target=line.target,
        low_drift=line.low_drift,
        high_drift=line.high_drift,
        min_shares=tidy(EXACT.multiply(lot, Decimal(least))),
        max_shares=tidy(EXACT.multiply(lot, Decimal(most))),
        reason=reason,
        option=option,
        fixes=tuple(
            with_quantity(trial, place, fix, dropped, lowest=place not in blocking) for fix in repairs.fixes[place]
        ),
    )


def _lifting(trial: Trial, place: int) -> str | None:
    """Return an option without which the security could have less than now, None where it is the band alone."""
    told, least = told_for_all(trial), trial.least(place)

    def lowers(options: tuple[str, ...]) -> bool:
        without = trial.least(place, drops=frozenset(options))
        return least is not None and without is not None and without < least

    return fewest(told, lowers)[0] if told and lowers(tuple(told)) else None
