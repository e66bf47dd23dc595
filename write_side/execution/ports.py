"""What commands on executions need from elsewhere: portfolio ids by the trade service, and three views of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.errors import FoliologError
from domain.execution import Sending


class LookUpFailed(FoliologError):
    """The portfolio of an execution could not be found out; the message is the reason, for people."""

    code = "look-up-failed"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose execution it is: a valid portfolio id, and the order that it fills where that is known."""

    portfolio_id: str
    order_id: str | None = None


class Owners(Protocol):
    """Whose executions are, as the trade service knows it."""

    async def of(self, service_id: int) -> Owner:
        """Return whose execution this is; raises ``LookUpFailed``."""


class ExecutionsKnown(Protocol):
    """What commands ask of the views of executions and batches; ``at_least`` is a log position they must include.

    Everything raises ``NotYet`` and ``StoreUnavailable``.
    """

    async def failed(self, limit: int, at_least: int) -> Sequence[int]:
        """Return ``executionServiceId`` of failed executions, the one whose last attempt is the oldest first."""

    async def parked(self, portfolio_id: str, limit: int, after: int, at_least: int) -> Mapping[int, int]:
        """Return ``executionServiceId`` of parked executions of a portfolio by execution id, in its order.

        There are up to ``limit`` of them, with ids above ``after``.
        """

    async def sending_of(self, execution_id: int, at_least: int) -> Sending:
        """Return where the execution stands: PENDING without a batch too where it waits to be sent again."""
