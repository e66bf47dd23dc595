"""Why a problem has no allowed quantities, and the smallest changes that repair it, each of them tried out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from decimal import Decimal
from typing import NamedTuple

from domain.rebalance import Explanation, Fix, Infeasible, Line, Obstacle, Problem, Reason
from domain.values import EXACT, ZERO, plain, ratio
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
from write_side.optimiser.shortages import less_cash_kept, lowered, overall_fixes
from write_side.optimiser.trials import FOR_ONE, NOTHING, Trial, repaired

_NAMED = 3
"""So many securities are named in the message."""

_CASH = frozenset({"min_cash", "min_cash_percent"})
_DRIFTS = ("low_drift", "high_drift")


class _Repairs(NamedTuple):
    """Fixes of securities by place, the first of each being what those of the others were tried with.

    ``short`` is the problem after the first fixes of the securities that had no quantity, where cash is short then.
    """

    fixes: dict[int, list[Fix]]
    short: Trial | None = None


def explain(problem: Problem) -> Infeasible:
    """Return why nothing is allowed; raises ``ValueError`` where something is.

    Each fix of a security repairs together with the first fix of every other one named, each of the portfolio alone.
    """
    trial = Trial(problem)
    if not trial.empty and trial.minimum <= problem.spendable:
        raise ValueError("the problem has allowed quantities")
    blocking = {place: blockers(trial, place) for place in trial.empty}
    overall = tuple(overall_fixes(trial))
    repairs = _of_bands(trial, blocking) if blocking else _of_cash(trial, given_up=not overall)
    securities = tuple(_obstacle(trial, place, repairs, blocking) for place in repairs.fixes)
    short = repairs.short
    explanation = Explanation(
        securities=securities,
        short_by=tidy(EXACT.subtract(short.minimum, problem.spendable)) if short else None,
        minimum_value=tidy(short.minimum) if short else None,
        spendable=tidy(problem.spendable) if short else None,
        fixes=overall,
    )
    return Infeasible(_message(explanation, trial), explanation)


def _of_cash(trial: Trial, *, given_up: bool) -> _Repairs:
    """Return what lowers the greatest minima; ``given_up``: where that is not enough, with options given up."""
    fixes = lowered(trial)
    if given_up and not any(fixes.values()) and (repairs := _giving_up(trial, ())):
        fixes |= repairs.fixes
    return _Repairs(fixes, trial)


def _of_bands(trial: Trial, blocking: Mapping[int, tuple[str, ...]]) -> _Repairs:
    """Return repairs of the securities without a quantity: changes of each alone, else with options given up."""
    alone: dict[int, list[Fix]] = {}
    for place, options in blocking.items():
        dropped, own = [Fix(drop=options)] if options else [], FOR_ONE.issuperset(options)
        changes = widenings(trial, place)
        alone[place] = dropped + changes if own else changes + dropped
    repairs, places = _settled(trial, alone), tuple(blocking)
    given_up = {option for fixes in (repairs.fixes if repairs else {}).values() for option in fixes[0].drop} - FOR_ONE
    if repairs and not given_up:
        return repairs
    return _giving_up(trial, places, given_up) or repairs or _Repairs({place: [] for place in places})


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
        short = Trial(repaired(trial.problem, _by_name(trial, firsts), given))
    if short and short.minimum > short.problem.spendable:
        firsts |= {place: _merged(firsts.get(place, NOTHING), fix) for place, fix in _fewest(short).items()}
        if not trial.repairs(firsts, given):
            return None
    if given.set:
        given = Fix(set=less_cash_kept(trial, firsts, given) or {}, drop=given.drop)
    fixes = {place: [_merged(first, given)] for place, first in firsts.items()}
    for place in candidates:
        if trial.repairs(others := _but(firsts, place), given):
            continue
        for fix in candidates[place]:
            known = any(_contains(_merged(fix, given), each) for each in fixes[place])
            if not known and trial.repairs(others | {place: fix}, given):
                fixes[place].append(_merged(fix, given))
    return _Repairs(fixes, short)


def _lower(trial: Trial, firsts: dict[int, Fix], candidates: Mapping[int, list[Fix]], given: Fix) -> None:
    """Where cash is short, let those securities have less of which another candidate makes that possible."""
    if trial.repairs(firsts, given):
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
        if trial.short_by(firsts | {place: fix}, given) is not None:
            firsts[place] = fix
        if trial.repairs(firsts, given):
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


def _but(fixes: Mapping[int, Fix], place: int) -> dict[int, Fix]:
    return {other: fix for other, fix in fixes.items() if other != place}


def _contains(fix: Fix, smaller: Fix) -> bool:
    """Whether a fix does all that another one does and, but for the target, no less of it."""
    return set(smaller.drop) <= set(fix.drop) and all(
        name in fix.set and (fix.set[name] == value or (fix.set[name] > value and name in _DRIFTS))
        for name, value in smaller.set.items()
    )


def _by_name(trial: Trial, fixes: Mapping[int, Fix]) -> dict[str, Fix]:
    return {trial.problem.lines[place].security_id: fix for place, fix in fixes.items()}


def _obstacle(trial: Trial, place: int, repairs: _Repairs, blocking: Mapping[int, tuple[str, ...]]) -> Obstacle:
    """Return what is to be said of one security."""
    line, lot = trial.problem.lines[place], trial.problem.lot(trial.problem.lines[place].security_id)
    if place not in blocking:
        reason, option = Reason.MINIMUM_HOLDINGS_EXCEED_CASH, _lifting(trial, place)
    elif blocking[place]:
        reason, option = Reason.OPTION, blocking[place][0]
    else:
        reason, option = Reason.BAND_NARROWER_THAN_ONE_SHARE, None
    least, most = lots_between(trial, place)
    others = [fixes[0] for other, fixes in repairs.fixes.items() if other != place and fixes]
    dropped = frozenset(option for fix in others for option in fix.drop if option not in FOR_ONE)
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


def _message(explanation: Explanation, trial: Trial) -> str:
    """Return one sentence for people: what is in the way, and the first securities with their figures."""
    narrow = [each for each in explanation.securities if each.reason is not Reason.MINIMUM_HOLDINGS_EXCEED_CASH]
    if not narrow:
        return _of_minimum(trial)
    said = "; ".join(_of_security(trial.problem, each) for each in narrow[:_NAMED])
    more = len(narrow) - _NAMED
    return f"{said}; {more} more {'security has' if more == 1 else 'securities have'} no quantity" if more > 0 else said


def _of_minimum(trial: Trial) -> str:
    """Return what is in the way where cash is short."""
    problem, options = trial.problem, told_for_all(trial)
    value, spendable = trial.minimum, problem.spendable
    told = ", ".join(f"mode {problem.options.mode}" if option == "mode" else option for option in options)
    allowed = f"the bands and {told} leave" if told else "the bands leave"
    kept = f" with {_shown(problem.cash_to_keep)} kept in cash" if problem.cash_to_keep else ""
    minima = sorted(
        (-least, line.security_id) for line, least in zip(problem.lines, trial.minima, strict=True) if least
    )
    greatest = ", ".join(f"{_shown(-least)} of {name}" for least, name in minima[:_NAMED])
    return (
        f"the least that {allowed} costs {_shown(value)}, {_shown(EXACT.subtract(value, spendable))} more than the "
        f"{_shown(spendable)} that may be spent{kept}; the most of it is {greatest}"
    )


def _of_security(problem: Problem, obstacle: Obstacle) -> str:
    """Return what keeps one security from having an allowed quantity."""
    name, option, price, lot = (
        obstacle.security_id,
        obstacle.option,
        plain(obstacle.price),
        problem.lot(obstacle.security_id),
    )
    line = Line(name, obstacle.price, obstacle.held, obstacle.target, obstacle.low_drift, obstacle.high_drift)
    low, high = problem.band(line)
    band = f"its band, {_shown(max(ZERO, low))} to {_shown(high)}"
    if option not in (None, "lot_size"):
        return f"{option} keeps the {plain(obstacle.held)} of {name} held at {price} out of {band}"
    lots = "shares" if lot == 1 else f"lots of {plain(lot)}"
    return f"no whole number of {lots} of {name} at {price} lies in {band}"


def _shown(amount: Decimal) -> str:
    """Return an amount with the cents that it has, or up to six places."""
    return plain(ratio(amount))
