"""The only judge of quantities: an exact check of every rule of the problem, in Decimals, without any solver."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum

import msgspec

from domain.rebalance.options import Mode
from domain.rebalance.problem import Line, Problem
from domain.values import EXACT, ZERO, plain


class Rule(StrEnum):
    """What quantities can violate."""

    NEGATIVE = "negative"
    BELOW_BAND = "below-band"
    ABOVE_BAND = "above-band"
    NOT_WHOLE = "not-whole"
    BUY_ONLY = "buy_only"
    SELL_ONLY = "sell_only"
    DO_NOT_TRADE = "do_not_trade"
    MIN_TRADE = "min_trade"
    BREACHED_ONLY = "breached_only"
    CASH = "cash"


BANDS = frozenset({Rule.BELOW_BAND, Rule.ABOVE_BAND})
"""The rules that ``on_infeasible: nearest`` may leave unmet."""


class Violation(msgspec.Struct, frozen=True):
    """A rule that does not hold: of one security, or of all together (None); ``by`` how much money or quantity."""

    rule: Rule
    security_id: str | None
    by: Decimal


def check(problem: Problem, quantities: Sequence[Decimal]) -> list[Violation]:
    """Return every rule that these quantities, one for each line in its order, violate; none where they are valid.

    Raises ``ValueError`` where there are more or fewer quantities than lines.
    """
    found: list[Violation] = []
    cost = ZERO
    for line, quantity in zip(problem.lines, quantities, strict=True):
        value = EXACT.multiply(quantity, line.price)
        cost = EXACT.add(cost, value)
        low, high = problem.band(line)
        if quantity < 0:
            found.append(Violation(Rule.NEGATIVE, line.security_id, quantity.copy_negate()))
        if value < low:
            found.append(Violation(Rule.BELOW_BAND, line.security_id, EXACT.subtract(low, value)))
        if value > high:
            found.append(Violation(Rule.ABOVE_BAND, line.security_id, EXACT.subtract(value, high)))
        found.extend(_of_options(problem, line, quantity, low, high))
    if cost > problem.spendable:
        found.append(Violation(Rule.CASH, None, EXACT.subtract(cost, problem.spendable)))
    return found


def _of_options(problem: Problem, line: Line, quantity: Decimal, low: Decimal, high: Decimal) -> list[Violation]:
    """Return the violations of what the options say about one security."""
    options, held, name = problem.options, line.held, line.security_id
    trade = EXACT.subtract(quantity, held)
    traded = EXACT.multiply(trade.copy_abs(), line.price)
    in_band = low <= EXACT.multiply(held, line.price) <= high
    found = []
    if name in options.do_not_trade and trade:
        found.append(Violation(Rule.DO_NOT_TRADE, name, trade.copy_abs()))
    if options.buy_only and trade < 0:
        found.append(Violation(Rule.BUY_ONLY, name, trade.copy_abs()))
    if options.sell_only and trade > 0:
        found.append(Violation(Rule.SELL_ONLY, name, trade))
    if options.mode is Mode.BREACHED_ONLY and in_band and trade:
        found.append(Violation(Rule.BREACHED_ONLY, name, trade.copy_abs()))
    if trade and in_band and traded < options.min_trade:
        found.append(Violation(Rule.MIN_TRADE, name, EXACT.subtract(options.min_trade, traded)))
    if (rest := EXACT.remainder(quantity, problem.lot(name))) and (trade or not may_stay(problem, line)):
        found.append(Violation(Rule.NOT_WHOLE, name, rest))
    return found


def may_stay(problem: Problem, line: Line) -> bool:
    """Whether a holding that is no whole multiple may be left as it is: where an option is about not trading it."""
    options = problem.options
    return (
        line.security_id in options.do_not_trade
        or options.mode is not Mode.TO_TARGET
        or options.buy_only
        or options.sell_only
        or bool(options.min_trade)
    )


def deviation(problem: Problem, quantities: Sequence[Decimal]) -> Decimal:
    """Return ``sum |MV*target/100 - q*price|``, exactly: how far the quantities are from the targets, in money."""
    total = ZERO
    for line, quantity in zip(problem.lines, quantities, strict=True):
        target = EXACT.divide(EXACT.multiply(problem.market_value, line.target), Decimal(100))
        total = EXACT.add(total, EXACT.subtract(target, EXACT.multiply(quantity, line.price)).copy_abs())
    return total


def traded_value(problem: Problem, quantities: Sequence[Decimal]) -> Decimal:
    """Return ``sum |q - held| * price``, exactly."""
    total = ZERO
    for line, quantity in zip(problem.lines, quantities, strict=True):
        trade = EXACT.subtract(quantity, line.held).copy_abs()
        total = EXACT.add(total, EXACT.multiply(trade, line.price))
    return total


def objective(problem: Problem, quantities: Sequence[Decimal]) -> Decimal:
    """Return what the mode minimises: the value traded for ``to_band``, else the deviation from the targets."""
    return (traded_value if problem.options.mode is Mode.TO_BAND else deviation)(problem, quantities)


def told(violation: Violation) -> str:
    """Return the violation as a sentence for people."""
    where = violation.security_id or "all together"
    return f"{where}: {violation.rule} by {plain(violation.by)}"
