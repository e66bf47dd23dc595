"""Executions as the OpenAPI document shows them, with examples (seed 001 ``ExecutionDTO``), and their ids in paths."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Any, Final

from fastapi import Path
from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from api.documented import Responses
from api.seed_001 import refusals, refuse
from api.shown import Figure, Shown
from domain.execution import Booking, SendStatus, TradeType

ID_UNREADABLE: Final = "invalid execution ID"
ExecutionId = Annotated[str, Path(description="Id of the execution, an integer.")]
"""The path parameter that names an execution."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,100}\Z")


def integer(text: str, message: str) -> int:
    """Return the integer that the text is; raises ``RequestProblem``, the 400 with this message, where it is none."""
    if not _INTEGER.match(text):
        refuse(message, f"{text[:40]!a} is not an integer")
    return int(text)


def id_of(text: str) -> int:
    """Return the id of an execution in a path; raises ``RequestProblem`` (400)."""
    return integer(text, ID_UNREADABLE)


def unknown(message: str) -> Responses:
    """Return the OpenAPI response for something that is not there, which is told by this message."""
    found = refusals("not-found")
    for example in found[404]["content"]["application/json"]["examples"].values():
        example["value"]["message"] = message
    return found


class Seed001(Shown):
    """Base of the shapes of answers whose members have names as in ``executionServiceId``."""

    model_config = ConfigDict(alias_generator=to_camel)


class ExecutionShown(Seed001):
    """A recorded execution; figures have up to 8 places."""

    id: int
    """Rises with every execution; numbers are left out."""
    execution_service_id: int
    is_open: bool
    execution_status: str
    trade_type: TradeType
    destination: str
    security_id: str
    portfolio_id: str
    ticker: str
    quantity: Figure
    limit_price: Figure | None
    received_timestamp: datetime
    sent_timestamp: datetime
    last_fill_timestamp: datetime | None
    quantity_filled: Figure
    total_amount: Figure
    average_price: Figure
    version: int
    trade_date: date
    """The day in New York on which it was sent."""
    order_id: str | None
    """The order it fills, where that is known."""
    send_status: SendStatus
    """Whether accounting has it."""
    reject_reason: str | None
    """Why accounting rejected it."""
    booking: Booking
    booking_reason: str | None
    """Why its portfolio does not take it."""


class PaginationShown(Seed001):
    """Which part of a list is shown (seed 001 ``PaginationInfo``)."""

    total_elements: int
    total_pages: int
    """0 where there is nothing."""
    current_page: int
    """From 0 on."""
    page_size: int
    has_next: bool
    has_previous: bool


class ExecutionListShown(Seed001):
    """A part of all executions (seed 001 ``ExecutionListResponse``)."""

    executions: list[ExecutionShown]
    """The last recorded first."""
    pagination: PaginationShown


class FailedShown(Seed001):
    """An execution whose portfolio could not be found out yet, as it was reported last."""

    execution_service_id: int
    is_open: bool
    execution_status: str
    trade_type: TradeType
    destination: str
    security_id: str
    ticker: str
    quantity: Figure
    limit_price: Figure | None
    received_timestamp: datetime
    sent_timestamp: datetime
    last_fill_timestamp: datetime | None
    quantity_filled: Figure
    total_amount: Figure
    average_price: Figure
    order_id: str | None
    error: str
    """Why the last attempt failed."""
    attempts: int
    failed_at: datetime
    """When the last attempt failed."""


class FailedListShown(Seed001):
    """A page of failed executions; ``next`` is the ``cursor`` of the next page, null on the last."""

    items: list[FailedShown]
    next: str | None


_NAMES: Final[dict[str, Any]] = {
    "executionServiceId": 4711,
    "isOpen": False,
    "executionStatus": "FILLED",
    "tradeType": "BUY",
    "destination": "NYSE",
    "securityId": "TECH123456789012345678AB",
}
_FIGURES: Final[dict[str, Any]] = {
    "ticker": "TECH",
    "quantity": 100,
    "limitPrice": 57.25,
    "receivedTimestamp": "2025-06-18T13:59:58.5Z",
    "sentTimestamp": "2025-06-18T14:00:00Z",
    "lastFillTimestamp": "2025-06-18T14:00:07Z",
    "quantityFilled": 100,
    "totalAmount": 5712.345679,
    "averagePrice": 57.12345679,
}
EXECUTION: Final[dict[str, Any]] = {
    "id": 42,
    **_NAMES,
    "portfolioId": "ACC-1",
    **_FIGURES,
    "version": 2,
    "tradeDate": "2025-06-18",
    "orderId": None,
    "sendStatus": "SENT",
    "rejectReason": None,
    "booking": "BOOKED",
    "bookingReason": None,
}
REJECTED: Final[dict[str, Any]] = {**EXECUTION, "sendStatus": "REJECTED", "rejectReason": "unknown security"}
EXECUTION_LIST: Final[dict[str, Any]] = {
    "executions": [EXECUTION],
    "pagination": {
        "totalElements": 1,
        "totalPages": 1,
        "currentPage": 0,
        "pageSize": 50,
        "hasNext": False,
        "hasPrevious": False,
    },
}
FAILED_LIST: Final[dict[str, Any]] = {
    "items": [
        {
            **_NAMES,
            **_FIGURES,
            "orderId": None,
            "error": "the trade service knows no portfolio of execution 4711",
            "attempts": 2,
            "failedAt": "2025-06-18T14:05:00Z",
        }
    ],
    "next": None,
}
