"""The optimiser as a whole: everything tried, certificates, and solvers that fail it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from domain.errors import Broken
from domain.rebalance import (
    Answer,
    BoundBy,
    Infeasible,
    Mode,
    OnInfeasible,
    Problem,
    Proof,
    check,
    objective,
)
from domain.rebalance.checking import BANDS
from tests.write_side.optimiser.answers import patient
from tests.write_side.optimiser.problems import D, after, enumerated, of_value, portfolio, problem, small
from write_side import gate as gates
from write_side.gate import Gate
from write_side.optimiser import cashbound
from write_side.optimiser.batch import Batch
from write_side.optimiser.chain import ExactOptimiser
from write_side.optimiser.pool import Pool

CENT = D("0.01")
FAKE = Path(__file__).with_name("fake_worker.py")


@pytest.fixture(scope="module")
async def optimiser() -> AsyncIterator[ExactOptimiser]:
    pool = patient()
    yield ExactOptimiser(pool, max_time=600)
    await pool.close()


def without_solver(how: str, **settings: Any) -> Pool:
    return Pool(program=(sys.executable, str(FAKE), how), **{"limit": 0.2, **settings})


async def solved(optimiser: ExactOptimiser, problem: Problem) -> Answer:
    """Return the answer to the problem, looked at from all sides."""
    (answer,) = await optimiser.solve([problem])
    assert isinstance(answer, Answer)
    certificate, violations = answer.certificate, check(problem, answer.quantities)
    assert certificate.gap == certificate.objective - certificate.lower_bound >= 0
    assert certificate.input_sha256 == problem.digest
    assert all(violation.rule in BANDS for violation in violations)
    assert list(certificate.breaches) == violations
    if certificate.status is not Proof.NEAREST:
        assert not violations
        assert certificate.objective == objective(problem, answer.quantities)
        assert (certificate.status is Proof.OPTIMAL) is (certificate.gap <= CENT)
    return answer


async def test_small_problems_are_answered_as_when_everything_is_tried(optimiser: ExactOptimiser) -> None:
    random, infeasible, bound_by = Random(11), 0, set()
    for _ in range(400):
        problem = small(random)
        if problem.market_value <= 0:
            continue
        best = enumerated(problem)
        if best is None:
            (refusal,) = await optimiser.solve([problem])
            assert isinstance(refusal, Infeasible)
            infeasible += 1
        else:
            certificate = (await solved(optimiser, problem)).certificate
            assert best <= certificate.objective <= best + CENT
            assert certificate.lower_bound <= best
            assert certificate.status is Proof.OPTIMAL
            bound_by.add(certificate.bound_by)
    assert infeasible > 20
    assert bound_by >= {BoundBy.SEPARABILITY, BoundBy.RELAXATION, BoundBy.SEARCH}


@pytest.mark.parametrize("keep", ["0", "5", "8"])
@pytest.mark.parametrize("places", [2, 4])
async def test_portfolios_are_answered_optimally_however_much_has_to_stay_in_cash(
    optimiser: ExactOptimiser, keep: str, places: int
) -> None:
    problems = [portfolio(60, keep, seed, places=places) for seed in range(6)]
    for found, stated in zip(await optimiser.solve(problems), problems, strict=True):
        if isinstance(found, Answer):
            assert found.certificate.status is Proof.OPTIMAL
            assert not check(stated, found.quantities)


EVERY_OPTION: dict[str, dict[str, Any]] = {
    "none": {},
    "breached_only": {"mode": Mode.BREACHED_ONLY},
    "to_band": {"mode": Mode.TO_BAND},
    "buy_only": {"buy_only": True},
    "sell_only": {"sell_only": True},
    "do_not_trade": {"do_not_trade": ("S0001", "S0004")},
    "lot_size": {"lot_size": {"S0002": D("0.25"), "S0003": D("0.001")}},
    "min_trade": {"min_trade": D(40)},
    "nearest": {"on_infeasible": OnInfeasible.NEAREST},
}


@pytest.mark.parametrize("keep", ["0", "5", "8"])
@pytest.mark.parametrize("options", EVERY_OPTION.values(), ids=EVERY_OPTION)
async def test_a_second_rebalance_trades_nothing(optimiser: ExactOptimiser, options: dict[str, Any], keep: str) -> None:
    for seed in range(4):
        stated = portfolio(25, keep, seed, **options)
        (first,) = await optimiser.solve([stated])
        if isinstance(first, Answer):
            again = await solved(optimiser, after(stated, first.quantities))
            assert again.quantities == first.quantities
            assert again.certificate.status in {Proof.OPTIMAL, Proof.NEAREST}


async def test_holding_is_answered_where_it_is_as_good_as_the_best(optimiser: ExactOptimiser) -> None:
    stated = problem("0", ("100", "5", "50", "20", "20"), ("100", "5", "50", "20", "20"), ("40", "0", "0", "0", "9"))
    answer = await solved(optimiser, stated)
    assert answer.quantities == (D(5), D(5), D(0))
    short = problem("0", ("10", "49", "50", "20", "20"), ("10", "51", "50", "20", "20"), min_cash=D(0))
    assert (await solved(optimiser, short)).quantities == (D(50), D(50))
    tied = problem("55", ("100", "3", "60", "40", "40"), ("100", "2", "40", "40", "40"), min_cash=D(40))
    answer = await solved(optimiser, tied)
    assert (answer.quantities, answer.certificate.method) == ((D(3), D(2)), "closed-form")


HARD = portfolio(15, "8", 1)


@pytest.fixture
def no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search gives up at once, so that solvers have something to do."""
    monkeypatch.setattr(cashbound, "NODES", 0)


