"""A simple optimiser: everything as near to its target as it can be, and nothing found where that does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from domain.errors import FoliologError
from domain.rebalance import (
    Answer,
    BoundBy,
    Certificate,
    Explanation,
    Infeasible,
    Obstacle,
    Problem,
    Proof,
    Reason,
    objective,
)
from domain.values import EXACT
from write_side.optimiser.exact import Exact


@dataclass
class ClosedForm:
    """An ``Optimiser``; ``failure`` is raised by every call while it is set, ``asked`` counts problems."""

    failure: FoliologError | None = None
    asked: list[Problem] = field(default_factory=list)

    async def solve(self, problems: Sequence[Problem]) -> list[Answer | Infeasible]:
        if self.failure is not None:
            raise self.failure
        self.asked += problems
        return [_solved(problem) for problem in problems]


def _solved(problem: Problem) -> Answer | Infeasible:
    exact = Exact(problem)
    choices = exact.choices
    if narrow := [line for line, choice in zip(problem.lines, choices, strict=True) if choice.empty]:
        return Infeasible(
            "no whole number of shares fits",
            Explanation(
                securities=tuple(
                    Obstacle(
                        security_id=line.security_id,
                        price=line.price,
                        held=line.held,
                        target=line.target,
                        low_drift=line.low_drift,
                        high_drift=line.high_drift,
                        min_shares=Decimal(1),
                        max_shares=Decimal(0),
                        reason=Reason.BAND_NARROWER_THAN_ONE_SHARE,
                    )
                    for line in narrow
                )
            ),
        )
    picks = [choice.nearest() for choice in choices]
    spent = sum(choice.value(pick) for choice, pick in zip(choices, picks, strict=True))
    if spent > exact.spendable:
        over = EXACT.subtract(exact.money(spent), exact.money(exact.spendable))
        return Infeasible("the cash does not suffice", Explanation(securities=(), short_by=over))
    quantities = exact.quantities(picks)
    reached = objective(problem, quantities)
    return Answer(
        quantities,
        Certificate(
            status=Proof.OPTIMAL,
            minimises="deviation",
            objective=reached,
            lower_bound=reached,
            gap=Decimal(0),
            bound_by=BoundBy.SEPARABILITY,
            method="nearest",
            input_sha256=problem.digest,
        ),
    )
