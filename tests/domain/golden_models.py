"""What the stored samples of the events of investment models say."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from domain.investment_model import ModelPosition


def _at(second: int) -> datetime:
    return datetime(2025, 6, 21, 10, 0, second, tzinfo=UTC)


MODELS: dict[str, dict[str, Any]] = {
    "model.created.v1": {
        "name": 'Balanced – Ünïcode / 株式 "1"',
        "positions": (
            ModelPosition("TECH123456789012345678AB", Decimal(60), Decimal(2), Decimal(5)),
            ModelPosition("bond123456789012345678ab", Decimal("0.005"), Decimal(0), Decimal("0.000001")),
        ),
        "portfolios": ("portfolio123456789012345", "ACC:1._-"),
        "timestamp": _at(20),
    },
    "model.replaced.v1": {
        "name": "Sell everything",
        "positions": (),
        "portfolios": ("ACC-1",),
        "timestamp": _at(21),
    },
    "model.position-set.v1": {
        "position": ModelPosition("TECH123456789012345678AB", Decimal(95), Decimal("0.123456"), Decimal(100)),
        "timestamp": _at(22),
    },
    "model.position-removed.v1": {"security_id": "TECH123456789012345678AB", "timestamp": _at(23)},
    "model.portfolios-added.v1": {"portfolios": ("ACC-2", "ACC-3"), "timestamp": _at(24)},
    "model.portfolio-removed.v1": {"portfolio_id": "ACC-2", "timestamp": _at(25)},
    "model.deleted.v1": {"timestamp": _at(26)},
    "model-name.taken.v1": {"model_id": "5f1d7a0c2b9e4f6d8a3c1e07", "timestamp": _at(27)},
    "model-name.released.v1": {"timestamp": _at(28)},
    "model-name.passed-on.v1": {"model_id": "0123456789abcdef01234567", "timestamp": _at(29)},
}
