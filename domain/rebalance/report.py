"""What a rebalance looks like to people: its trades and its drifts (seed 002 ``RebalanceDTO``)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from domain.investment_model import ModelPosition
from domain.rebalance.aggregate import problem_of
from domain.rebalance.checking import BANDS, check, objective
from domain.rebalance.options import Options
from domain.rebalance.outcome import Certificate, Proof
from domain.values import EXACT, ZERO, quantized_ratio, summed

_HUNDRED = Decimal(100)


class RunFacts(Protocol):
    """What a run knows; the aggregate and the view's row both have it."""

    @property
    def positions(self) -> Sequence[ModelPosition]: ...
    @property
    def options(self) -> Options: ...
    @property
    def prices(self) -> dict[str, Decimal] | None: ...


class RebalanceFacts(Protocol):
    """What a rebalance knows; the aggregate and the view's row both have it."""

    @property
    def market_value(self) -> Decimal: ...
    @property
    def cash_before(self) -> Decimal: ...
    @property
    def held(self) -> dict[str, Decimal]: ...
    @property
    def quantities(self) -> dict[str, Decimal]: ...
    @property
    def certificate(self) -> Certificate: ...


class Trade(msgspec.Struct, frozen=True):
    """One transaction of a rebalance; the quantity is positive."""

    transaction_type: str
    security_id: str
    quantity: Decimal
    price: Decimal


class Drift(msgspec.Struct, frozen=True):
    """One security before and after; target, drifts and ``actual`` (the weight afterwards, four places) in percent."""

    security_id: str
    original_quantity: Decimal
    adjusted_quantity: Decimal
    target: Decimal
    low_drift: Decimal
    high_drift: Decimal
    actual: Decimal


def trades(run: RunFacts, rebalance: RebalanceFacts) -> list[Trade]:
    """Return the transactions: sells first, each kind by security id."""
    prices, held = run.prices or {}, rebalance.held
    sells, buys = [], []
    for security_id, quantity in sorted(rebalance.quantities.items()):
        moved = EXACT.subtract(quantity, held.get(security_id, ZERO))
        if moved < 0:
            sells.append(Trade("SELL", security_id, moved.copy_negate(), prices[security_id]))
        elif moved:
            buys.append(Trade("BUY", security_id, moved, prices[security_id]))
    return sells + buys


def drifts(run: RunFacts, rebalance: RebalanceFacts) -> list[Drift]:
    """Return a row for every security held or modelled, by security id."""
    modelled = {position.security_id: position for position in run.positions}
    prices, rows = run.prices or {}, []
    for security_id, quantity in sorted(rebalance.quantities.items()):
        position = modelled.get(security_id)
        value = EXACT.multiply(EXACT.multiply(quantity, prices[security_id]), _HUNDRED)
        rows.append(
            Drift(
                security_id,
                rebalance.held.get(security_id, ZERO),
                quantity,
                position.target if position else ZERO,
                position.low_drift if position else ZERO,
                position.high_drift if position else ZERO,
                quantized_ratio(value, rebalance.market_value, 4),
            )
        )
    return rows


def faults(run: RunFacts, rebalance: RebalanceFacts) -> list[str]:
    """Return what does not hold in a recorded rebalance, from what was recorded alone; none where it stands.

    The inputs have to have the digest of the certificate, the quantities to satisfy every rule (but for the bands that
    a NEAREST names), objective and gap to be as computed from them, and no cash below what had to be kept.
    """
    problem = problem_of(rebalance.cash_before, rebalance.held, run.positions, run.prices or {}, run.options)
    certificate, found = rebalance.certificate, []
    if problem.digest != certificate.input_sha256:
        found.append(f"the inputs have the digest {problem.digest}, the certificate says {certificate.input_sha256}")
    if problem.market_value != rebalance.market_value:
        found.append(f"the market value is {problem.market_value}, recorded is {rebalance.market_value}")
    quantities = [rebalance.quantities.get(line.security_id, ZERO) for line in problem.lines]
    violations = check(problem, quantities)
    if certificate.status is Proof.NEAREST:
        breaches = [violation for violation in violations if violation.rule in BANDS]
        if breaches != list(certificate.breaches):
            found.append("the breaches of bands are not those that the certificate names")
        violations = [violation for violation in violations if violation.rule not in BANDS]
        reached = summed(breach.by for breach in breaches)
    else:
        reached = objective(problem, quantities)
    found.extend(f"{violation.security_id or 'cash'}: {violation.rule} by {violation.by}" for violation in violations)
    if reached != certificate.objective:
        found.append(f"the objective is {reached}, the certificate says {certificate.objective}")
    if EXACT.subtract(certificate.objective, certificate.lower_bound) != certificate.gap or certificate.gap < 0:
        found.append("the gap is not the distance between objective and lower bound")
    return found
