"""The shapes of answers as the OpenAPI document shows them; the bytes themselves are rendered by the read side."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, WithJsonSchema

from domain.portfolio import Status, TransactionType

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
    total_value: Figure
    cash_balance: Figure
    positions: list[Position]
    weights: dict[str, Figure]
    last_updated: datetime
    status: Status
    portfolio_name: str
    overdrawn: bool
    """Whether there is less cash than nothing."""


class PortfolioItem(Shown):
    """One portfolio in a list."""

    portfolio_id: str
    portfolio_name: str
    status: Status


class PortfolioList(Shown):
    """A page of portfolios; ``next`` is the ``cursor`` of the next page, null on the last."""

    items: list[PortfolioItem]
    next: str | None


class TransactionItem(Shown):
    """One transaction (seed 004 ``portfolio_transactions``)."""

    portfolio_id: str
    instrument_id: str
    transaction_type: TransactionType
    quantity: Figure
    price: Figure
    transaction_value: Figure
    """What it moved, always positive; money."""
    transaction_date: datetime
    realized_pnl: Figure | None
    """Profit of a sale or a cover at average cost; null where nothing is realised."""
    position: int
    """Log position of its event."""


class TransactionList(Shown):
    """A page of transactions; ``next`` is the ``cursor`` of the next page, null on the last."""

    items: list[TransactionItem]
    next: str | None


class PriceItem(Shown):
    """The latest price of an instrument."""

    instrument_id: str
    price: Figure
    as_of: datetime
    """From when it is so."""


class PriceList(Shown):
    """A page of prices; ``next`` is the ``cursor`` of the next page, null on the last."""

    items: list[PriceItem]
    next: str | None


class PricesTaken(Shown):
    """What an upload of prices has brought."""

    as_of: datetime
    count: int
    """So many prices were given; those older than the ones known do not count."""
    position: int


class SecurityShown(Shown):
    """What people call a security."""

    security_id: str
    ticker: str
    name: str


class NamedSecurity(SecurityShown):
    """What people call a security now, and the log position from which that is so."""

    position: int


class SecurityList(Shown):
    """A page of securities; ``next`` is the ``cursor`` of the next page, null on the last."""

    items: list[SecurityShown]
    next: str | None


def _position(name: str, kind: str, quantity: float, worth: float, weight: float, gain: float, cost: float) -> Any:
    return {
        "instrument_id": name,
        "position_type": kind,
        "quantity": quantity,
        "market_value": worth,
        "weight": weight,
        "unrealized_pnl": gain,
        "cost_basis": cost,
        "last_updated": "2025-06-21T10:00:00Z",
    }


POSITIONS: Final[list[Any]] = [
    _position("AAPL", "LONG", 500, 75125, 0.741975, 1250, 73875),
    _position("CASH", "CASH", 26125, 26125, 0.258025, 0, 26125),
]
WEIGHTS: Final[dict[str, Any]] = {"AAPL": 0.741975, "CASH": 0.258025}
PORTFOLIO_STATE: Final[dict[str, Any]] = {
    "portfolio_id": "ACC-1",
    "total_value": 101250,
    "cash_balance": 26125,
    "positions": POSITIONS,
    "weights": WEIGHTS,
    "last_updated": "2025-06-21T10:00:00Z",
    "status": "ACTIVE",
    "portfolio_name": "Growth",
    "overdrawn": False,
}
"""The example of a state."""
PORTFOLIO_OPENED: Final[dict[str, Any]] = {
    **PORTFOLIO_STATE,
    "total_value": 100000,
    "cash_balance": 100000,
    "positions": [_position("CASH", "CASH", 100000, 100000, 1, 0, 100000)],
    "weights": {"CASH": 1},
}
"""The example of one that was just opened."""

TRANSACTION_LIST: Final[dict[str, Any]] = {
    "items": [
        {
            "portfolio_id": "ACC-1",
            "instrument_id": "AAPL",
            "transaction_type": "SELL",
            "quantity": 100,
            "price": 150.25,
            "transaction_value": 15025,
            "transaction_date": "2025-06-21T10:00:00Z",
            "realized_pnl": 250,
            "position": 42,
        }
    ],
    "next": None,
}
PRICES_TAKEN: Final[dict[str, Any]] = {"as_of": "2025-06-21T10:00:00Z", "count": 2, "position": 42}
PRICE_LIST: Final[dict[str, Any]] = {
    "items": [{"instrument_id": "AAPL", "price": 150.25, "as_of": "2025-06-21T10:00:00Z"}],
    "next": None,
}
SECURITY: Final[dict[str, Any]] = {"security_id": "AAPL", "ticker": "AAPL", "name": "Apple Inc."}
SECURITY_NAMED: Final[dict[str, Any]] = {**SECURITY, "position": 42}
