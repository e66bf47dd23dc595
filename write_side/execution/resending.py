"""Executions that accounting has rejected go out again, one by one, because a person says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, cast

import msgspec

from domain.batch import Batch, BatchStatus
from domain.errors import Broken, NotFound, RuleViolated
from domain.execution import Execution, ExecutionRecorded
from write_side.event_store import Done, EventStore
from write_side.execution.ports import ExecutionsKnown
from write_side.log import Context, Lookups

_LAST: Final = 2**63 - 1
"""The greatest log position that can be asked for."""


class Sent(StrEnum):
    """Where an execution stands on its way to accounting (contract "001", ``sendStatus``)."""

    PENDING = "PENDING"
    SENT = "SENT"
    REJECTED = "REJECTED"
    FAILED = "FAILED"


class Standing(msgspec.Struct, frozen=True):
    """Where an execution stands, in which batch, and why it was rejected."""

    sent: Sent
    batch_id: int | None = None
    reason: str | None = None


async def service_id_of(log: Lookups, execution_id: int) -> int:
    """Return the ``executionServiceId`` of the execution with this id; raises ``NotFound``, ``StoreUnavailable``."""
    if 0 < execution_id <= _LAST:
        for recorded in await log.at([execution_id]):
            if isinstance(recorded.event, ExecutionRecorded):
                return int(recorded.stream.partition("/")[2])
    raise NotFound("execution not found")


async def standing(store: EventStore, known: ExecutionsKnown, execution_id: int, at_least: int) -> Standing:
    """Return where the execution stands: in which batch a view says, what became of that the log.

    Raises ``NotYet`` and ``StoreUnavailable``.
    """
    batch_id = await known.batch_of(execution_id, at_least)
    if batch_id is None:
        return Standing(Sent.PENDING)
    batch = await store.load(Batch, str(batch_id))
    if batch is None:
        raise Broken(f"execution {execution_id} is in batch {batch_id}, which is not in the log")
    match batch.status:
        case BatchStatus.SENT | BatchStatus.PARTIAL:
            reason = batch.rejected.get(execution_id)
            return Standing(Sent.SENT if reason is None else Sent.REJECTED, batch_id, reason)
        case BatchStatus.FAILED:
            return Standing(Sent.FAILED, batch_id)
        case _:
            return Standing(Sent.PENDING, batch_id)


@dataclass(frozen=True, kw_only=True)
class ResendExecution:
    """Let an execution that the last batch with it has rejected go out with the next new one."""

    execution_id: int

    async def handle(
        self, store: EventStore, log: Lookups, known: ExecutionsKnown, context: Context, *, now: datetime
    ) -> Done[Execution]:
        """Return the execution, to be sent again.

        Raises ``NotFound``, ``RuleViolated`` for one that is not REJECTED, ``NotYet``, and what ``EventStore.change``
        raises.
        """
        if replay := await store.replay(context):
            return cast("Done[Execution]", replay)
        service_id = await service_id_of(log, self.execution_id)
        found = await standing(store, known, self.execution_id, await log.head())
        batch_id = found.batch_id

        def resend(execution: Execution) -> None:
            if batch_id is None or found.sent is not Sent.REJECTED:
                raise RuleViolated(f"execution {self.execution_id} is {found.sent}: only a REJECTED one is sent again")
            execution.send_again(self.execution_id, batch_id, now)

        return await store.change(
            Execution, str(service_id), resend, context, missing=lambda: NotFound("execution not found")
        )
