"""Executions book themselves into their portfolio, once each; what it does not take is parked with the reason."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast
from uuid import uuid4

import msgspec

from domain.base import Aggregate, Recorded, fold
from domain.errors import Invalid, KeyInFlight, KeyReused, NotFound, Refused, RuleViolated, StaleVersion
from domain.execution import Booking, Execution, ExecutionBooked, ExecutionRecorded
from domain.portfolio import Portfolio
from write_side.event_store import Done, EventStore
from write_side.execution.ports import ExecutionsKnown
from write_side.log import ANY_VERSION, Context

Check = Callable[[Execution], None]
"""Raises ``RuleViolated`` where the caller does not want this execution booked."""

_MOST = 10_000
_OF_THE_REQUEST = (StaleVersion, KeyReused, KeyInFlight)


@dataclass(frozen=True, kw_only=True)
class BookAgain:
    """Book what was filled of an execution into its portfolio because a person asks for it, or park it with the reason.

    The person is told when it does not succeed; ``execution_id`` names it there.
    """

    service_id: int
    execution_id: int

    async def handle(self, store: EventStore, context: Context, *, now: datetime) -> Done[Execution]:
        """Return the execution as it is booked now.

        Raises ``NotFound`` for an unknown execution, ``RuleViolated`` where it is booked already, where nothing was
        filled, and with the reason where it is parked, and what ``EventStore.change_all`` raises.
        """
        done = await _settled(store, await _known(store, self.service_id), context, now, self._check)
        if done.aggregate is None or any(isinstance(event, ExecutionBooked) for event in done.events):
            return done
        self._check(done.aggregate)
        raise RuleViolated(done.aggregate.booking_reason or "")

    def _check(self, execution: Execution) -> None:
        if execution.booking is Booking.BOOKED:
            raise RuleViolated(f"execution {self.execution_id} is booked already")
        if not execution.to_be_booked:
            raise RuleViolated(f"nothing of execution {self.execution_id} is filled")


@dataclass(frozen=True, kw_only=True)
class Bookings:
    """What the policy ``bookings`` does, and what it needs beside the event store: a view, and the head of the log.

    So many parked executions as ``page`` says are read at once.
    """

    known: ExecutionsKnown
    head: Callable[[], Awaitable[int]]
    page: int = 500
    _absent: set[str] = field(default_factory=set, init=False)
    """Portfolios that did not exist when one of their executions was parked here last."""

    async def after(
        self, recorded: Recorded, store: EventStore, context: Context, *, clock: Callable[[], datetime]
    ) -> None:
        """Book the execution that was recorded, or those that are parked of the portfolio that was opened.

        Asked again, and by several at once, it books nothing twice. What is still refused stays parked.
        Raises what ``ExecutionsKnown.parked`` and ``EventStore.change_all`` raise.
        """
        if isinstance(recorded.event, ExecutionRecorded):
            execution = cast(Execution, fold([recorded.event]))
            if not await self._now_in_turn(execution, store, context, clock()):
                return
        portfolio_id = portfolio_of(recorded)
        head, last = await self.head(), 0
        while parked := await self.known.parked(portfolio_id, self.page, last, head):
            executions = await store.load_many(Execution, map(str, parked.values()))
            for waiting in executions.values():
                await _settled(store, waiting, _another(context), clock())
            last = max(parked)
        self._absent.discard(portfolio_id)

    async def _now_in_turn(self, execution: Execution, store: EventStore, context: Context, now: datetime) -> bool:
        """Book or park a new execution; True where it was put behind others that can all be booked now, in order."""
        if not execution.to_be_booked:
            return False
        portfolio_id, unknown = execution.portfolio_id, _unknown(execution)
        if portfolio_id in self._absent:
            await _parked(store, execution, unknown, context, now)
            return bool(await store.load_many(Portfolio, [portfolio_id]))
        done = await _settled(store, execution, context, now)
        if done.aggregate and done.aggregate.booking_reason == unknown and len(self._absent) < _MOST:
            self._absent.add(portfolio_id)
        return False


def portfolio_of(recorded: Recorded) -> str:
    """Return the id of the portfolio that was opened, or into which this execution is to be booked."""
    event = recorded.event
    return event.portfolio_id if isinstance(event, ExecutionRecorded) else recorded.stream.partition("/")[2]


async def _known(store: EventStore, service_id: int) -> Execution:
    execution = await store.load(Execution, str(service_id))
    if execution is None:
        raise NotFound("execution not found")
    return execution


async def _settled(
    store: EventStore, execution: Execution, context: Context, now: datetime, check: Check | None = None
) -> Done[Execution]:
    """Book or park the execution, which may have moved on since it was read; raises no refusal of the booking.

    The refusal comes out of the first step, because only then what is cached of the portfolio is compared with the log.
    One whose portfolio is unknown is looked at once more after it was parked: whoever opens it later finds it parked.
    """
    try:
        return await _booked(store, execution, context, now, check)
    except _OF_THE_REQUEST:
        raise
    except Refused as refusal:
        parked, unknown = await _parked(store, execution, _reason(refusal), context, now), isinstance(refusal, NotFound)
    if not unknown or not await store.load_many(Portfolio, [execution.portfolio_id]):
        return parked
    later, execution = msgspec.structs.replace(context, expected_version=None), cast(Execution, parked.aggregate)
    try:
        return await _booked(store, execution, later, now, check)
    except _OF_THE_REQUEST:
        raise
    except Refused as refusal:
        return await _parked(store, execution, _reason(refusal), context, now)


async def _booked(
    store: EventStore, execution: Execution, context: Context, now: datetime, check: Check | None
) -> Done[Execution]:
    """Book it and change its portfolio in one append; raises why it cannot be."""

    def decide(found: Sequence[Aggregate | None]) -> Sequence[Aggregate]:
        current, portfolio = cast("tuple[Execution | None, Portfolio | None]", tuple(found))
        if current is None:
            raise NotFound("execution not found")
        if context.expected_version not in (None, ANY_VERSION, current.version):
            raise StaleVersion(current.id, context.expected_version, current.version)
        if check is not None:
            check(current)
        if portfolio is None:
            raise NotFound(_unknown(current))
        current.book(portfolio, now)
        return [current, portfolio]

    wanted = [(Execution, execution.key), (Portfolio, execution.portfolio_id)]
    return cast("Done[Execution]", await store.change_all(wanted, decide, context, given=[execution]))


async def _parked(
    store: EventStore, execution: Execution, reason: str, context: Context, now: datetime
) -> Done[Execution]:
    """Park it, in an append of its own; nothing where it was booked meanwhile."""

    def decide(found: Sequence[Aggregate | None]) -> Sequence[Aggregate]:
        [current] = cast("list[Execution | None]", list(found))
        if current is None:
            raise NotFound("execution not found")
        current.park(reason, now)
        return [current]

    done = await store.change_all([(Execution, execution.key)], decide, _another(context), given=[execution])
    return cast("Done[Execution]", done)


def _another(context: Context) -> Context:
    """Return the context of another command that the same caller causes, without conditions."""
    return msgspec.structs.replace(context, command_id=uuid4(), expected_version=None, remember=None)


def _unknown(execution: Execution) -> str:
    return f"portfolio {execution.portfolio_id} does not exist"


def _reason(refusal: Refused) -> str:
    """Return the reason as people read it; the pointers of faults name members that nobody has sent."""
    return "; ".join(fault.detail for fault in refusal.faults) if isinstance(refusal, Invalid) else str(refusal)
