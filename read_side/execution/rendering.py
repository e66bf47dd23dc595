"""Executions as they are answered (seed 001)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from domain.execution import Report, SendStatus
from read_side.execution.rows import ExecutionRow, FailedRow
from read_side.wire import encode, moment, number


def shown(row: ExecutionRow, send_status: SendStatus, reject_reason: str | None = None) -> dict[str, Any]:
    """Return the execution as it is answered: the members of seed 001 ``ExecutionDTO`` in its order, then ours."""
    return {
        "id": row.execution_id,
        "executionServiceId": row.service_id,
        "isOpen": False,
        **_names(row.report),
        "portfolioId": row.portfolio_id,
        **_figures(row.report),
        "version": row.version,
        "tradeDate": row.trade_date.isoformat(),
        "orderId": row.order_id,
        "sendStatus": send_status,
        "rejectReason": reject_reason,
        "booking": row.booking,
        "bookingReason": row.booking_reason,
    }


def execution_json(row: ExecutionRow, send_status: SendStatus, reject_reason: str | None = None) -> bytes:
    """Return the execution as it is answered."""
    return encode(shown(row, send_status, reject_reason))


def failed_json(rows: Iterable[FailedRow], cursor: str | None) -> bytes:
    """Return a page of failed executions as a list of ours: ``{"items": [...], "next": cursor or null}``."""
    items = [
        {
            "executionServiceId": row.service_id,
            "isOpen": False,
            **_names(row.report),
            **_figures(row.report),
            "orderId": row.report.order_id,
            "error": row.reason,
            "attempts": row.attempts,
            "failedAt": moment(row.failed_at),
        }
        for row in rows
    ]
    return encode({"items": items, "next": cursor})


def _names(report: Report) -> dict[str, Any]:
    return {
        "executionStatus": report.execution_status,
        "tradeType": report.trade_type,
        "destination": report.destination,
        "securityId": report.security_id,
    }


def _figures(report: Report) -> dict[str, Any]:
    return {
        "ticker": report.ticker,
        "quantity": number(report.quantity),
        "limitPrice": None if report.limit_price is None else number(report.limit_price),
        "receivedTimestamp": moment(report.received),
        "sentTimestamp": moment(report.sent),
        "lastFillTimestamp": None if report.last_fill is None else moment(report.last_fill),
        "quantityFilled": number(report.quantity_filled),
        "totalAmount": number(report.total_amount),
        "averagePrice": number(report.average_price),
    }
