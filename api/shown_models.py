"""The shapes of investment models as the OpenAPI document shows them, and its examples (seed 002)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from api.shown import Figure, Shown


class ModelPositionShown(Shown):
    """A security of a model; all weights in percent."""

    security_id: str
    target: Figure
    low_drift: Figure
    high_drift: Figure


class ModelShown(Shown):
    """An investment model (seed 002 ``ModelDTO``)."""

    model_id: str
    name: str
    positions: list[ModelPositionShown]
    portfolios: list[str]
    last_rebalance_date: datetime | None
    """When it was last rebalanced; null where it never was. It does not move the version."""
    version: int


TECHNOLOGY: Final[dict[str, Any]] = {
    "security_id": "TECH123456789012345678AB",
    "target": 60,
    "low_drift": 2,
    "high_drift": 5,
}
BONDS: Final[dict[str, Any]] = {
    "security_id": "BOND123456789012345678CD",
    "target": 30.5,
    "low_drift": 1,
    "high_drift": 2.5,
}
MODEL: Final[dict[str, Any]] = {
    "model_id": "5f1d7a0c2b9e4f6d8a3c1e07",
    "name": "Balanced Portfolio",
    "positions": [TECHNOLOGY],
    "portfolios": ["portfolio123456789012345"],
    "last_rebalance_date": None,
    "version": 1,
}
"""The example of a model that was just made: the seed's."""
MODEL_CHANGED: Final[dict[str, Any]] = {
    **MODEL,
    "positions": [TECHNOLOGY, BONDS],
    "last_rebalance_date": "2025-06-21T10:00:00Z",
    "version": 2,
}
"""The example of one that was rebalanced and then changed."""
