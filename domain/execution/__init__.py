"""Executions: what a trade service reports, where it is booked, and what may be sent on of it (seed 001)."""

from domain.execution.aggregate import NOT_IN_BATCH, Execution, FailedExecution
from domain.execution.events import (
    Booking,
    ExecutionBooked,
    ExecutionBookingParked,
    ExecutionEvent,
    ExecutionLookUpFailed,
    ExecutionLookUpFailedAgain,
    ExecutionRecorded,
    ExecutionResendRequested,
    FailedExecutionEvent,
    FailedExecutionRecorded,
    Report,
    TradeType,
)
from domain.execution.rules import MAX_SERVICE_ID, Reported, wrong_order_id
from domain.execution.sending import Sending, SendStatus

__all__ = [
    "MAX_SERVICE_ID",
    "NOT_IN_BATCH",
    "Booking",
    "Execution",
    "ExecutionBooked",
    "ExecutionBookingParked",
    "ExecutionEvent",
    "ExecutionLookUpFailed",
    "ExecutionLookUpFailedAgain",
    "ExecutionRecorded",
    "ExecutionResendRequested",
    "FailedExecution",
    "FailedExecutionEvent",
    "FailedExecutionRecorded",
    "Report",
    "Reported",
    "SendStatus",
    "Sending",
    "TradeType",
    "wrong_order_id",
]
