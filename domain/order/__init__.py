"""Orders of a rebalance: what a trading desk is asked to trade, what comes back of it, and what is left to do."""

from __future__ import annotations

from domain.order.aggregate import (
    Blotter,
    BlotterBegun,
    Order,
    OrderEvent,
    OrdersCancelled,
    OrderSet,
    OrdersSent,
    orders_of,
    place_of,
)
from domain.order.filling import (
    OrderStatus,
    Residual,
    average_price,
    open_quantity,
    order_status,
    residuals,
    set_status,
)
from domain.order.rules import must_be_booked, must_be_recorded, must_hold_as_before, must_take

__all__ = [
    "Blotter",
    "BlotterBegun",
    "Order",
    "OrderEvent",
    "OrderSet",
    "OrderStatus",
    "OrdersCancelled",
    "OrdersSent",
    "Residual",
    "average_price",
    "must_be_booked",
    "must_be_recorded",
    "must_hold_as_before",
    "must_take",
    "open_quantity",
    "order_status",
    "orders_of",
    "place_of",
    "residuals",
    "set_status",
]