@pytest.mark.usefixtures("no_search")
async def test_what_the_search_cannot_prove_a_solver_does(optimiser: ExactOptimiser) -> None:
    certificate = (await solved(optimiser, HARD)).certificate
    assert certificate.status is Proof.OPTIMAL
    assert certificate.bound_by is BoundBy.SOLVER
    assert certificate.method.startswith("cvxpy+")
    assert certificate.solver is not None
    assert " by cvxpy " in certificate.solver


@pytest.mark.usefixtures("no_search")
@pytest.mark.parametrize("how", ["hang-begun", "die", "garbage", "no-cover"])
async def test_without_a_solver_the_search_still_has_an_answer_and_says_how_good_it_is(how: str) -> None:
    pool = without_solver(how)
    certificate = (await solved(ExactOptimiser(pool), HARD)).certificate
    await pool.close()
    assert certificate.status is Proof.FEASIBLE
    assert CENT < certificate.gap < 1_000
    assert certificate.bound_by is BoundBy.RELAXATION
    assert (certificate.method, certificate.solver, pool.failed) == ("greedy", None, 1)


@pytest.mark.usefixtures("no_search")
async def test_a_queue_that_is_full_and_time_that_is_up_cost_the_proof_not_the_answer() -> None:
    for pool, max_time in ((without_solver("", queue=0), 30.0), (without_solver("hang-begun", limit=60), 0.0)):
        certificate = (await solved(ExactOptimiser(pool, max_time=max_time), HARD)).certificate
        await pool.close()
        assert certificate.status is Proof.FEASIBLE


@pytest.mark.usefixtures("no_search")
async def test_a_solver_cannot_prove_more_than_what_was_found() -> None:
    pool = without_solver("proves-too-much", limit=60, start_limit=60)
    certificate = (await solved(ExactOptimiser(pool), HARD)).certificate
    await pool.close()
    assert (certificate.gap, certificate.bound_by) == (D(0), BoundBy.SOLVER)


async def test_the_same_problem_has_the_same_answer(optimiser: ExactOptimiser) -> None:
    stated = portfolio(40, "8", 2, places=4)
    answers = [await solved(optimiser, stated) for _ in range(2)]
    others = ExactOptimiser(pool := patient(), max_time=600)
    answers.append(await solved(others, stated))
    await pool.close()
    assert answers[0] == answers[1] == answers[2]


