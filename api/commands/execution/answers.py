"""What the commands on executions answer: a result for each row (seed 001 ``BatchCreateResponse``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from api.shown_executions import Seed001
from read_side.wire import encode
from write_side.execution import RowResult, RowStatus, none_accepted
from write_side.log import Answer

_RESULTS: Final = msgspec.json.Decoder(list[RowResult])


class ExecutionResultShown(Seed001):
    """What a row has come to (seed 001 ``ExecutionResult``)."""

    execution_service_id: int
    """0 where the row says none."""
    status: RowStatus
    error: str = ""
    """Why it was not created; left out where it was."""
    execution_id: int = 0
    """Left out where there is none."""


class BatchCreateShown(Seed001):
    """What has become of the rows; the three counts add up to their number."""

    processed_count: int
    """Those created."""
    skipped_count: int
    error_count: int
    results: list[ExecutionResultShown]
    """In the order of the rows."""


def recorded(results: Sequence[RowResult]) -> Answer:
    """Return what is stored of a request that reports executions: a receipt, which ``batch_json`` completes."""
    status = 400 if none_accepted(results) else 207 if _failed(results) else 201
    return Answer(status, encode(results))


def retried(results: Sequence[RowResult]) -> Answer:
    """Return what is stored of a request to look failed executions up again."""
    return Answer(207 if _failed(results) else 200, encode(results))


def batch_json(receipt: bytes, position: int) -> bytes:
    """Return the ``BatchCreateResponse`` of what was stored by a command that has reached this position.

    The command was stored together with the receipt, so the receipt cannot hold the ids that follow from its position.
    """
    results = [result.at(position) for result in _RESULTS.decode(receipt)]
    counts = Counter(result.status for result in results)
    body = {
        "processedCount": counts[RowStatus.CREATED],
        "skippedCount": counts[RowStatus.SKIPPED],
        "errorCount": counts[RowStatus.ERROR],
        "results": [_told(result) for result in results],
    }
    return encode(body)


def _told(result: RowResult) -> dict[str, Any]:
    told: dict[str, Any] = {"executionServiceId": result.service_id, "status": result.status}
    if result.error is not None:
        told["error"] = result.error
    if result.execution_id is not None:
        told["executionId"] = result.execution_id
    return told


def _failed(results: Sequence[RowResult]) -> bool:
    return any(result.status is RowStatus.ERROR for result in results)
