"""What happens to accounting batches, and to the sequence in which they follow each other."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

import msgspec

from domain.base import Created, Event


class BatchStatus(StrEnum):
    """Where a batch stands (contract "001")."""

    RUNNING = "RUNNING"
    SENT = "SENT"
    PARTIAL = "PARTIAL"
    """Sent, and some of its executions were rejected."""
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class Quantity(StrEnum):
    """Which quantity of an execution the file has (``CSV_QUANTITY``)."""

    QUANTITY = "quantity"
    FILLED = "filled"


class Stage(StrEnum):
    """Where a batch has failed."""

    FILE = "FILE"
    CLI = "CLI"
    RESULT = "RESULT"
    """The CLI has ended well, and what it says of rejected rows cannot be read."""


class Window(msgspec.Struct, frozen=True, array_like=True):
    """The log positions above ``after`` up to ``up_to``: what became ready to be sent in it goes out together."""

    after: int
    up_to: int


class BatchStarted(Created):
    """A batch takes all executions of these windows, which no other live batch has.

    These are those recorded in them, and those that were to be sent again. ``returned`` names the cancelled batches
    whose windows it takes over. ``count`` is how many executions that are; ``quantity`` says what the file holds.
    ``by_cli``: it is delivered by the accounting CLI, else by the file that stands under its name.
    """

    TOPIC = "batch.started.v1"
    windows: tuple[Window, ...]
    returned: tuple[int, ...]
    previous_start_time: datetime
    file_name: str
    quantity: Quantity
    by_cli: bool
    count: int


class BatchWritten(Event):
    """The file is complete under another name and now gets its own: from here on somebody may find it."""

    TOPIC = "batch.written.v1"
    sha256: str
    size: int


class BatchHandedOver(Event):
    """The accounting CLI is started for the ``attempt``-th time: from here on it may have booked the file."""

    TOPIC = "batch.handed-over.v1"
    attempt: int


class BatchRetried(Event):
    """It had failed and is tried again, with the same file."""

    TOPIC = "batch.retried.v1"


class BatchFailed(Event):
    """The file could not be written, or the CLI did not end well.

    ``attempt`` is the start of the CLI whose end this tells; None where it tells of none: one may still be found out.
    """

    TOPIC = "batch.failed.v1"
    stage: Stage
    reason: str
    attempt: int | None
    exit_code: int | None
    output: str


class BatchRejected(Event):
    """Accounting has rejected these executions, ids by reason; some of all, where they are many."""

    TOPIC = "batch.rejected.v1"
    rejected: dict[str, tuple[int, ...]]


class BatchSent(Event):
    """The file was taken over, but for what was rejected."""

    TOPIC = "batch.sent.v1"
    rejected_count: int
    exit_code: int | None
    output: str


class BatchCancelled(Event):
    """The batch is given up; its executions go out with the next new one."""

    TOPIC = "batch.cancelled.v1"


class BatchSequenceBegun(Created):
    """The sequence of batches has begun; nothing was sent before."""

    TOPIC = "batches.begun.v1"


class BatchNumbered(Event):
    """The next batch has this number; everything up to position ``up_to`` is in a batch now."""

    TOPIC = "batches.numbered.v1"
    batch_id: int
    up_to: int


class BatchSettled(Event):
    """This batch is sent."""

    TOPIC = "batches.settled.v1"
    batch_id: int


class BatchReturned(Event):
    """This batch was cancelled: its windows belong to the next new one."""

    TOPIC = "batches.returned.v1"
    batch_id: int
    windows: tuple[Window, ...]


BatchEvent: TypeAlias = (
    BatchStarted
    | BatchWritten
    | BatchHandedOver
    | BatchFailed
    | BatchRetried
    | BatchRejected
    | BatchSent
    | BatchCancelled
)
SequenceEvent: TypeAlias = BatchSequenceBegun | BatchNumbered | BatchSettled | BatchReturned
