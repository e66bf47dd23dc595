"""Accounting batches as the OpenAPI document shows them, with examples (contract "001"), and their ids in paths."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import Path
from pydantic import WithJsonSchema

from api.shown_executions import Seed001, integer
from domain.batch import BatchStatus

ID_UNREADABLE: Final = "invalid batch ID"
BatchId = Annotated[str, Path(description="Id of the batch, an integer.")]
"""The path parameter that names a batch."""


def number_of(text: str) -> int:
    """Return the number of a batch in a path; raises ``RequestProblem`` (400)."""
    return integer(text, ID_UNREADABLE)


class BatchShown(Seed001):
    """A batch: executions that go out together, in one file."""

    id: int
    status: BatchStatus
    start_time: datetime
    previous_start_time: datetime
    """When the batch before it was started; 1970-01-01T00:00:00Z for the first."""
    from_position: int
    """Its own window of the log begins after this position."""
    to_position: int
    """Its own window ends with this one: what became ready to be sent in it goes out with the batch."""
    count: int
    """Its executions."""
    rejected_count: int
    """Those of them that accounting rejected."""
    file_name: str
    sha256: str | None
    """Of the bytes of the file, lower-case hex; null until it is written."""
    attempts: int
    """How often the accounting CLI was started."""
    cli_exit_code: int | None
    """How its last run has ended; null where it has not, or was stopped."""
    cli_output: str
    """The end of what its last run has said; in a list its last 500 characters."""
    reason: str | None
    """Why a batch has failed."""
    delivered_by: Annotated[str, WithJsonSchema({"type": "string", "enum": ["CLI", "FILE"]})]
    """Whether the accounting CLI takes over the file, or the file alone is the delivery."""
    taken_by: int | None
    """The batch that has the executions of a cancelled one."""
    returned: list[int]
    """The cancelled batches whose executions it has besides."""


class BatchListShown(Seed001):
    """A page of batches; ``next`` is the ``cursor`` of the next page, null on the last."""

    items: list[BatchShown]
    next: str | None


class SendShown(Seed001):
    """What a run has sent (seed 001 ``SendResponse``)."""

    processed_count: int
    """Executions in the batches that it has brought to their end, rejected ones too."""
    file_name: str
    """Of the newest of these batches; empty where there was nothing to send."""
    status: Annotated[str, WithJsonSchema({"type": "string", "enum": ["success", "partial"]})]
    message: str
    rejected_count: int


BATCH: Final[dict[str, Any]] = {
    "id": 7,
    "status": "SENT",
    "startTime": "2025-06-18T15:00:00Z",
    "previousStartTime": "2025-06-18T14:00:00Z",
    "fromPosition": 117,
    "toPosition": 205,
    "count": 12,
    "rejectedCount": 0,
    "fileName": "transactions_20250618_150000_7.csv",
    "sha256": "349acc472da8c8532eb5f24ea6bdaf8fcd298db63276b03842fa1d79b368b5d2",
    "attempts": 1,
    "cliExitCode": 0,
    "cliOutput": "12 transactions booked\n",
    "reason": None,
    "deliveredBy": "CLI",
    "takenBy": None,
    "returned": [],
}
FAILED: Final[dict[str, Any]] = {
    **BATCH,
    "status": "FAILED",
    "attempts": 4,
    "cliExitCode": 1,
    "cliOutput": "cannot reach the database\n",
    "reason": "the accounting CLI ended with exit code 1",
}
CANCELLED: Final[dict[str, Any]] = {**FAILED, "status": "CANCELLED"}
BATCH_LIST: Final[dict[str, Any]] = {"items": [BATCH], "next": None}
