"""The choreography in one table: "whenever event X has happened, do Y", once for each event (decision 10)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import uuid4

from domain.base import Event, Recorded
from domain.execution import ExecutionRecorded
from domain.portfolio import PortfolioOpened, RebalanceRequested
from domain.rebalance import RebalanceRunRequested
from write_side.asset_allocation import BookRebalances
from write_side.event_store import EventStore
from write_side.execution.booking import Bookings, portfolio_of
from write_side.log import Context

WORKER = "worker"
"""Who acts on events that nobody is named for."""

RELAYED: Final = frozenset({"asset-class-rebalances"})
"""Policies that a consumer group works for, where the log is published: every lane of theirs is in one partition.

That holds where a lane is a stream, for the key of a record is a function of its stream. Lanes of ``bookings`` are not:
the executions of a portfolio are streams with keys of their own, whose order only the log has. Runs may take minutes,
longer than a member that is to give up its partitions may take.
"""

Run = Callable[[str, Context], Awaitable[object]]
"""Brings the rebalance run with this id to its end, from wherever it stands."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Whenever one of the events it ``handles`` has happened, it acts.

    An event may be given to ``act`` more than once, by two processes at the same moment too: what has been done already
    must be found done. Events of one ``lane``, else of one stream, come in their order, ``at_once`` lanes side by side.
    ``act`` raises ``Unavailable`` where the same may succeed a moment later; whatever else it raises is for a person.
    ``patient``: what is unavailable is waited for as long as it takes, so that nothing of its lane goes before it.
    """

    name: str
    handles: frozenset[type[Event]]
    act: Callable[[Recorded, Context], Awaitable[None]]
    at_once: int = 16
    lane: Callable[[Recorded], str] = lambda recorded: recorded.stream
    patient: bool = False


def policies(
    store: EventStore, *, clock: Callable[[], datetime], run: Run, bookings: Bookings | None
) -> tuple[Policy, ...]:
    """Return all policies; without ``bookings`` nobody books executions that are recorded meanwhile, also later on."""

    async def book(recorded: Recorded, context: Context) -> None:
        """Book the rebalance by asset class that was asked for, and those asked for before it."""
        booking = BookRebalances(user_id=key_of(recorded), up_to_version=recorded.version)
        await booking.handle(store, context, now=clock())

    async def carry_out(recorded: Recorded, context: Context) -> None:
        """Do the run that nobody waits for; any other is done by the process that was asked for it."""
        if isinstance(recorded.event, RebalanceRunRequested) and recorded.event.asynchronous:
            await run(key_of(recorded), context)

    async def book_executions(recorded: Recorded, context: Context) -> None:
        """Book the execution, or those that have waited for this portfolio."""
        if bookings is not None:
            await bookings.after(recorded, store, context, clock=clock)

    return (
        Policy(name="asset-class-rebalances", handles=frozenset({RebalanceRequested}), act=book),
        Policy(name="rebalance-runs", handles=frozenset({RebalanceRunRequested}), act=carry_out, at_once=4),
        Policy(
            name="bookings",
            handles=frozenset({ExecutionRecorded, PortfolioOpened}),
            act=book_executions,
            lane=portfolio_of,
            patient=True,
        ),
    )


def context_of(recorded: Recorded) -> Context:
    """Return the context of a command that this event causes: by the same caller, and with an id of its own."""
    return Context(
        actor=recorded.actor or WORKER,
        correlation_id=recorded.correlation_id or str(uuid4()),
        causation_id=recorded.command_id,
    )


def key_of(recorded: Recorded) -> str:
    """Return the natural key of the aggregate of this event: its stream without the kind."""
    return recorded.stream.partition("/")[2]
