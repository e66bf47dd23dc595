"""Executions as tests report them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from domain.execution import Execution, Reported

SECURITY = "TECH123456789012345678AB"
SENT = datetime(2025, 6, 18, 1, tzinfo=UTC)
NOW = datetime(2025, 6, 21, 10, tzinfo=UTC)

_USUAL: dict[str, Any] = {
    "execution_service_id": 4711,
    "execution_status": "FILLED",
    "trade_type": "BUY",
    "destination": "NYSE",
    "security_id": SECURITY,
    "ticker": "TECH",
    "quantity": Decimal(100),
    "limit_price": None,
    "received": SENT,
    "sent": SENT,
    "last_fill": None,
    "quantity_filled": Decimal(100),
    "total_amount": Decimal("5712.35"),
    "average_price": Decimal("57.1235"),
}


def reported(**members: Any) -> Reported:
    """Return an execution as it is reported, a good one but for these members."""
    return Reported(**(_USUAL | members))


def recorded(portfolio_id: str = "ACC-1", **members: Any) -> Execution:
    """Return the execution of this portfolio as it is recorded."""
    asked = reported(**members)
    return Execution.record(asked.execution_service_id or 0, asked.report(), portfolio_id, NOW)
