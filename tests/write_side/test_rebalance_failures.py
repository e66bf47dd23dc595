"""Runs with more explanations than one event may hold: what is answered at once is what is answered later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from domain.codec import encode
from domain.rebalance import Answer, Failure, Infeasible, Problem, RebalanceRunFinished
from tests.domain.test_rebalance_failures import explained
from tests.write_side.closed_form import ClosedForm
from tests.write_side.desks import MODEL_ID, CutOff, Desk
from tests.write_side.stores import by
from write_side.rebalance import RebalanceModel, RebalancePortfolio

MANY = [f"P{number:03}" for number in range(60)]


class Wordy(ClosedForm):
    """An optimiser that finds nothing, and explains it at length."""

    async def solve(self, problems: Sequence[Problem]) -> list[Answer | Infeasible]:
        explanation = explained(0).explanation
        assert explanation is not None
        return [Infeasible("no whole number of shares fits", explanation) for _ in problems]


async def test_the_first_answer_tells_of_failures_what_the_log_tells_later() -> None:
    log = CutOff()
    desk = Desk(log)
    await desk.open(*MANY)
    await desk.model(*MANY)
    runs = replace(desk.runs, means=replace(desk.runs.means, optimiser=Wordy()))
    preview = await RebalanceModel(model_id=MODEL_ID, preview=True).handle(runs, by())
    outcome = await RebalanceModel(model_id=MODEL_ID).handle(runs, by())
    assert outcome.results is not None
    assert outcome.done.aggregate is not None
    _, later = await Desk(log).runs.results(outcome.done.aggregate.run_id)
    assert outcome.results == later == preview.results
    first, *_, last = later
    assert isinstance(first, Failure)
    assert isinstance(last, Failure)
    assert (first.left_out, last.left_out, last.detail) == (False, True, "no whole number of shares fits")
    [finished] = [event for event in log.events if isinstance(event, RebalanceRunFinished)]
    assert len(encode(finished)) < 1_100_000
    with pytest.raises(Infeasible) as alone:
        await RebalancePortfolio(portfolio_id=last.portfolio_id, model_id=MODEL_ID, preview=True).handle(runs, by())
    assert alone.value.explanation == first.explanation
