"""Where an execution stands on its way to accounting (contract "001")."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SendStatus(StrEnum):
    """Whether accounting has an execution (contract "001")."""

    PENDING = "PENDING"
    """Not yet: no batch has it, or the batch is running."""
    SENT = "SENT"
    REJECTED = "REJECTED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Sending:
    """Whether accounting has an execution: by which batch, None where none has it, and why it was rejected."""

    status: SendStatus
    batch_id: int | None = None
    reason: str | None = None
