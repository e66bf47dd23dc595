"""Runs that are done after their request was answered: from the log, to their end, whoever does it."""

from __future__ import annotations

import asyncio

import pytest

from domain.errors import NotFound, StoreUnavailable, Unavailable
from domain.rebalance import RebalanceRun, RebalanceRunFinished, RebalanceRunRequested
from tests.write_side.desks import MODEL_ID, CutOff, Desk, keyed, recorded
from tests.write_side.stores import by, event_store
from write_side.rebalance import RebalanceModel

MANY = [f"P{number:03}" for number in range(50)]


@pytest.fixture
def log() -> CutOff:
    return CutOff()


@pytest.fixture
def desk(log: CutOff) -> Desk:
    return Desk(log)


async def test_an_asynchronous_run_is_finished_from_the_log_once(desk: Desk, log: CutOff) -> None:
    await desk.open(*MANY)
    await desk.model(*MANY, "NONE")
    outcome = await RebalanceModel(model_id=MODEL_ID, asynchronous=True).handle(desk.runs, keyed("k"))
    assert outcome.results is None
    assert type(log.events[-1]) is RebalanceRunRequested
    assert outcome.done.aggregate is not None
    run_id = outcome.done.aggregate.run_id
    log.left = 1
    with pytest.raises(StoreUnavailable):
        await desk.runs.finish_run(run_id, by())
    log.left = None
    workers = [Desk(log), Desk(log)]
    await asyncio.gather(*(worker.runs.finish_run(run_id, by()) for worker in workers))
    await desk.runs.finish_run(run_id, by())
    assert len(recorded(log)) == 50
    finished = [event for event in log.events if isinstance(event, RebalanceRunFinished)]
    assert [[failure.portfolio_id for failure in event.failures] for event in finished] == [["NONE"]]
    run, results = await desk.runs.results(run_id)
    assert (run.failures, [result.portfolio_id for result in results]) == (finished[0].failures, [*MANY, "NONE"])
    with pytest.raises(NotFound):
        await desk.runs.finish_run("none", by())


@pytest.mark.parametrize("away", ["prices", "optimiser"])
async def test_a_port_that_stays_away_ends_an_asynchronous_run(desk: Desk, log: CutOff, away: str) -> None:
    await desk.open("A", "B")
    await desk.model("A", "B")
    outcome = await RebalanceModel(model_id=MODEL_ID, asynchronous=True).handle(desk.runs, by())
    assert outcome.done.aggregate is not None
    error = Unavailable("the service is away")
    if away == "prices":
        desk.quoted.failures = [error] * 3
    else:
        desk.optimiser.failure = error
    await desk.runs.finish_run(outcome.done.aggregate.run_id, by())
    finished = log.events[-1]
    assert isinstance(finished, RebalanceRunFinished)
    assert [(each.portfolio_id, each.code, each.detail) for each in finished.failures] == [
        ("A", "unavailable", "the service is away"),
        ("B", "unavailable", "the service is away"),
    ]


async def test_a_port_that_comes_back_is_waited_for(desk: Desk, log: CutOff) -> None:
    await desk.open("A")
    await desk.model("A")
    outcome = await RebalanceModel(model_id=MODEL_ID, asynchronous=True).handle(desk.runs, by())
    assert outcome.done.aggregate is not None
    desk.quoted.failures = [Unavailable("away"), Unavailable("away")]
    await desk.runs.finish_run(outcome.done.aggregate.run_id, by())
    assert len(desk.quoted.asked) == 3
    assert len(recorded(log)) == 1


async def test_an_asynchronous_run_waits_for_the_log(desk: Desk, log: CutOff) -> None:
    await desk.open("A")
    await desk.model("A")
    outcome = await RebalanceModel(model_id=MODEL_ID, asynchronous=True).handle(desk.runs, by())
    assert outcome.done.aggregate is not None
    desk.quoted.failures = [StoreUnavailable("the log is away")]
    with pytest.raises(StoreUnavailable):
        await desk.runs.finish_run(outcome.done.aggregate.run_id, by())
    assert type(log.events[-1]) is RebalanceRunRequested


async def test_without_the_log_no_run_ends_not_even_at_last(desk: Desk, log: CutOff) -> None:
    await desk.open("A")
    await desk.model("A")
    outcome = await RebalanceModel(model_id=MODEL_ID, asynchronous=True).handle(desk.runs, by())
    assert outcome.done.aggregate is not None

    desk.quoted.failures = [Unavailable("away"), Unavailable("away"), StoreUnavailable("the log is away")]
    with pytest.raises(StoreUnavailable):
        await desk.runs.finish_run(outcome.done.aggregate.run_id, by())
    assert type(log.events[-1]) is RebalanceRunRequested


async def test_processes_that_race_on_a_real_log(database_url: str) -> None:
    async with event_store(database_url) as one, event_store(database_url) as other:
        desks = [Desk(one.log), Desk(other.log)]
        await desks[0].open(*MANY)
        await desks[0].model(*MANY)
        asked = RebalanceModel(model_id=MODEL_ID, asynchronous=True)
        begun = await asyncio.gather(*(asked.handle(desk.runs, keyed("k")) for desk in desks))
        (run_id,) = {outcome.done.aggregate.run_id for outcome in begun if outcome.done.aggregate is not None}
        await asyncio.gather(*(desk.runs.finish_run(run_id, by()) for desk in desks))
        assert await one.log.head() == 51 + 3 + 50
        run = await desks[0].store.load(RebalanceRun, run_id)
        assert run is not None
        assert run.failures == ()
