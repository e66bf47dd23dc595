"""The shapes of orders as the OpenAPI document shows them, and their examples."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from api.shown import Figure, Shown
from domain.execution import TradeType
from domain.order import OrderStatus


class OrderShown(Shown):
    """One order; ``price`` is the one that the rebalance was made with, which is no limit."""

    order_id: str
    transaction_type: TradeType
    security_id: str
    quantity: Figure
    price: Figure


class FilledOrderShown(OrderShown):
    """One order with what is filled of it."""

    filled: Figure
    """More than the quantity where more was traded than asked for."""
    open: Figure
    """What the desk is still to fill: nothing of what is cancelled."""
    average_price: Figure | None
    """Of what is filled, with up to 8 places."""
    status: OrderStatus
    execution_ids: list[int]
    """Those that have filled it, the first 100."""
    execution_count: int
    """How many there are."""


class MismatchedShown(Shown):
    """An execution that names an order and is not of its portfolio, security or side: it is not counted."""

    execution_id: int
    order_id: str
    portfolio_id: str
    transaction_type: TradeType
    security_id: str
    quantity_filled: Figure
    average_price: Figure


class ResidualShown(Shown):
    """A security as the fills so far leave it, in percent of the rebalance's market value at its prices."""

    security_id: str
    target: Figure
    low_drift: Figure
    high_drift: Figure
    actual: Figure
    """The weight, with four places."""
    drift: Figure
    """The weight less the target."""
    in_band: bool


class _OrdersOf(Shown):
    rebalance_id: str
    portfolio_id: str
    status: OrderStatus
    sent_at: datetime
    cancelled_at: datetime | None


class OrdersToldShown(_OrdersOf):
    """Orders as they were sent."""

    orders: list[OrderShown]
    """Sells first."""
    position: int
    """Log position that the command reached."""


class OrdersShown(_OrdersOf):
    """Orders with what is filled of them."""

    orders: list[FilledOrderShown]
    """Sells first."""
    mismatched: list[MismatchedShown]
    """The first 100; of all that came before the orders were sent, only the first 100 can be among them."""
    mismatched_count: int
    """How many there are."""
    residual: list[ResidualShown] | None
    """By security; null where the rebalance was deleted."""
    cash_after: Figure | None
    """Cash of the rebalance with the fills at their prices; null where the rebalance was deleted."""


class OrdersSummaryShown(Shown):
    """How far the orders of a rebalance are filled."""

    status: OrderStatus
    sent_at: datetime
    ordered: int
    """So many orders were sent; of these so many are completely filled, and so many still open."""
    filled: int
    open: int
    largest_drift: Figure | None
    """The largest distance of a weight from its target that the fills so far have left, in percent."""


_ID: Final = "0c4ad8a3f5b35e0d9f3b7a11"
_ORDER: Final[dict[str, Any]] = {
    "order_id": f"{_ID}-1",
    "transaction_type": "BUY",
    "security_id": "TECH123456789012345678AB",
    "quantity": 399,
    "price": 150.3383,
}
_SENT: Final[dict[str, Any]] = {
    "rebalance_id": _ID,
    "portfolio_id": "ACC-1",
    "status": "OPEN",
    "sent_at": "2025-06-21T10:05:00Z",
    "cancelled_at": None,
}
ORDERS_TOLD: Final[dict[str, Any]] = {**_SENT, "orders": [_ORDER], "position": 42}
ORDERS_CANCELLED: Final[dict[str, Any]] = {
    **ORDERS_TOLD,
    "status": "CANCELLED",
    "cancelled_at": "2025-06-21T15:30:00Z",
    "position": 57,
}
ORDERS: Final[dict[str, Any]] = {
    **_SENT,
    "orders": [
        {
            **_ORDER,
            "filled": 200,
            "open": 199,
            "average_price": 150.35,
            "status": "OPEN",
            "execution_ids": [44, 51],
            "execution_count": 2,
        }
    ],
    "mismatched": [],
    "mismatched_count": 0,
    "residual": [
        {
            "security_id": "TECH123456789012345678AB",
            "target": 60,
            "low_drift": 2,
            "high_drift": 5,
            "actual": 30.0677,
            "drift": -29.9323,
            "in_band": False,
        }
    ],
    "cash_after": 69930.00,
}
ORDERS_CSV: Final = (
    "ClOrdID,Account,Symbol,Side,OrderQty,OrdType,TimeInForce\n"
    f"{_ID}-1,ACC-1,TECH123456789012345678AB,BUY,399,MARKET,DAY\n"
)
SUMMARY: Final[dict[str, Any]] = {
    "status": "OPEN",
    "sent_at": "2025-06-21T10:05:00Z",
    "ordered": 1,
    "filled": 0,
    "open": 1,
    "largest_drift": 29.9323,
}
