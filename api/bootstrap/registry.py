"""The registry of views: the projector of each, one line."""

from __future__ import annotations

from typing import Any

from domain.errors import NotFound
from projections.asset_allocation import ALLOCATION_PROJECTOR, REBALANCE_TRANSACTION_PROJECTOR
from projections.batch import BATCH_PROJECTOR
from projections.execution import EXECUTION_PROJECTOR
from projections.investment_model import INVESTMENT_MODEL_PROJECTOR
from projections.order import ORDER_PROJECTOR
from projections.portfolio import PORTFOLIO_PROJECTOR
from projections.prices import PRICE_PROJECTOR
from projections.projector import Projector
from projections.rebalance import REBALANCE_PROJECTOR
from projections.returns import RETURNS_PROJECTOR
from projections.securities import SECURITY_PROJECTOR
from projections.transactions import TRANSACTION_PROJECTOR

PROJECTORS: tuple[Projector[Any], ...] = (
    PORTFOLIO_PROJECTOR,
    PRICE_PROJECTOR,
    SECURITY_PROJECTOR,
    RETURNS_PROJECTOR,
    TRANSACTION_PROJECTOR,
    INVESTMENT_MODEL_PROJECTOR,
    REBALANCE_PROJECTOR,
    ORDER_PROJECTOR,
    ALLOCATION_PROJECTOR,
    REBALANCE_TRANSACTION_PROJECTOR,
    EXECUTION_PROJECTOR,
    BATCH_PROJECTOR,
)


def projector(name: str) -> Projector[Any]:
    """Return the projector of the view with this name; raises ``NotFound`` naming those that there are."""
    for candidate in PROJECTORS:
        if candidate.view.name == name:
            return candidate
    names = ", ".join(sorted(each.view.name for each in PROJECTORS))
    raise NotFound(f"there is no view {name!r}; there are: {names}")
