"""Orders as JSON for people and programs, and as CSV for a trading desk."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from io import StringIO
from typing import Any

from domain.order import Order, OrderSet, OrderStatus, Residual, average_price, open_quantity
from domain.values import money, plain
from read_side.order import Fill, OrderLine, OrdersRow, Sent
from read_side.wire import amount, encode, moment, number

COLUMNS = ("ClOrdID", "Account", "Symbol", "Side", "OrderQty", "OrdType", "TimeInForce")
"""The members of a FIX ``NewOrderSingle`` that an order has here (decision 13)."""


def orders_json(portfolio_id: str, orders: OrderSet, status: OrderStatus) -> bytes:
    """Return orders as the command that has sent or cancelled them answers: as they were sent, without fills."""
    return encode(
        _head(orders.rebalance_id, portfolio_id, status, orders.sent_at, orders.cancelled_at)
        | {"orders": [_order(order) for order in orders.orders]}
    )


def sent_json(sent: Sent) -> bytes:
    """Return orders with what is filled of them, and what is left of the drifts."""
    row, cash, left = sent.row, sent.cash_after, sent.residuals
    pairs = zip(row.lines, row.statuses, strict=True)
    return encode(
        _head(row.rebalance_id, row.portfolio_id, row.status, sent.sent_at, row.cancelled_at)
        | {
            "orders": [_line(row, line, status) for line, status in pairs],
            "mismatched": [_fill(fill) for fill in row.unmatched],
            "mismatched_count": row.unmatched_count,
            "residual": None if left is None else [_residual(each) for each in left],
            "cash_after": None if cash is None else amount(money(cash)),
        }
    )


def summary_json(sent: Sent | None) -> bytes:
    """Return what a rebalance shows of its orders: how many there are, and the largest drift that is left."""
    if sent is None:
        return b"null"
    row, statuses, left = sent.row, sent.row.statuses, sent.residuals
    return encode(
        {
            "status": row.status,
            "sent_at": moment(sent.sent_at),
            "ordered": len(statuses),
            "filled": statuses.count(OrderStatus.FILLED),
            "open": statuses.count(OrderStatus.OPEN),
            "largest_drift": number(_largest(left)) if left else None,
        }
    )


def orders_csv(row: OrdersRow) -> bytes:
    """Return the orders as a desk takes them: the same bytes each time, but nothing of those that are cancelled."""
    text = StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    if row.cancelled_at is None:
        for line in row.lines:
            order = line.order
            told = (order.order_id, row.portfolio_id, order.security_id, order.transaction_type, plain(order.quantity))
            rows.writerow((*told, "MARKET", "DAY"))
    return text.getvalue().encode()


def _largest(left: Iterable[Residual]) -> Decimal:
    return max(each.drift.copy_abs() for each in left)


def _head(
    rebalance_id: str, portfolio_id: str, status: OrderStatus, sent_at: datetime, cancelled_at: datetime | None
) -> dict[str, Any]:
    return {
        "rebalance_id": rebalance_id,
        "portfolio_id": portfolio_id,
        "status": status,
        "sent_at": moment(sent_at),
        "cancelled_at": None if cancelled_at is None else moment(cancelled_at),
    }


def _order(order: Order) -> dict[str, Any]:
    return {
        "order_id": order.order_id,
        "transaction_type": order.transaction_type,
        "security_id": order.security_id,
        "quantity": number(order.quantity),
        "price": number(order.price),
    }


def _line(row: OrdersRow, line: OrderLine, status: OrderStatus) -> dict[str, Any]:
    fills = line.fills
    average = average_price(fills.amount, fills.quantity)
    left = open_quantity(line.order.quantity, fills.quantity, cancelled=row.cancelled_at is not None)
    return _order(line.order) | {
        "filled": number(fills.quantity),
        "open": number(left),
        "average_price": None if average is None else number(average),
        "status": status,
        "execution_ids": fills.execution_ids,
        "execution_count": fills.count,
    }


def _fill(fill: Fill) -> dict[str, Any]:
    return {
        "execution_id": fill.execution_id,
        "order_id": fill.order_id,
        "portfolio_id": fill.portfolio_id,
        "transaction_type": fill.transaction_type,
        "security_id": fill.security_id,
        "quantity_filled": number(fill.quantity_filled),
        "average_price": number(fill.average_price),
    }


def _residual(each: Residual) -> dict[str, Any]:
    return {
        "security_id": each.security_id,
        "target": number(each.target),
        "low_drift": number(each.low_drift),
        "high_drift": number(each.high_drift),
        "actual": number(each.actual),
        "drift": number(each.drift),
        "in_band": each.in_band,
    }
