"""Runs of rebalances: each portfolio once, whoever does it and however often it is begun."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest

from domain.base import Event
from domain.errors import (
    Broken,
    KeyInFlight,
    KeyReused,
    NotFound,
    StaleVersion,
    StoreUnavailable,
    VersionConflict,
)
from domain.investment_model import InvestmentModel
from domain.rebalance import (
    Answer,
    Failure,
    Infeasible,
    MissingPrice,
    Options,
    Problem,
    Rebalance,
    RebalanceRunFinished,
    RebalanceRunPriced,
    RebalanceRunRequested,
    faults,
    rebalance_id_of,
)
from tests.api.memory_log import MemoryLog
from tests.write_side.closed_form import ClosedForm
from tests.write_side.desks import MODEL_ID, NOW, TECH, CutOff, Desk, keyed, recorded
from tests.write_side.stores import by
from write_side.log import Conflict
from write_side.rebalance import AmbiguousModel, DeleteRebalance, NoModel, RebalanceModel, RebalancePortfolio

MANY = [f"P{number:03}" for number in range(50)]


@pytest.fixture
def log() -> CutOff:
    return CutOff()


@pytest.fixture
def desk(log: CutOff) -> Desk:
    return Desk(log)


def kinds(log: MemoryLog) -> Counter[type[Event]]:
    return Counter(type(event) for event in log.events)


async def test_a_run_is_stored_in_parts_each_a_command_of_its_own(desk: Desk, log: CutOff) -> None:
    await desk.open(*MANY)
    await desk.model(*MANY)
    before = len(log.contexts)
    outcome = await RebalanceModel(model_id=MODEL_ID).handle(desk.runs, by())
    assert outcome.results is not None
    assert [result.portfolio_id for result in outcome.results] == MANY
    assert len(desk.quoted.asked) == 1
    contexts = log.contexts[before:]
    assert len(contexts) == 3
    assert len({context.command_id for context in contexts}) == 3
    assert len({context.correlation_id for context in contexts}) == 1
    run = outcome.done.aggregate
    assert run is not None
    assert outcome.done.position == len(log.events)
    for result in outcome.results:
        assert isinstance(result, Rebalance)
        assert result.rebalance_id == rebalance_id_of(run.run_id, result.portfolio_id)
        assert faults(run, result) == []
    assert [type(event) for event in log.events if isinstance(event, RebalanceRunRequested | RebalanceRunPriced)] == [
        RebalanceRunRequested,
        RebalanceRunPriced,
    ]


async def test_what_a_crash_has_left_is_gone_on_with(desk: Desk, log: CutOff) -> None:
    await desk.open(*MANY)
    await desk.model(*MANY, "NONE")
    log.left = 2
    with pytest.raises(StoreUnavailable):
        await RebalanceModel(model_id=MODEL_ID, options=Options(min_cash=Decimal(5))).handle(desk.runs, keyed("k"))
    standing = recorded(log)
    assert len(standing) == 40
    log.left = None
    other = Desk(log)
    other.quoted.prices[TECH] = Decimal(1)
    await other.store.change(
        InvestmentModel,
        MODEL_ID,
        lambda model: model.add_portfolios(["LATE"], NOW),
        by(),
        missing=lambda: NotFound(MODEL_ID),
    )
    with pytest.raises(KeyReused, match="has begun run"):
        await RebalanceModel(model_id=MODEL_ID).handle(other.runs, keyed("k", b"another"))
    again = RebalanceModel(model_id=MODEL_ID, options=Options(min_cash=Decimal(7)))
    outcome = await again.handle(other.runs, keyed("k"))
    assert outcome.results is not None
    assert [result.portfolio_id for result in outcome.results] == [*MANY, "NONE"]
    assert recorded(log)[:40] == standing
    assert len(recorded(log)) == 50
    assert other.quoted.asked == []
    assert {problem.options.min_cash for problem in other.optimiser.asked} == {Decimal(5)}
    assert {line.price for problem in other.optimiser.asked for line in problem.lines} == {
        Decimal("150.5"),
        Decimal(99),
    }
    assert len(other.optimiser.asked) == 10
    replay = await again.handle(Desk(log).runs, keyed("k"))
    assert replay.done.replayed
    assert replay.done.position == outcome.done.position


async def test_two_who_do_the_same_run_at_once_record_each_portfolio_once(desk: Desk, log: CutOff) -> None:
    await desk.open(*MANY)
    await desk.model(*MANY)
    desks = [desk, Desk(log), Desk(log)]
    outcomes = await asyncio.gather(
        *(RebalanceModel(model_id=MODEL_ID).handle(each.runs, keyed("k")) for each in desks)
    )
    assert len(recorded(log)) == 50
    assert kinds(log)[RebalanceRunRequested] == kinds(log)[RebalanceRunFinished] == 1
    assert {outcome.done.position for outcome in outcomes} == {len(log.events)}


async def test_one_key_is_one_request_in_flight(desk: Desk, log: CutOff) -> None:
    await desk.open("A")
    await desk.model("A")
    log.gate = asyncio.Event()
    log.waiting.clear()
    first = asyncio.create_task(RebalanceModel(model_id=MODEL_ID).handle(desk.runs, keyed("k")))
    await log.waiting.wait()
    with pytest.raises(KeyInFlight):
        await RebalanceModel(model_id=MODEL_ID).handle(desk.runs, keyed("k"))
    log.gate.set()
    await first


async def test_a_portfolio_alone_is_one_append_or_none(desk: Desk, log: CutOff) -> None:
    await desk.open("A", "BARE")
    await desk.model("A", "BARE")
    before, head = len(log.contexts), len(log.events)
    outcome = await RebalancePortfolio(portfolio_id="A").handle(desk.runs, keyed("k"))
    assert len(log.contexts) == before + 1
    assert outcome.results is not None
    assert isinstance(outcome.results[0], Rebalance)
    assert desk.followed.asked == [head]
    desk.quoted.prices.clear()
    with pytest.raises(MissingPrice) as missing:
        await RebalancePortfolio(portfolio_id="BARE").handle(desk.runs, keyed("l"))
    assert len(missing.value.securities) == 2
    assert len(log.contexts) == before + 1
    assert (await RebalancePortfolio(portfolio_id="A").handle(desk.runs, keyed("k"))).done.replayed


async def test_nothing_is_refused_by_a_view_that_has_not_seen_the_end_of_the_log(desk: Desk, log: CutOff) -> None:
    await desk.open("A")
    await desk.model("A")
    desk.followed.known_from = await log.head()
    desk.store.forget()  # as in another process, which has heard nothing yet
    outcome = await RebalancePortfolio(portfolio_id="A").handle(desk.runs, by())
    assert outcome.results
    assert desk.followed.asked == [0, desk.followed.known_from]


async def test_the_view_is_asked_as_of_what_the_caller_knows_and_checked_in_the_log(desk: Desk, log: CutOff) -> None:
    await desk.open("A")
    await desk.model("A")
    other = "0" * 24
    desk.followed.models["A"].append(other)
    outcome = await RebalancePortfolio(portfolio_id="A", at_least=99).handle(desk.runs, by())
    assert desk.followed.asked == [99]
    assert outcome.done.aggregate is not None
    assert outcome.done.aggregate.model_id == MODEL_ID
    desk.followed.models["A"].pop()
    await desk.model("A", model_id=other, name="Income")
    with pytest.raises(AmbiguousModel, match=other):
        await RebalancePortfolio(portfolio_id="A").handle(desk.runs, by())
    await desk.store.change(
        InvestmentModel, MODEL_ID, lambda model: model.delete(NOW), by(), missing=lambda: NotFound(MODEL_ID)
    )
    assert (await RebalancePortfolio(portfolio_id="A").handle(desk.runs, by())).results
    with pytest.raises(NotFound):
        await RebalancePortfolio(portfolio_id="A", model_id=MODEL_ID).handle(desk.runs, by())
    desk.followed.models.clear()
    with pytest.raises(NoModel):
        await RebalancePortfolio(portfolio_id="A").handle(desk.runs, by())
    assert len(recorded(log)) == 2


async def test_a_preview_leaves_no_trace(desk: Desk, log: CutOff) -> None:
    await desk.open(*MANY)
    await desk.model(*MANY)
    before = len(log.contexts)
    whole = RebalanceModel(model_id=MODEL_ID, preview=True, asynchronous=True)
    outcome = await whole.handle(desk.runs, keyed("k"))
    assert outcome.results is not None
    assert len(outcome.results) == 50
    assert (len(log.contexts), log.keys) == (before, {})
    assert outcome.done.position == len(log.events)
    await RebalanceModel(model_id=MODEL_ID).handle(desk.runs, keyed("k"))
    with pytest.raises(KeyReused):
        await whole.handle(desk.runs, keyed("k", b"another"))


async def test_a_refusal_alone_is_a_failure_among_others(desk: Desk, log: CutOff) -> None:
    await desk.open("RICH")
    await desk.open("POOR", cash="100")
    await desk.model("POOR", "RICH")
    with pytest.raises(Infeasible) as refused:
        await RebalancePortfolio(portfolio_id="POOR").handle(desk.runs, by())
    outcome = await RebalanceModel(model_id=MODEL_ID).handle(desk.runs, by())
    assert outcome.results is not None
    failed, made = outcome.results
    assert not isinstance(failed, Rebalance)
    assert isinstance(made, Rebalance)
    assert (failed.code, failed.detail) == ("no-feasible-solution", str(refused.value))
    assert (failed.securities, failed.explanation) == (refused.value.securities, refused.value.explanation)
    finished = [event for event in log.events if isinstance(event, RebalanceRunFinished)]
    assert [event.failures for event in finished] == [(failed,)]


class Defective(ClosedForm):
    """An optimiser that cannot do with one market value."""

    def __init__(self, value: int, defect: Exception) -> None:
        super().__init__()
        self._value, self._defect = value, defect

    async def solve(self, problems: Sequence[Problem]) -> list[Answer | Infeasible]:
        if any(problem.market_value == self._value for problem in problems):
            raise self._defect
        return await super().solve(problems)


@pytest.mark.parametrize("defect", [Broken("does not pass the check"), ValueError("does not pass")])
async def test_a_defect_that_one_portfolio_meets_does_not_spoil_the_others(
    desk: Desk, log: CutOff, defect: Exception
) -> None:
    await desk.open("A", "C")
    await desk.open("B", cash="77777")
    await desk.model("A", "B", "C")
    means = replace(desk.runs.means, optimiser=Defective(77_777, defect))
    runs = replace(desk.runs, means=means)
    outcome = await RebalanceModel(model_id=MODEL_ID).handle(runs, by())
    assert outcome.results is not None
    first, failed, last = outcome.results
    assert isinstance(first, Rebalance)
    assert isinstance(last, Rebalance)
    assert isinstance(failed, Failure)
    assert (failed.portfolio_id, failed.code) == ("B", "broken")
    assert "does not pass" in failed.detail
    with pytest.raises(Broken, match="does not pass"):
        await RebalancePortfolio(portfolio_id="B").handle(runs, by())
    assert [event.portfolio_id for event in recorded(log)] == ["A", "C"]


async def test_a_rebalance_is_deleted_once_and_stays_in_its_run(desk: Desk, log: CutOff) -> None:
    await desk.open("A")
    await desk.model("A")
    outcome = await RebalanceModel(model_id=MODEL_ID).handle(desk.runs, keyed("k"))
    assert outcome.results is not None
    assert outcome.done.aggregate is not None
    made = outcome.results[0]
    assert isinstance(made, Rebalance)
    with pytest.raises(VersionConflict):
        await DeleteRebalance(rebalance_id=made.rebalance_id, version=2).handle(desk.store, by(), now=NOW)
    stale = msgspec.structs.replace(by(), expected_version=2)
    with pytest.raises(StaleVersion):
        await DeleteRebalance(rebalance_id=made.rebalance_id, version=2).handle(desk.store, stale, now=NOW)
    delete = DeleteRebalance(rebalance_id=made.rebalance_id, version=1)
    await delete.handle(desk.store, by(), now=NOW)
    with pytest.raises(NotFound):
        await delete.handle(desk.store, by(), now=NOW)
    _, results = await desk.runs.results(outcome.done.aggregate.run_id)
    assert [result.portfolio_id for result in results] == ["A"]


async def test_a_conflict_that_is_none_of_a_run_is_told(desk: Desk, log: CutOff) -> None:
    await desk.open("A")
    await desk.model("A")
    log.failure = Conflict("rebalance-run/x")
    with pytest.raises(Exception, match="cannot be stored, and is not"):
        await RebalanceModel(model_id=MODEL_ID).handle(desk.runs, by())
