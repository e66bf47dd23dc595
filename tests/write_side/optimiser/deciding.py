"""Problems stated shortly, and whether they have allowed quantities after some fixes, decided in fractions."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

from msgspec.structs import replace

from domain.rebalance import Explanation, Fix, Line, Mode, Options, Problem
from domain.values import ZERO, places

STEP = Decimal("0.005")
"""Targets are multiples of it."""


def problem_of(value: str, *lines: tuple[str, str, str, str], held: tuple[str, ...] = (), **told: object) -> Problem:
    """Return a problem of this market value; a line is its price, target and drifts."""
    rows = [
        Line(f"S{number:023d}", Decimal(price), Decimal(held[number] if held else 0), *map(Decimal, figures))
        for number, (price, *figures) in enumerate(lines)
    ]
    cash = Decimal(value) - sum((row.held * row.price for row in rows), ZERO)
    return Problem(cash, tuple(rows), Options(**told))  # type: ignore[arg-type]


def after(problem: Problem, fixes: Mapping[str, Fix], overall: Fix | None = None) -> Problem:
    """Return the problem as a person would change it who reads these fixes; every figure has to be one taken."""
    options, default, overall = problem.options, Options(), overall or Fix()
    told: dict[str, object] = {}
    for fix in (overall, *fixes.values()):
        told |= {name: fix.set[name] for name in ("min_cash", "min_cash_percent") if name in fix.set}
        everywhere = {"do_not_trade", "lot_size"} if fix is overall else set()
        told |= {
            name: getattr(default, name)
            for name in fix.drop
            if name in everywhere or name not in {"do_not_trade", "lot_size"}
        }
    free = {name for name, fix in fixes.items() if "do_not_trade" in fix.drop}
    unlotted = {name for name, fix in fixes.items() if "lot_size" in fix.drop}
    told.setdefault("do_not_trade", tuple(name for name in options.do_not_trade if name not in free))
    told.setdefault("lot_size", {name: lot for name, lot in options.lot_size.items() if name not in unlotted})
    lines = tuple(_after(line, fixes.get(line.security_id, Fix()), overall) for line in problem.lines)
    if any("target" in fix.set for fix in fixes.values()):
        assert sum(line.target for line in lines) <= max(95, sum(line.target for line in problem.lines))
    return Problem(problem.cash, lines, replace(options, **told))


def _after(line: Line, fix: Fix, overall: Fix) -> Line:
    target, low, high = (fix.set.get(name, getattr(line, name)) for name in ("target", "low_drift", "high_drift"))
    if not target and fix.set:
        low = high = ZERO  # a position without a target leaves the model
    least = overall.set.get("low_drift", ZERO)
    if target and low < least:
        low, high = least, max(high, least)
    if (low, high, target) != (line.low_drift, line.high_drift, line.target):
        assert 0 <= low <= high <= 100
        assert max(places(low), places(high)) <= 6
        assert target % STEP == 0 or target == line.target
    return replace(line, target=target, low_drift=low, high_drift=high)


def feasible(problem: Problem) -> bool:
    """Whether every security has an allowed quantity and the least of them can be paid."""
    least = [least_quantity(problem, line) for line in problem.lines]
    if None in least:
        return False
    spent = sum(
        quantity * Fraction(line.price) for quantity, line in zip(least, problem.lines, strict=True) if quantity
    )
    return spent <= Fraction(problem.spendable)


def least_quantity(problem: Problem, line: Line) -> Fraction | None:
    """Return the least allowed quantity, None where there is none."""
    options, price, held = problem.options, Fraction(line.price), Fraction(line.held)
    lot = Fraction(options.lot_size.get(line.security_id, 1))
    value = Fraction(problem.cash) + sum(Fraction(each.held) * Fraction(each.price) for each in problem.lines)
    low, high = (
        value * Fraction(percent) / 100 for percent in (line.target - line.low_drift, line.target + line.high_drift)
    )
    inside, locked = low <= held * price <= high, line.security_id in options.do_not_trade
    if locked or (options.mode is Mode.BREACHED_ONLY and inside):
        return held if inside else None
    first, last = max(0, ceil(low / price / lot)), floor(high / price / lot)
    if options.buy_only:
        first = max(first, ceil(held / lot))
    if options.sell_only:
        last = min(last, floor(held / lot))
    smallest = Fraction(options.min_trade) if inside else Fraction()
    found = [
        lots * lot
        for lots in (first, ceil((held + smallest / price) / lot))
        if first <= lots <= last and (lots * lot == held or abs(lots * lot - held) * price >= smallest)
    ]
    reluctant = options.buy_only or options.sell_only or options.min_trade or options.mode is not Mode.TO_TARGET
    if reluctant and inside:
        found.append(held)
    return min(found, default=None)


def firsts(explanation: Explanation) -> dict[str, Fix]:
    """Return the first fix of every security named."""
    return {each.security_id: each.fixes[0] for each in explanation.securities if each.fixes}
