"""The shapes of answers as the OpenAPI document shows them; the bytes themselves are rendered by the read side."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, WithJsonSchema

from domain.portfolio import Status

Figure = Annotated[Decimal, WithJsonSchema({"type": "number"})]
"""A number written exactly: no exponent, no rounding beyond the one that is documented."""


class Shown(BaseModel):
    """Base of the shapes of answers."""

    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid")


class Position(Shown):
    """One position (seed 004 ``Position``); cash is the instrument ``CASH``."""

    instrument_id: str
    position_type: Annotated[str, WithJsonSchema({"type": "string", "enum": ["LONG", "SHORT", "CASH"]})]
    quantity: Figure
    market_value: Figure
    weight: Figure
    unrealized_pnl: Figure
    cost_basis: Figure
    last_updated: datetime


class PortfolioState(Shown):
    """A portfolio with its figures (seed 004 ``PortfolioState``)."""

    portfolio_id: str
    portfolio_name: str
    status: Status
    total_value: Figure
    cash_balance: Figure
    overdrawn: bool
    """Whether there is less cash than nothing."""
    positions: list[Position]
    weights: dict[str, Figure]
    last_updated: datetime


class PortfolioItem(Shown):
    """One portfolio in a list."""

    portfolio_id: str
    portfolio_name: str
    status: Status


class PortfolioList(Shown):
    """A page of portfolios; ``next`` is the ``cursor`` of the next page, null on the last."""

    items: list[PortfolioItem]
    next: str | None


PORTFOLIO_STATE: Final[dict[str, Any]] = {
    "portfolio_id": "ACC-1",
    "portfolio_name": "Growth",
    "status": "ACTIVE",
    "total_value": 1000.5,
    "cash_balance": 1000.5,
    "overdrawn": False,
    "positions": [
        {
            "instrument_id": "CASH",
            "position_type": "CASH",
            "quantity": 1000.5,
            "market_value": 1000.5,
            "weight": 1,
            "unrealized_pnl": 0,
            "cost_basis": 1000.5,
            "last_updated": "2025-06-21T10:00:00Z",
        }
    ],
    "weights": {"CASH": 1},
    "last_updated": "2025-06-21T10:00:00Z",
}
"""The example of a state."""
