"""Investment models (seed 002): rules, events, the model, and the reservation of its name."""

from __future__ import annotations

from domain.investment_model.aggregate import InvestmentModel, LastPortfolio
from domain.investment_model.events import (
    ModelCreated,
    ModelDeleted,
    ModelEvent,
    ModelPortfolioRemoved,
    ModelPortfoliosAdded,
    ModelPositionRemoved,
    ModelPositionSet,
    ModelReplaced,
)
from domain.investment_model.names import ModelName, NamePassedOn, NameReleased, NameTaken
from domain.investment_model.rules import (
    ModelPosition,
    faults_between,
    portfolio_faults,
    position_faults,
    wrong_band,
    wrong_drift,
    wrong_model_name,
    wrong_security_id,
    wrong_target,
)

__all__ = [
    "InvestmentModel",
    "LastPortfolio",
    "ModelCreated",
    "ModelDeleted",
    "ModelEvent",
    "ModelName",
    "ModelPortfolioRemoved",
    "ModelPortfoliosAdded",
    "ModelPosition",
    "ModelPositionRemoved",
    "ModelPositionSet",
    "ModelReplaced",
    "NamePassedOn",
    "NameReleased",
    "NameTaken",
    "faults_between",
    "portfolio_faults",
    "position_faults",
    "wrong_band",
    "wrong_drift",
    "wrong_model_name",
    "wrong_security_id",
    "wrong_target",
]
