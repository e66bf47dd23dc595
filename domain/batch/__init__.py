"""Accounting batches: which executions go out together, in which file, and what became of it (seed 001)."""

from domain.batch.aggregate import Batch, BatchSequence
from domain.batch.events import (
    BatchCancelled,
    BatchEvent,
    BatchFailed,
    BatchHandedOver,
    BatchNumbered,
    BatchRejected,
    BatchRetried,
    BatchReturned,
    BatchSent,
    BatchSequenceBegun,
    BatchSettled,
    BatchStarted,
    BatchStatus,
    BatchWritten,
    Quantity,
    Stage,
    Window,
)
from domain.batch.file import HEADER, file_name, line, source_id

__all__ = [
    "HEADER",
    "Batch",
    "BatchCancelled",
    "BatchEvent",
    "BatchFailed",
    "BatchHandedOver",
    "BatchNumbered",
    "BatchRejected",
    "BatchRetried",
    "BatchReturned",
    "BatchSent",
    "BatchSequence",
    "BatchSequenceBegun",
    "BatchSettled",
    "BatchStarted",
    "BatchStatus",
    "BatchWritten",
    "Quantity",
    "Stage",
    "Window",
    "file_name",
    "line",
    "source_id",
]
