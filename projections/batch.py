"""The projector of the view of accounting batches."""

from __future__ import annotations

from typing import Any, TypeAlias, cast, get_args

from msgspec.structs import replace

from domain.base import Recorded
from domain.batch import (
    Batch,
    BatchCancelled,
    BatchFailed,
    BatchHandedOver,
    BatchRejected,
    BatchRetried,
    BatchSent,
    BatchStarted,
    BatchStatus,
    BatchWritten,
)
from domain.errors import Broken
from projections.projector import Projector, Rows
from read_side.batch import BATCHES, BatchRow, RejectionRow, batch_key

_Event: TypeAlias = (
    BatchStarted
    | BatchWritten
    | BatchHandedOver
    | BatchFailed
    | BatchRetried
    | BatchRejected
    | BatchSent
    | BatchCancelled
)
_BatchRows: TypeAlias = Rows[BatchRow | RejectionRow]


def number(recorded: Recorded) -> int:
    """Return the number of the batch whose stream the event is in."""
    return int(recorded.stream[len(Batch.TOPIC) + 1 :])


def keys(recorded: Recorded) -> tuple[str, ...]:
    """Return the keys of the rows that the event has to find: its batch, or those that it takes over."""
    event = recorded.event
    if isinstance(event, BatchStarted):
        return tuple(map(batch_key, event.returned))
    return (batch_key(number(recorded)),)


def apply(rows: _BatchRows, recorded: Recorded) -> None:
    """Take the event as ``Batch.evolve`` does; raises ``Broken`` where a batch has not begun."""
    this = number(recorded)
    match cast(_Event, recorded.event):
        case BatchStarted() as event:
            _keep(rows, _started(event, recorded))
            for taken in event.returned:
                _keep(rows, replace(_batch(rows, taken, recorded), taken_by=this, position=recorded.position))
        case BatchWritten(sha256=sha256):
            _change(rows, recorded, sha256=sha256)
        case BatchHandedOver(attempt=attempt):
            _change(rows, recorded, attempts=attempt)
        case BatchRetried():
            again = {"status": BatchStatus.RUNNING, "stage": None, "reason": None, "exit_code": None, "output": ""}
            _change(rows, recorded, **again)
        case BatchFailed() as event:
            _change(
                rows,
                recorded,
                status=BatchStatus.FAILED,
                stage=event.stage,
                reason=event.reason,
                exit_code=event.exit_code,
                output=event.output,
            )
        case BatchRejected(rejected=rejected):
            _change(rows, recorded)
            for reason, ids in rejected.items():
                for each in ids:
                    row = RejectionRow(batch=this, execution_id=each, reason=reason, position=recorded.position)
                    rows[row.key] = row
        case BatchSent() as event:
            _change(
                rows,
                recorded,
                status=BatchStatus.PARTIAL if event.rejected_count else BatchStatus.SENT,
                rejected_count=event.rejected_count,
                exit_code=event.exit_code,
                output=event.output,
            )
        case BatchCancelled():
            _change(rows, recorded, status=BatchStatus.CANCELLED)


def _batch(rows: _BatchRows, this: int, recorded: Recorded) -> BatchRow:
    row = rows[batch_key(this)]
    if not isinstance(row, BatchRow):
        raise Broken(f"batch {this} of {recorded.stream} has not begun")
    return row


def _keep(rows: _BatchRows, row: BatchRow) -> None:
    rows[row.key] = row


def _change(rows: _BatchRows, recorded: Recorded, **members: Any) -> None:
    row = _batch(rows, number(recorded), recorded)
    _keep(rows, replace(row, version=recorded.version, position=recorded.position, **members))


def _started(event: BatchStarted, recorded: Recorded) -> BatchRow:
    own = event.windows[-1]
    return BatchRow(
        number=number(recorded),
        status=BatchStatus.RUNNING,
        start_time=event.timestamp,
        previous_start_time=event.previous_start_time,
        windows=event.windows,
        from_position=own.after,
        to_position=own.up_to,
        returned=event.returned,
        file_name=event.file_name,
        by_cli=event.by_cli,
        count=event.count,
        version=recorded.version,
        position=recorded.position,
    )


BATCH_PROJECTOR = Projector(view=BATCHES, handles=frozenset(get_args(_Event)), keys=keys, apply=apply, kept=500)
