"""A desk that records executions and books them, by hand or by a follower, over a log in memory or a real one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any, cast

from domain.base import Recorded
from domain.errors import NotYet
from domain.execution import Booking, Execution, Sending
from domain.portfolio import Portfolio, PositionUpdate, Status, TransactionType
from read_side.signals import Signals
from tests.api.memory_log import NOW, MemoryLog
from tests.domain.test_execution_booking import IBM, report
from tests.write_side.memory_work import MemoryWork
from tests.write_side.stores import by
from tests.write_side.test_policies import no_run
from write_side.event_store import Done, EventStore
from write_side.execution.booking import BookAgain, Bookings
from write_side.follower import Follower
from write_side.log import Context, EventLog
from write_side.policies import Policy, context_of, policies
from write_side.portfolio import ChangeStatus, OpenPortfolio, UpdatePortfolio
from write_side.work import Pages

BOOKED, PARKED, NONE = Booking.BOOKED, Booking.PARKED, Booking.NONE


@dataclass
class Desk:
    """Records executions and books them, over one log; ids of executions are positions of that log."""

    log: EventLog = field(default_factory=MemoryLog)
    now: datetime = NOW

    def __post_init__(self) -> None:
        self.store = EventStore(self.log)

    async def open(self, key: str = "P", cash: str = "1000") -> None:
        command = OpenPortfolio(portfolio_id=key, portfolio_name=key, cash_balance=Decimal(cash))
        await command.handle(self.store, by(), now=NOW)

    async def trade(self, kind: str, quantity: str, key: str = "P") -> None:
        """Trade IBM at 5 by hand."""
        update = PositionUpdate(
            transaction_type=TransactionType(kind),
            quantity_change=Decimal(quantity),
            instrument_id=IBM,
            price=Decimal(5),
        )
        await UpdatePortfolio(portfolio_id=key, updates=(update,), timestamp=NOW).handle(self.store, by(), now=NOW)

    async def become(self, status: str, key: str = "P") -> None:
        await ChangeStatus(portfolio_id=key, status=Status(status)).handle(self.store, by(), now=NOW)

    async def record(self, number: int, side: str = "BUY", filled: str = "10", key: str = "P", **other: Any) -> int:
        """Record an execution of IBM at 5; return its id."""
        return await self.record_all((number, side, filled, key), **other)

    async def record_all(self, *rows: tuple[int, str, str, str], **other: Any) -> int:
        """Record these in one append; return the id of the first."""
        executions = [
            Execution.record(number, report(side, filled, **other), key, NOW) for number, side, filled, key in rows
        ]
        return (await self.store.record(*executions, context=by())).position - len(rows) + 1

    async def book(self, number: int, context: Context | None = None) -> Execution:
        """Act on it as whoever follows the log does when it was recorded; return it as it stands then."""
        [event, *_] = await self.log.read(f"execution/{number}")
        recorded = Recorded(position=1, stream=event.originator_id, version=1, event=event, recorded_at=self.now)
        follower = Bookings(known=ByLog(cast(MemoryLog, self.log), self.log.head), head=self.log.head)
        await follower.after(recorded, self.store, context or by(), clock=lambda: self.now)
        return await self.execution(number)

    async def again(self, number: int, context: Context | None = None) -> Done[Execution]:
        command = BookAgain(service_id=number, execution_id=1000 + number)
        return await command.handle(self.store, context or by(), now=self.now)

    async def execution(self, number: int) -> Execution:
        found = await self.store.load(Execution, str(number))
        assert found is not None
        return found

    async def portfolio(self, key: str = "P") -> Portfolio:
        found = await self.store.load(Portfolio, key)
        assert found is not None
        return found

    async def states(self, *numbers: int) -> list[Booking]:
        """Return where these stand."""
        return [(await self.execution(number)).booking for number in numbers]


@dataclass
class ByLog:
    """``ExecutionsKnown`` as a view would have it that has read the whole log; ``behind`` times it has not yet.

    ``asked`` are the portfolio, the id before and the position of each question, ``most`` is the greatest page.
    """

    log: Pages
    head: Callable[[], Any]
    asked: list[tuple[str, int, int]] = field(default_factory=list)
    behind: int = 0
    most: int = 0

    async def parked(self, portfolio_id: str, limit: int, after: int, at_least: int) -> Mapping[int, int]:
        self.asked.append((portfolio_id, after, at_least))
        self.most = max(self.most, limit)
        if self.behind:
            self.behind -= 1
            raise NotYet("executions", at_least, at_least - 1)
        assert at_least <= await self.head()
        waiting = {
            execution_id: execution.service_id
            for execution_id, execution in (await self._by_id()).items()
            if execution_id > after and _waits(execution, portfolio_id)
        }
        return dict(islice(waiting.items(), limit))

    async def executions(self) -> list[Execution]:
        """Return all executions in the order of their ids."""
        return list((await self._by_id()).values())

    async def _by_id(self) -> dict[int, Execution]:
        found: dict[str, tuple[int, Execution]] = {}
        for recorded in await self.log.page(0, 10**6):
            if recorded.stream.startswith("execution/"):
                event = cast(Any, recorded.event)
                if recorded.version == 1:
                    found[recorded.stream] = recorded.position, event.mutate(None)
                else:
                    found[recorded.stream][1].evolve(event)
        return dict(found.values())

    async def failed(self, limit: int, at_least: int) -> Sequence[int]:
        raise NotImplementedError

    async def sending_of(self, execution_id: int, at_least: int) -> Sending:
        raise NotImplementedError


def _waits(execution: Execution, portfolio_id: str) -> bool:
    return execution.portfolio_id == portfolio_id and execution.booking is PARKED


def bookings(desk: Desk, known: ByLog | None) -> Policy:
    """Return the policy of a process with this desk; None: nothing is to be booked."""
    parts = None if known is None else Bookings(known=known, head=desk.log.head, page=2)
    table = policies(desk.store, clock=lambda: NOW, run=no_run, bookings=parts)
    return next(policy for policy in table if policy.name == "bookings")


@dataclass
class Followed(Desk):
    """A desk whose executions are booked by a follower."""

    signals: Signals = field(default_factory=Signals)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.memory = cast(MemoryLog, self.log)
        self.memory.committed.append(lambda base, events: self.signals.hear_head(base + len(events)))
        self.work = MemoryWork(self.memory.events, self.signals)
        self.known = ByLog(self.memory, self.memory.head)

    @asynccontextmanager
    async def followed(self, *, off: bool = False) -> AsyncIterator[None]:
        """Follow the log meanwhile, to where it ends then."""
        follower = Follower(
            policy=bookings(self, None if off else self.known),
            pages=self.memory,
            leadership=self.work,
            wait=self.signals.wait_for_head,
            first_pause=0.000_001,
            rest=0.0,
        )
        follower.start()
        try:
            yield
            await self.settled()
        finally:
            await follower.close(within=0)

    async def settled(self) -> None:
        """Return once everything that is in the log now is done."""
        await self.signals.wait_for("work/bookings", await self.memory.head(), 60)
        assert self.work.kept == {}

    async def replay(self) -> None:
        """Act once more on every event there is, in order, as after a checkpoint was lost."""
        policy = bookings(self, self.known)
        for recorded in await self.memory.page(0, 10**6):
            if type(recorded.event) in policy.handles:
                await policy.act(recorded, context_of(recorded))
