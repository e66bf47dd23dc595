"""What happens to executions: recorded once under the id of the trade service, booked or parked, sent again."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

import msgspec

from domain.base import Created, Event


class TradeType(StrEnum):
    """The side of an execution (seed 001 ``tradeType``)."""

    BUY = "BUY"
    SELL = "SELL"


class Booking(StrEnum):
    """Where an execution stands in its portfolio."""

    NONE = "NONE"
    """Not booked: nothing was filled, its turn has not come, or nobody is to book it."""
    BOOKED = "BOOKED"
    PARKED = "PARKED"
    """The portfolio is unknown or has refused it."""


class Report(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An execution as it was reported (seed 001 ``ExecutionPostDTO``); figures have up to 8 places."""

    execution_status: str
    trade_type: TradeType
    destination: str
    security_id: str
    ticker: str
    quantity: Decimal
    limit_price: Decimal | None
    received: datetime
    sent: datetime
    last_fill: datetime | None
    quantity_filled: Decimal
    total_amount: Decimal
    average_price: Decimal
    order_id: str | None = None
    """The order it fills, where the reporter knows it."""

    @property
    def traded(self) -> datetime:
        """Business time of the trade: the last fill, else when it was sent."""
        return self.sent if self.last_fill is None else self.last_fill


class ExecutionRecorded(Created):
    """A closed execution of a known portfolio id was recorded; its log position is the execution's id.

    ``trade_date`` is the day in New York on which it was sent; ``order_id`` the order it fills, as reported or as the
    trade service knows it.
    """

    TOPIC = "execution.recorded.v1"
    report: Report
    portfolio_id: str
    trade_date: date
    order_id: str | None


class ExecutionBooked(Event):
    """It is in its portfolio, whose version this has made."""

    TOPIC = "execution.booked.v1"
    portfolio_version: int


class ExecutionBookingParked(Event):
    """Its portfolio does not exist or does not take it, for this reason."""

    TOPIC = "execution.booking-parked.v1"
    reason: str


class ExecutionResendRequested(Event):
    """It was rejected in this batch and is to go out again with the next new one; both by their ids."""

    TOPIC = "execution.resend-requested.v1"
    execution_id: int
    batch_id: int


class ExecutionLookUpFailed(Created):
    """The portfolio of this execution could not be found out, so it is not recorded but kept."""

    TOPIC = "failed-execution.look-up-failed.v1"
    report: Report
    reason: str


class ExecutionLookUpFailedAgain(Event):
    """It could not be found out once more; figures and reason are those of the last time."""

    TOPIC = "failed-execution.look-up-failed-again.v1"
    report: Report
    reason: str


class FailedExecutionRecorded(Event):
    """It was recorded at last."""

    TOPIC = "failed-execution.recorded.v1"


ExecutionEvent: TypeAlias = ExecutionRecorded | ExecutionBooked | ExecutionBookingParked | ExecutionResendRequested
FailedExecutionEvent: TypeAlias = ExecutionLookUpFailed | ExecutionLookUpFailedAgain | FailedExecutionRecorded
