"""Runs that are done after their request was answered: from the log, to their end, whoever does it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from domain.errors import Invalid, NotFound, StoreUnavailable, Unavailable
from domain.portfolio import Portfolio, PositionUpdate, TransactionType
from domain.rebalance import Options, RebalanceRun, RebalanceRunFinished, RebalanceRunRequested
from tests.write_side.desks import MODEL_ID, NOW, CutOff, Desk, keyed, recorded
from tests.write_side.stores import by, event_store
from write_side.holdings import StoredHoldings
from write_side.ports import Held
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


LOCKED = "OLDS123456789012345678AB"
OPTIONS = [Options(do_not_trade=(LOCKED,)), Options(lot_size={LOCKED: Decimal(100)})]


@pytest.mark.parametrize("options", OPTIONS)
async def test_a_run_for_later_is_refused_for_a_name_that_nobody_knows(
    desk: Desk, log: CutOff, options: Options
) -> None:
    await desk.open("A", "B")
    await desk.model("A", "B", "NONE")
    head = len(log.events)
    told = []
    for asynchronous in (False, True):
        with pytest.raises(Invalid) as refused:
            await RebalanceModel(model_id=MODEL_ID, options=options, asynchronous=asynchronous).handle(
                desk.runs, keyed("k")
            )
        told.append(refused.value.faults)
    assert told[0] == told[1]
    assert (len(log.events), log.keys) == (head, {})


@pytest.mark.parametrize("options", OPTIONS)
async def test_a_run_for_later_may_name_what_is_held(desk: Desk, log: CutOff, options: Options) -> None:
    await desk.open("A", "B")
    held = PositionUpdate(
        transaction_type=TransactionType.IN, quantity_change=Decimal(100), instrument_id=LOCKED, price=Decimal(1)
    )
    await desk.store.change(
        Portfolio, "B", lambda each: each.update([held], NOW, now=NOW), by(), missing=lambda: NotFound("B")
    )
    desk.quoted.prices[LOCKED] = Decimal("0.01")
    await desk.model("A", "B")
    outcome = await RebalanceModel(model_id=MODEL_ID, options=options, asynchronous=True).handle(desk.runs, by())
    assert outcome.done.aggregate is not None
    await desk.runs.finish_run(outcome.done.aggregate.run_id, by())
    [finished] = [event for event in log.events if isinstance(event, RebalanceRunFinished)]
    assert [event.portfolio_id for event in recorded(log)] == ["A"] if options.do_not_trade else ["A", "B"]
    assert [each.code for each in finished.failures] == ["no-feasible-solution"] * len(options.do_not_trade)


class Away(StoredHoldings):
    """Holdings that cannot be told."""

    async def of(self, portfolio_ids: Sequence[str]) -> dict[str, Held]:
        raise Unavailable("the service is away")


@pytest.mark.parametrize("options", OPTIONS)
async def test_a_name_that_could_not_be_looked_up_is_why_a_run_for_later_brings_nothing(
    desk: Desk, log: CutOff, options: Options
) -> None:
    await desk.open("A", "B")
    await desk.model("A", "B", "NONE")
    cut_off = replace(desk.runs, means=replace(desk.runs.means, holdings=Away(desk.store)))
    asked = RebalanceModel(model_id=MODEL_ID, options=options, asynchronous=True)
    outcome = await asked.handle(cut_off, by())
    assert outcome.done.aggregate is not None
    await desk.runs.finish_run(outcome.done.aggregate.run_id, by())
    finished = log.events[-1]
    assert isinstance(finished, RebalanceRunFinished)
    assert [(each.portfolio_id, each.code) for each in finished.failures] == [
        (each, "invalid-request") for each in ("A", "B", "NONE")
    ]
    assert f"{LOCKED} is neither held nor in the model" in finished.failures[0].detail
    assert recorded(log) == []
    assert desk.quoted.asked == []


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
