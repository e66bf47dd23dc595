"""Investment models as the tests make them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from domain.investment_model import InvestmentModel, ModelPosition
from domain.rebalance import BoundBy, Certificate, Proof, Rebalance, RebalanceRecorded
from tests.domain.portfolios import NOW

MODEL_ID = "5f1d7a0c2b9e4f6d8a3c1e07"
TECH, BOND, GOLD = ("TECH123456789012345678AB", "BOND123456789012345678AB", "GOLD123456789012345678AB")


def position(security_id: str = TECH, target: str = "60", low: str = "2", high: str = "5") -> ModelPosition:
    return ModelPosition(security_id, Decimal(target), Decimal(low), Decimal(high))


def security(number: int) -> str:
    """Return the id of the security with this number."""
    return f"{number:024d}"


def model(model_id: str = MODEL_ID, **members: Any) -> InvestmentModel:
    """The model of the seed's example, with other members where they are given."""
    name: str = members.get("name", "Balanced Portfolio")
    positions = members.get("positions", (position(),))
    return InvestmentModel.create(model_id, name, positions, members.get("portfolios", ("P-1",)), NOW)


def rebalanced(model_id: str, at: datetime = NOW, number: int = 1) -> RebalanceRecorded:
    """The record of a rebalance by this model, the one with this number; what was rebalanced does not matter here."""
    nothing = Decimal(0)
    certificate = Certificate(
        status=Proof.OPTIMAL,
        minimises="deviation",
        objective=nothing,
        lower_bound=nothing,
        gap=nothing,
        bound_by=BoundBy.SEPARABILITY,
        method="nearest",
        input_sha256="",
    )
    return RebalanceRecorded(
        originator_id=Rebalance.stream(f"{number:024x}"),
        originator_version=1,
        originator_topic=Rebalance.TOPIC,
        timestamp=at,
        run_id=f"{number:032x}",
        model_id=model_id,
        portfolio_id="P-1",
        portfolio_name="P-1",
        market_value=nothing,
        cash_before=nothing,
        cash_after=nothing,
        held={},
        quantities={},
        certificate=certificate,
    )
