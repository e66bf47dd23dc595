"""What an optimiser answers: quantities with their certificate, or why there are none and what would repair it."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from domain.errors import Refused
from domain.rebalance.checking import Violation


class Proof(StrEnum):
    """How good quantities are known to be."""

    OPTIMAL = "OPTIMAL"
    """Proven: nothing allowed is better by more than a cent."""
    FEASIBLE = "FEASIBLE"
    """Allowed, checked; how much better something else could be is told by the gap."""
    NEAREST = "NEAREST"
    """Nothing is allowed; these leave the bands by the least value (``on_infeasible: nearest``)."""


class BoundBy(StrEnum):
    """What the lower bound of a certificate rests on."""

    SEPARABILITY = "separability"
    """Every security is as near as it can be, and together they fit: the bound is the objective."""
    RELAXATION = "relaxation"
    """The continuous relaxation of what has to give way, in exact arithmetic."""
    SEARCH = "search"
    """An exhaustive search in integers, with a limit of its nodes: it can be done again and gives the same."""
    SOLVER = "solver"
    """The bound that the solver named has proved, in floating point."""


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an answer; money is exact.

    ``minimises`` says what the objective is: ``deviation`` from the targets, ``traded-value``, or for ``NEAREST``
    ``band-breach``. No allowed quantities have an objective below ``lower_bound``; ``gap`` is the distance to it.
    ``method`` says where the quantities come from, ``solver`` names a solver with its version where one was used.
    ``options`` names the options that were not as by default; ``breaches`` the bands left (``NEAREST``).
    """

    status: Proof
    minimises: str
    objective: Decimal
    lower_bound: Decimal
    gap: Decimal
    bound_by: BoundBy
    method: str
    solver: str | None = None
    input_sha256: str
    options: tuple[str, ...] = ()
    breaches: tuple[Violation, ...] = ()


class Answer(msgspec.Struct, frozen=True):
    """A quantity for each line of the problem, in its order, and their certificate."""

    quantities: tuple[Decimal, ...]
    certificate: Certificate


class Reason(StrEnum):
    """Why there are no allowed quantities."""

    BAND_NARROWER_THAN_ONE_SHARE = "band-narrower-than-one-share"
    """Of one security (or one lot of it): no whole number of them lies in the band."""
    OPTION = "option-outside-band"
    """An option keeps the security from getting into its band."""
    MINIMUM_HOLDINGS_EXCEED_CASH = "minimum-holdings-exceed-cash"
    """The least that every band allows costs more together than may be spent."""


class Fix(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change that repairs it, tried out: figures to ``set`` (percent, or money) and options to ``drop``.

    ``gives_quantity`` is what the security then has.
    """

    set: dict[str, Decimal] = msgspec.field(default_factory=dict)
    drop: tuple[str, ...] = ()
    gives_quantity: Decimal | None = None


class Obstacle(msgspec.Struct, frozen=True, kw_only=True):
    """A security that stands in the way: its figures, and the smallest repairs.

    ``min_shares`` and ``max_shares`` are the least and the greatest quantity of whole lots that its band leaves;
    where the band has none the first is above the second. ``option`` is the one that keeps it outside.
    """

    security_id: str
    price: Decimal
    held: Decimal
    target: Decimal
    low_drift: Decimal
    high_drift: Decimal
    min_shares: Decimal
    max_shares: Decimal
    reason: Reason
    option: str | None = None
    fixes: tuple[Fix, ...] = ()


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why nothing is allowed; with ``short_by`` the money that the minimum holdings are above what may be spent.

    Each fix of a security was tried together with the first fix of every other security named; each of ``fixes``
    alone.
    """

    securities: tuple[Obstacle, ...]
    short_by: Decimal | None = None
    minimum_value: Decimal | None = None
    spendable: Decimal | None = None
    fixes: tuple[Fix, ...] = ()


class CannotRebalance(Refused):
    """A portfolio that cannot be rebalanced; ``securities`` names those concerned."""

    code = "rule-violated"

    def __init__(self, message: str, securities: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.securities = securities


class MissingPrice(CannotRebalance):
    """A security that is held or in the model has no price."""

    code = "missing-price"


class ShortHolding(CannotRebalance):
    """A security is held short."""

    code = "short-holding"


class NonPositiveMarketValue(CannotRebalance):
    """Cash and holdings together are worth nothing, or less."""

    code = "non-positive-market-value"


class Infeasible(CannotRebalance):
    """No quantities fit; ``explanation`` says why and what would repair it."""

    code = "no-feasible-solution"

    def __init__(self, message: str, explanation: Explanation) -> None:
        super().__init__(message, tuple(obstacle.security_id for obstacle in explanation.securities))
        self.explanation = explanation
