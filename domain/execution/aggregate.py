"""An execution, recorded once, and one whose portfolio could not be found out yet (seed 001)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Self, assert_never

from domain.base import Aggregate
from domain.errors import RuleViolated
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
)
from domain.portfolio import Portfolio, PositionUpdate, TransactionType
from domain.trading_day import trading_day

NOT_IN_BATCH = 0
_NEVER = datetime.min.replace(tzinfo=UTC)
_OF_UPDATE = "update 0: "


class Execution(Aggregate):
    """One execution of a portfolio; its natural key is the ``executionServiceId``, its id a log position."""

    TOPIC = "execution"
    CACHED = False

    report: Report
    portfolio_id: str
    trade_date: date
    recorded_at: datetime = _NEVER
    order_id: str | None = None
    booking: Booking = Booking.NONE
    booking_reason: str | None = None
    resent_for: int = NOT_IN_BATCH
    """The last batch whose rejection was answered by sending it again."""

    @classmethod
    def record(
        cls, service_id: int, report: Report, portfolio_id: str, at: datetime, *, order_id: str | None = None
    ) -> Self:
        """Return the execution as it is recorded; ``order_id`` counts where the report names no order itself."""
        return cls._create(
            ExecutionRecorded,
            id=cls.stream(str(service_id)),
            timestamp=at,
            report=report,
            portfolio_id=portfolio_id,
            trade_date=trading_day(report.sent),
            order_id=report.order_id or order_id,
        )

    @property
    def service_id(self) -> int:
        """The natural key."""
        return int(self.key)

    @property
    def to_be_booked(self) -> bool:
        """Whether something was filled that is not in the portfolio yet."""
        return self.booking is not Booking.BOOKED and self.report.quantity_filled > 0

    def book(self, portfolio: Portfolio, now: datetime) -> None:
        """Book what was filled into its portfolio, once, at its average price and time (contract "004").

        What is booked, or has nothing filled, stays as it is. Raises ``RuleViolated`` or ``Invalid`` where the
        portfolio refuses it: then neither has changed.
        """
        if not self.to_be_booked:
            return
        update = PositionUpdate(
            transaction_type=TransactionType(self.report.trade_type),
            quantity_change=self.report.quantity_filled,
            instrument_id=self.report.security_id,
            price=self.report.average_price,
        )
        try:
            portfolio.update([update], self.report.traded, now=now)
        except RuleViolated as refusal:
            raise RuleViolated(str(refusal).removeprefix(_OF_UPDATE)) from None
        self.trigger_event(ExecutionBooked, timestamp=now, portfolio_version=portfolio.version)

    def park(self, reason: str, at: datetime) -> None:
        """Keep why it is not booked; the same reason again changes nothing, and neither does any once it is booked."""
        if self.to_be_booked and (self.booking is not Booking.PARKED or self.booking_reason != reason):
            self.trigger_event(ExecutionBookingParked, timestamp=at, reason=reason)

    def send_again(self, execution_id: int, batch_id: int, at: datetime) -> None:
        """Let it go out with the next new batch; raises ``RuleViolated`` where that was asked for already."""
        if batch_id <= self.resent_for:
            raise RuleViolated(f"execution {execution_id} is on its way again since batch {self.resent_for}")
        self.trigger_event(ExecutionResendRequested, timestamp=at, execution_id=execution_id, batch_id=batch_id)

    def evolve(self, event: ExecutionEvent) -> None:
        match event:
            case ExecutionRecorded():
                self.report, self.portfolio_id = event.report, event.portfolio_id
                self.trade_date, self.order_id = event.trade_date, event.order_id
                self.recorded_at = event.timestamp
            case ExecutionBooked():
                self.booking, self.booking_reason = Booking.BOOKED, None
            case ExecutionBookingParked(reason=reason):
                self.booking, self.booking_reason = Booking.PARKED, reason
            case ExecutionResendRequested(batch_id=batch_id):
                self.resent_for = batch_id
            case _:
                assert_never(event)


class FailedExecution(Aggregate):
    """An execution that waits for its portfolio id to be found out; its natural key is the ``executionServiceId``.

    Each of its events tells all that counts, so the last one is enough: who retries for weeks does not read more.
    """

    TOPIC = "failed-execution"
    CACHED = False

    report: Report | None = None
    """As it was reported last; None once it is recorded."""
    reason: str = ""
    """Why the last look-up failed."""

    @classmethod
    def keep(cls, service_id: int, report: Report, reason: str, at: datetime) -> Self:
        """Return it as it is kept."""
        return cls._create(
            ExecutionLookUpFailed, id=cls.stream(str(service_id)), timestamp=at, report=report, reason=reason
        )

    @classmethod
    def left_by(cls, event: FailedExecutionEvent) -> Self:
        """Return it as its last event has left it."""
        aggregate = object.__new__(cls)
        aggregate.__base_init__(event.originator_id, event.originator_version, event.timestamp)
        aggregate.evolve(event)
        return aggregate

    @property
    def service_id(self) -> int:
        """The natural key."""
        return int(self.key)

    @property
    def recorded(self) -> bool:
        """Whether it waits no more."""
        return self.report is None

    def fail_again(self, report: Report, reason: str, at: datetime) -> None:
        """Keep what was reported last and why it failed; nothing where it is recorded."""
        if not self.recorded:
            self.trigger_event(ExecutionLookUpFailedAgain, timestamp=at, report=report, reason=reason)

    def leave(self, at: datetime) -> None:
        """End, because it is recorded."""
        if not self.recorded:
            self.trigger_event(FailedExecutionRecorded, timestamp=at)

    def evolve(self, event: FailedExecutionEvent) -> None:
        match event:
            case ExecutionLookUpFailed() | ExecutionLookUpFailedAgain():
                self.report, self.reason = event.report, event.reason
            case FailedExecutionRecorded():
                self.report, self.reason = None, ""
            case _:
                assert_never(event)
