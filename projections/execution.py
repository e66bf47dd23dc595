"""The projector of the view of executions."""

from __future__ import annotations

from typing import Any, TypeAlias, cast, get_args

from msgspec.structs import replace

from domain.base import Recorded
from domain.errors import Broken
from domain.execution import (
    Booking,
    ExecutionBooked,
    ExecutionBookingParked,
    ExecutionLookUpFailed,
    ExecutionLookUpFailedAgain,
    ExecutionRecorded,
    ExecutionResendRequested,
    FailedExecutionRecorded,
)
from projections.projector import Projector, Rows
from read_side.execution import (
    COUNT_KEY,
    EXECUTIONS,
    CountRow,
    ExecutionRow,
    ExecutionsRow,
    FailedRow,
    execution_key,
    failed_key,
)

_Event: TypeAlias = (
    ExecutionRecorded
    | ExecutionBooked
    | ExecutionBookingParked
    | ExecutionResendRequested
    | ExecutionLookUpFailed
    | ExecutionLookUpFailedAgain
    | FailedExecutionRecorded
)
_ExecutionRows: TypeAlias = Rows[ExecutionsRow]


def service_id(recorded: Recorded) -> int:
    """Return the ``executionServiceId`` in whose stream the event is."""
    return int(recorded.stream.partition("/")[2])


def keys(recorded: Recorded) -> tuple[str, ...]:
    """Return the key of the row that the event has to find."""
    match recorded.event:
        case ExecutionRecorded():
            return (COUNT_KEY,)
        case ExecutionLookUpFailedAgain():
            return (failed_key(service_id(recorded)),)
        case ExecutionBooked() | ExecutionBookingParked() | ExecutionResendRequested():
            return (execution_key(service_id(recorded)),)
        case _:
            return ()


def apply(rows: _ExecutionRows, recorded: Recorded) -> None:
    """Take the event; raises ``Broken`` where what it is about has not begun."""
    match cast(_Event, recorded.event):
        case ExecutionRecorded() as event:
            counted = rows[COUNT_KEY]
            total = 1 + (counted.total if isinstance(counted, CountRow) else 0)
            _keep(rows, CountRow(total=total, position=recorded.position))
            _keep(rows, _recorded(event, recorded, total))
        case ExecutionBooked():
            _change(rows, recorded, booking=Booking.BOOKED, booking_reason=None)
        case ExecutionBookingParked(reason=reason):
            _change(rows, recorded, booking=Booking.PARKED, booking_reason=reason)
        case ExecutionResendRequested():
            _change(rows, recorded, resent_at=recorded.position)
        case ExecutionLookUpFailed() as event:
            _keep(rows, _failed(event, recorded, 1))
        case ExecutionLookUpFailedAgain() as event:
            before = rows[failed_key(service_id(recorded))]
            if not isinstance(before, FailedRow):
                raise Broken(f"{recorded.stream} has not begun")
            _keep(rows, _failed(event, recorded, before.attempts + 1))
        case FailedExecutionRecorded():
            rows[failed_key(service_id(recorded))] = None


def _keep(rows: _ExecutionRows, row: ExecutionsRow) -> None:
    rows[row.key] = row


def _change(rows: _ExecutionRows, recorded: Recorded, **members: Any) -> None:
    row = rows[execution_key(service_id(recorded))]
    if not isinstance(row, ExecutionRow):
        raise Broken(f"{recorded.stream} has not begun")
    _keep(rows, replace(row, version=recorded.version, position=recorded.position, **members))


def _recorded(event: ExecutionRecorded, recorded: Recorded, ordinal: int) -> ExecutionRow:
    return ExecutionRow(
        execution_id=recorded.position,
        service_id=service_id(recorded),
        report=event.report,
        portfolio_id=event.portfolio_id,
        trade_date=event.trade_date,
        order_id=event.order_id,
        version=recorded.version,
        ordinal=ordinal,
        position=recorded.position,
    )


def _failed(event: ExecutionLookUpFailed | ExecutionLookUpFailedAgain, recorded: Recorded, attempts: int) -> FailedRow:
    return FailedRow(
        service_id=service_id(recorded),
        report=event.report,
        reason=event.reason,
        attempts=attempts,
        failed_at=event.timestamp,
        position=recorded.position,
    )


EXECUTION_PROJECTOR = Projector(view=EXECUTIONS, handles=frozenset(get_args(_Event)), keys=keys, apply=apply)