async def test_many_are_answered_in_their_order_each_by_itself(optimiser: ExactOptimiser) -> None:
    problems = [portfolio(15, "058"[seed % 3], seed) for seed in range(20)]
    together = await optimiser.solve(problems)
    alone = [(await optimiser.solve([each]))[0] for each in problems]
    assert [_told(each) for each in together] == [_told(each) for each in alone]


def _told(found: Answer | Infeasible) -> object:
    return found if isinstance(found, Answer) else (str(found), found.explanation)


async def test_nothing_to_solve_and_nothing_held(optimiser: ExactOptimiser) -> None:
    assert await optimiser.solve([]) == []
    assert (await solved(optimiser, problem("100"))).quantities == ()
    assert (await solved(optimiser, problem("0", ("10", "0", "50", "1", "1")))).quantities == (D(0),)


async def test_the_certificate_names_options_and_what_is_minimised(optimiser: ExactOptimiser) -> None:
    assert (await solved(optimiser, portfolio(5, "0", 1))).certificate.options == ()
    stated = portfolio(5, "5", 1, mode=Mode.TO_BAND, min_trade=D(1))
    certificate = (await solved(optimiser, stated)).certificate
    assert certificate.options == ("mode", "min_cash_percent", "min_trade")
    assert certificate.minimises == "traded-value"


async def test_what_comes_nearest_leaves_bands_by_the_least_and_says_so(optimiser: ExactOptimiser) -> None:
    stated = of_value("1050", ("1000", "95", "0.1", "0.1"), on_infeasible=OnInfeasible.NEAREST)
    answer = await solved(optimiser, stated)
    assert answer.quantities == (D(1),)
    certificate = answer.certificate
    assert (certificate.minimises, certificate.objective, certificate.gap) == ("band-breach", D("1.45"), D(0))
    again = await solved(optimiser, after(stated, answer.quantities))
    assert again.quantities == answer.quantities


async def test_where_not_even_soft_bands_help_it_is_explained(optimiser: ExactOptimiser) -> None:
    stated = problem(
        "-500", ("100", "10", "50", "10", "10"), buy_only=True, on_infeasible=OnInfeasible.NEAREST, min_cash=D(100)
    )
    (refusal,) = await optimiser.solve([stated])
    assert isinstance(refusal, Infeasible)


async def test_an_answer_that_does_not_pass_the_check_is_never_given(
    optimiser: ExactOptimiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    stated = of_value("1000", ("10", "50", "10", "10"))
    monkeypatch.setattr(Batch, "closed_forms", lambda batch: [(99,)] * len(batch.taken()))
    with pytest.raises(Broken, match="S0: above-band by 390"):
        await optimiser.solve([stated])
    with pytest.raises(Broken):
        await optimiser.solve([stated, stated])
    monkeypatch.setattr(Batch, "closed_forms", lambda batch: [None] * len(batch.taken()))
    assert (await solved(optimiser, stated)).quantities == (D(50),)
    wrong = cashbound.Outcome((50,), 1, 1, BoundBy.SEARCH, Proof.OPTIMAL, "search")
    monkeypatch.setattr(cashbound.CashBound, "outcome", lambda _: wrong)
    with pytest.raises(Broken, match="not what was computed"):
        await optimiser.solve([stated])


async def test_the_event_loop_has_its_turn_between_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "SLICE", 0.0)
    monkeypatch.setattr(cashbound, "NODES", 300)
    pool, turns, over = without_solver("die"), 0, False
    optimiser = ExactOptimiser(pool, gate=Gate())

    async def count() -> None:
        nonlocal turns
        while not over:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await asyncio.gather(*(optimiser.solve([portfolio(30, "8", seed)]) for seed in range(4)))
    over = True
    await counting
    await pool.close()
    assert turns > 4 * 8


@pytest.mark.usefixtures("no_search")
async def test_a_caller_who_leaves_leaves_nothing_running() -> None:
    pool = without_solver("hang-begun", limit=60)
    task = asyncio.create_task(ExactOptimiser(pool).solve([HARD, HARD]))
    async with asyncio.timeout(60):
        while not pool._all:  # noqa: ASYNC110 - other processes set no event here
            await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not pool._all
    await pool.close()
