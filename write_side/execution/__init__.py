"""The commands on executions (seed 001): record, look up again, send again, book."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from domain.execution import Reported
from write_side.execution.booking import BookAgain
from write_side.execution.recording import SLICE, Closed, Recording, Row
from write_side.execution.resending import ResendExecution, service_id_of
from write_side.execution.results import Outcome, Render, RowResult, RowStatus, none_accepted
from write_side.log import Context

__all__ = [
    "MOST_AGAIN",
    "BookAgain",
    "Outcome",
    "RecordExecutions",
    "Recording",
    "Render",
    "ResendExecution",
    "RetryFailedExecutions",
    "RowResult",
    "RowStatus",
    "none_accepted",
    "service_id_of",
]

OPEN: Final = "execution is still open"
MOST_AGAIN: Final = 1_000
"""So many failed executions are looked up again by one command."""


@dataclass(frozen=True, kw_only=True)
class RecordExecutions:
    """Record the closed ones of these executions, each once; those whose portfolio is not found out are kept."""

    rows: tuple[Reported, ...]

    async def handle(self, recording: Recording, context: Context, render: Render, *, now: datetime) -> Outcome:
        """Return a result for each row, in order; nothing wrong with a row keeps another from being stored.

        ``render`` makes the answer that is remembered; one without anything accepted is not. Raises what
        ``Recording.record`` raises.
        """

        async def rows() -> Sequence[Row]:
            checked = []
            for number, row in enumerate(self.rows, 1):
                checked.append(_checked(row))
                if number % SLICE == 0:
                    await recording.gate.turn()
            return checked

        return await recording.record(rows, context, render, now=now)


@dataclass(frozen=True, kw_only=True)
class RetryFailedExecutions:
    """Look up once more whose the executions are that are kept because that has failed."""

    async def handle(self, recording: Recording, context: Context, render: Render, *, now: datetime) -> Outcome:
        """Return a result for each of up to 1,000 of them, the one whose last attempt is the oldest first.

        Those that time does not reach are errors and not touched; those that are recorded by now are kept no longer.
        What is recorded or kept is what was reported last, also while the look-ups were made.
        Raises ``NotYet`` and what ``Recording.record`` raises.
        """

        async def rows() -> Sequence[Row]:
            service_ids = await recording.known.failed(MOST_AGAIN, at_least=await recording.log.head())
            waiting = await recording.kept(service_ids)
            return [
                Closed(service_id=each.service_id, report=each.report) for each in waiting if each.report is not None
            ]

        return await recording.record(rows, context, render, now=now, again=True)


def _checked(row: Reported) -> Row:
    """Return the row as it is to be stored, or what is wrong with it, or that it is still open."""
    service_id = row.execution_service_id or 0
    if faults := row.faults():
        wrong = "; ".join(f"{fault.pointer.removeprefix('/')}: {fault.detail}" for fault in faults)
        return RowResult(service_id, RowStatus.ERROR, f"validation failed: {wrong}")
    if row.is_open:
        return RowResult(service_id, RowStatus.SKIPPED, OPEN)
    return Closed(service_id=service_id, report=row.report(), portfolio_id=row.portfolio_id)
