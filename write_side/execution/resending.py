"""Executions that accounting has rejected go out again, one by one, because a person says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from domain.errors import NotFound, RuleViolated
from domain.execution import Execution, ExecutionRecorded, SendStatus
from write_side.event_store import Done, EventStore
from write_side.execution.ports import ExecutionsKnown
from write_side.log import Context, Lookups

_LAST: Final = 2**63 - 1
"""The greatest log position that can be asked for."""


async def service_id_of(log: Lookups, execution_id: int) -> int:
    """Return the ``executionServiceId`` of the execution with this id; raises ``NotFound``, ``StoreUnavailable``."""
    if 0 < execution_id <= _LAST:
        for recorded in await log.at([execution_id]):
            if isinstance(recorded.event, ExecutionRecorded):
                return int(recorded.stream.partition("/")[2])
    raise NotFound("execution not found")


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
        found = await known.sending_of(self.execution_id, await log.head())

        def resend(execution: Execution) -> None:
            if found.batch_id is None or found.status is not SendStatus.REJECTED:
                raise RuleViolated(
                    f"execution {self.execution_id} is {found.status}: only a REJECTED one is sent again"
                )
            execution.send_again(self.execution_id, found.batch_id, now)

        return await store.change(
            Execution, str(service_id), resend, context, missing=lambda: NotFound("execution not found")
        )
