"""One scenario over every source of work: what was asked for is done in its order, parked when it cannot be, redone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.portfolio import Portfolio, RebalanceBooked, RebalanceRequested
from tests.contracts.work_sources import NOW, SOURCES, Worked
from tests.domain.allocations import percents
from tests.write_side.stores import by
from write_side.asset_allocation import RequestRebalance, SetAllocation
from write_side.log import Answer
from write_side.work import Retries

A, B = {"stocks": 60, "bonds": 40}, {"stocks": 50, "bonds": 50}


@pytest.fixture(params=SOURCES, ids=lambda make: make.__name__)
async def worked(request: pytest.FixtureRequest) -> AsyncIterator[Worked]:
    async with request.param(request.getfixturevalue) as made:
        yield made


async def ask(worked: Worked, user_id: str, *allocations: dict[str, Any]) -> None:
    """Ask for these rebalances one after the other, as fast as it goes."""
    for allocation in allocations:
        command = RequestRebalance(user_id=user_id, allocation=percents(**allocation))
        await command.handle(worked.store, by(), now=NOW)


async def start(worked: Worked, *users: str) -> None:
    for user_id in users:
        command = SetAllocation(user_id=user_id, allocation=percents(gold=100))
        await command.handle(worked.store, by(), now=NOW)


def requests(worked: Worked, user_id: str) -> list[int]:
    """Return the versions of the requests of a user."""
    stream = Portfolio.stream(user_id)
    return [
        event.originator_version
        for event in worked.log.events
        if isinstance(event, RebalanceRequested) and event.originator_id == stream
    ]


def booked(worked: Worked, user_id: str) -> list[int]:
    """Return the versions of the requests that were booked, in the order in which they were."""
    stream = Portfolio.stream(user_id)
    return [
        event.request_version
        for event in worked.log.events
        if isinstance(event, RebalanceBooked) and event.originator_id == stream
    ]


def positions(worked: Worked) -> set[int]:
    return {at for at, event in enumerate(worked.log.events, 1) if isinstance(event, RebalanceRequested)}


async def test_a_b_a_b_asked_fast_are_four_rebalances_in_order(worked: Worked) -> None:
    await start(worked, "u", "v")
    await ask(worked, "u", A, B, A, B)
    await ask(worked, "v", B)
    await worked.settled()
    assert len(requests(worked, "u")) == 4
    assert booked(worked, "u") == requests(worked, "u")
    assert booked(worked, "v") == requests(worked, "v")
    assert set(worked.acted) == positions(worked)
    assert worked.work.kept == {}


async def test_what_fails_five_times_is_parked_and_done_when_an_operator_retries(worked: Worked) -> None:
    await start(worked, "u", "v")
    worked.refused = "u"
    await ask(worked, "u", A)
    await ask(worked, "v", A)
    await worked.settled()
    [parked] = worked.work.kept.values()
    assert (parked.stream, parked.attempts, parked.error) == ("portfolio/u", 5, "Unavailable: not now")
    assert worked.acted.count(parked.position) == 5
    assert booked(worked, "v") == requests(worked, "v")
    worked.refused = None
    retries = Retries(
        policies={worked.policy.name: worked.policy}, work=worked.work, log=worked.log, store=worked.store
    )
    await retries.retry(worked.policy.name, parked.position, by(), render=lambda _: Answer(200, b""))
    assert booked(worked, "u") == requests(worked, "u")
    await ask(worked, "u", B)
    await worked.settled()
    assert booked(worked, "u") == requests(worked, "u")
    assert worked.work.kept == {}
