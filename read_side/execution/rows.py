"""The rows of the view of executions, recorded and failed ones (contract "001")."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final, Self, TypeAlias

from domain.execution import Booking, Execution, Report
from read_side.store import Kind, Row, View

COUNT_KEY: Final = "count"


class ExecutionRow(Row, frozen=True, kw_only=True, gc=False, tag="execution"):
    """A recorded execution.

    ``execution_id`` is the log position at which it was recorded, ``resent_at`` that of the last request to send it
    again, 0 where there was none. The row stands under the id of the trade service, which names the stream of all its
    events, so that none of them needs a look-up of where its row is. ``ordinal`` counts executions in the order of
    their ids, from 1 on.
    """

    execution_id: int
    service_id: int
    report: Report
    portfolio_id: str
    trade_date: date
    order_id: str | None
    version: int
    ordinal: int = 0
    booking: Booking = Booking.NONE
    booking_reason: str | None = None
    resent_at: int = 0

    @property
    def key(self) -> str:
        """Where the row stands."""
        return execution_key(self.service_id)

    @property
    def ready_at(self) -> int:
        """The log position whose batch has it: that at which it became ready to be sent the last time."""
        return self.resent_at or self.execution_id

    @property
    def parked_of(self) -> str | None:
        """The portfolio that does not take it; None where it is not parked."""
        return self.portfolio_id if self.booking is Booking.PARKED else None

    @classmethod
    def of(cls, execution: Execution, execution_id: int, position: int = 0) -> Self:
        """Return the row of an execution as a command leaves it, but for what only the view knows of it."""
        return cls(
            execution_id=execution_id,
            service_id=execution.service_id,
            report=execution.report,
            portfolio_id=execution.portfolio_id,
            trade_date=execution.trade_date,
            order_id=execution.order_id,
            version=execution.version,
            booking=execution.booking,
            booking_reason=execution.booking_reason,
            position=position,
        )


class FailedRow(Row, frozen=True, kw_only=True, gc=False, tag="failed"):
    """An execution whose portfolio could not be found out yet, as it was reported last; it has no id."""

    service_id: int
    report: Report
    reason: str
    attempts: int
    failed_at: datetime

    @property
    def key(self) -> str:
        """Where the row stands."""
        return failed_key(self.service_id)

    @property
    def tried(self) -> int:
        """The log position of the last attempt, by which failed ones are in order: clocks may differ."""
        return self.position


class CountRow(Row, frozen=True, kw_only=True, gc=False, tag="count"):
    """How many executions are recorded: the ordinal of the last one. It is the one row of its kind."""

    total: int

    @property
    def key(self) -> str:
        """Where the row stands."""
        return COUNT_KEY


ExecutionsRow: TypeAlias = ExecutionRow | FailedRow | CountRow
EXECUTIONS: View[ExecutionsRow] = View(
    name="executions",
    row=ExecutionRow | FailedRow | CountRow,
    key="key",
    fields={
        "execution_id": Kind.POSITION,
        "ordinal": Kind.POSITION,
        "parked_of": Kind.KEYWORD,
        "tried": Kind.POSITION,
    },
    rest=0.1,
    copied=True,
)


def execution_key(service_id: int) -> str:
    """Return the key of the row of a recorded execution."""
    return str(service_id)


def failed_key(service_id: int) -> str:
    """Return the key of the row of a failed execution."""
    return f"failed/{service_id}"
