"""What each row of a request has come to, and the request as a whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self, TypeAlias

import msgspec

from domain.base import Aggregate
from write_side.event_store import Done
from write_side.log import Answer


class RowStatus(StrEnum):
    """What a row has come to (seed 001 ``ExecutionResult.status``)."""

    CREATED = "created"
    SKIPPED = "skipped"
    ERROR = "error"


class RowResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a row has come to; ``service_id`` is 0 where the row names none.

    Of an execution that this command itself records ``back`` says how many events of the command come after its own:
    its id is so much below the position that the command reaches, which nobody knows before it is stored.
    """

    service_id: int
    status: RowStatus
    error: str | None = None
    execution_id: int | None = None
    back: int | None = None

    def at(self, position: int) -> Self:
        """Return it with its id, after the command has reached this position."""
        if self.back is None:
            return self
        return msgspec.structs.replace(self, execution_id=position - self.back, back=None)


Render: TypeAlias = Callable[[Sequence[RowResult]], Answer]
"""Makes the answer of the results before they are stored: what this command records has no id in them yet."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command on many executions has brought: a result for each row, in order.

    ``done.answer`` is always there. ``results`` is None where the command had happened before (``done.replayed``).
    """

    done: Done[Aggregate]
    results: Sequence[RowResult] | None = None


def none_accepted(results: Sequence[RowResult]) -> bool:
    """Whether there are errors and nothing was created."""
    statuses = {result.status for result in results}
    return RowStatus.ERROR in statuses and RowStatus.CREATED not in statuses
