"""One sentence for people: why a problem has no allowed quantities."""

from __future__ import annotations

from decimal import Decimal

from domain.rebalance import Explanation, Line, Obstacle, Problem, Reason
from domain.values import EXACT, ZERO, plain, ratio
from write_side.optimiser.repairs import told_for_all
from write_side.optimiser.trials import Trial

_NAMED = 3
"""So many securities are named."""


def message(explanation: Explanation, trial: Trial) -> str:
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
