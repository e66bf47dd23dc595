"""The table of policies: what each event leads to, in whose name, and that it may come twice."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import msgspec

from domain.asset_allocation import Basis
from domain.base import Recorded
from domain.portfolio import Portfolio, RebalanceBooked, RebalanceRequested
from domain.rebalance import Options, RebalanceRun, RebalanceRunRequested
from tests.api.memory_log import NOW, MemoryLog
from tests.write_side.stores import by
from write_side.asset_allocation import RequestRebalance, SetAllocation
from write_side.event_store import EventStore
from write_side.log import Context
from write_side.policies import context_of, policies

HALVES = {"stocks": Decimal(50), "bonds": Decimal(50)}
CAUSE = UUID(int=7)


async def no_run(run_id: str, context: Context) -> None:
    raise NotImplementedError


async def last(log: MemoryLog) -> Recorded:
    """Return the last event of the log, as one that was recorded with its circumstances."""
    [recorded] = await log.page(await log.head() - 1, 1)
    return msgspec.structs.replace(recorded, actor="ann", correlation_id="c", command_id=CAUSE)


def requested(log: MemoryLog, run_id: str, *, asynchronous: bool) -> None:
    """Record that a run was asked for."""
    log.events.append(
        RebalanceRunRequested(
            originator_id=RebalanceRun.stream(run_id),
            originator_version=1,
            timestamp=NOW,
            originator_topic=RebalanceRun.TOPIC,
            model_id="m",
            model_name="M",
            model_version=1,
            positions=(),
            portfolios=("P",),
            options=Options(),
            asynchronous=asynchronous,
        )
    )
    log.times.append(NOW)


async def test_a_command_is_in_the_name_of_who_caused_the_event_and_has_an_id_of_its_own() -> None:
    log, told = MemoryLog(), {"actor": "ann", "correlation_id": "c", "command_id": CAUSE}
    requested(log, "r", asynchronous=True)
    [recorded] = await log.page(0, 1)
    first, second = (context_of(msgspec.structs.replace(recorded, **told)) for _ in range(2))
    assert (first.actor, first.correlation_id, first.causation_id) == ("ann", "c", CAUSE)
    assert first.command_id != second.command_id
    assert CAUSE not in (first.command_id, second.command_id)
    assert (context_of(recorded).actor, context_of(recorded).causation_id) == ("worker", None)
    assert context_of(recorded).correlation_id


async def test_a_rebalance_by_asset_class_that_was_asked_for_is_booked_once() -> None:
    log = MemoryLog()
    store = EventStore(log)
    await SetAllocation(user_id="u-1", allocation=HALVES).handle(store, by(), now=NOW)
    wanted = {"stocks": Decimal(60), "bonds": Decimal(40)}
    await RequestRebalance(user_id="u-1", allocation=wanted, basis=Basis.TARGET).handle(store, by(), now=NOW)
    asked = await last(log)
    assert isinstance(asked.event, RebalanceRequested)
    [policy] = [
        each
        for each in policies(store, clock=lambda: NOW, run=no_run, bookings=None)
        if RebalanceRequested in each.handles
    ]
    for _ in range(2):
        await policy.act(asked, context_of(asked))
    booked = [event for event in log.events if isinstance(event, RebalanceBooked)]
    assert [(event.request_version, event.originator_id) for event in booked] == [
        (asked.version, Portfolio.stream("u-1"))
    ]
    assert (log.contexts[-1].actor, log.contexts[-1].causation_id) == ("ann", CAUSE)


async def test_only_a_run_that_nobody_waits_for_is_done_by_the_worker() -> None:
    log, done = MemoryLog(), []

    async def run(run_id: str, context: Context) -> None:
        done.append((run_id, context.actor))

    [policy] = [
        each
        for each in policies(EventStore(log), clock=lambda: NOW, run=run, bookings=None)
        if each.name == "rebalance-runs"
    ]
    for run_id, asynchronous in (("waited-for", False), ("left", True)):
        requested(log, run_id, asynchronous=asynchronous)
        recorded = await last(log)
        assert type(recorded.event) in policy.handles
        await policy.act(recorded, context_of(recorded))
    assert done == [("left", "ann")]


def test_policies_have_names_of_their_own_that_fit_a_notification() -> None:
    names = [policy.name for policy in policies(EventStore(MemoryLog()), clock=lambda: NOW, run=no_run, bookings=None)]
    assert sorted(names) == ["asset-class-rebalances", "bookings", "rebalance-runs"]
    assert not any(":" in name for name in names)
