"""The optimiser of rebalances against CVXPY used plainly: a continuous optimum, rounded, and the textbook MILP."""

from __future__ import annotations

import os
import resource
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.harness import Place, Result, percentile
from benchmarks.portfolios import is_infeasible, market, of_one_model, violations, wide
from domain.rebalance import Answer, Options, Problem, Proof, check, objective
from domain.values import EXACT
from write_side.optimiser.batch import Batch, closed_forms
from write_side.optimiser.chain import ExactOptimiser
from write_side.optimiser.pool import Pool

INSTANCES = 100
TEXTBOOK = 3
"""So few, since each takes all the time it is given."""
TEXTBOOK_SECONDS = 3.0
PORTFOLIOS = 1_000
VALUE = 10**9
WIDE = 100_000
PORTION = 500
CASES = {
    "loose": (Options(), "P50 < 1 ms, P99 < 250 ms"),
    "tight, 5 % cash": (Options(min_cash_percent=Decimal(5)), "P50 <= 10 ms, P99 < 250 ms"),
    "cash, 3 % withdrawn": (Options(min_cash_percent=Decimal(8)), "P50 <= 10 ms, P99 < 250 ms"),
}


class _Run(NamedTuple):
    """What a way of solving took: seconds of each problem, processor seconds of all; and its quantities, if any."""

    seconds: list[float]
    processor: float
    quantities: list[tuple[Decimal, ...] | None]

    def each(self) -> float:
        """Return the milliseconds of processor time of one problem."""
        return self.processor / len(self.seconds) * 1000

    def invalid(self, problems: Sequence[Problem]) -> int:
        """Return how many of the answers violate a rule; no answer is none."""
        pairs = zip(problems, self.quantities, strict=True)
        return sum(quantities is not None and bool(check(problem, quantities)) for problem, quantities in pairs)


async def run(place: Place) -> list[Result]:
    """Return figures of single portfolios, of many of one model at once, and of ranges no market has."""
    results = []
    for name, (options, target) in CASES.items():
        results += await _case(name, options, target)
    return [*results, *await _model(), *await _wide()]


async def _case(name: str, options: Options, target: str) -> list[Result]:
    problems = _problems(options)
    async with _optimiser() as optimiser:
        await optimiser.solve(_problems(Options(min_cash_percent=Decimal(8)))[:4])  # the solvers are up then
        ours = await _ours(optimiser, problems)
    plain = _timed(_rounded, problems)
    few = problems[:TEXTBOOK]
    textbook = _timed(_textbook, few)
    lost = max(_lost(problem, *both) for problem, *both in zip(few, textbook.quantities, ours.quantities, strict=False))
    what, count = f"rebalance, {len(problems[0].lines)} positions, {name}", len(problems)
    proof = f"{textbook.invalid(few)} of {len(few)} invalid, up to {lost:.2f} lost"
    return [
        Result(
            name=f"{what}, against CVXPY and rounding",
            value=ours.each(),
            unit="ms CPU",
            baseline=plain.each(),
            ratio=ours.each() / plain.each(),
            p50_ms=percentile(ours.seconds, 0.5),
            p99_ms=percentile(ours.seconds, 0.99),
            target=target,
        ),
        Result(
            name=f"{what}, against a textbook MILP ({TEXTBOOK_SECONDS:.0f} s; {proof})",
            value=ours.each(),
            unit="ms CPU",
            baseline=textbook.each(),
            ratio=ours.each() / textbook.each(),
        ),
        Result(
            name=f"{what}, invalid answers",
            value=100 * ours.invalid(problems) / count,
            unit="%",
            baseline=100 * plain.invalid(problems) / count,
            target="0",
        ),
    ]


def _problems(options: Options) -> list[Problem]:
    """Return portfolios; where cash is to be kept, those in which it binds."""
    found: list[Problem] = []
    seed = 0
    while len(found) < INSTANCES:
        problem = market(seed, options)
        seed += 1
        if not options.min_cash_percent or closed_forms([problem]) == [None]:
            found.append(problem)
    return found


async def _model() -> list[Result]:
    """Return the figures of a thousand portfolios of one model: the arrays alone, and with all certificates."""
    problems = of_one_model(1, PORTFOLIOS, Options(), value=VALUE)
    fastest = float("inf")
    for _ in range(10):
        began = time.process_time()
        batch = Batch([_again(problem) for problem in problems])
        picks = batch.closed_forms()
        verdicts = batch.valid([mine or (0,) * 100 for mine in picks])
        fastest = min(fastest, time.process_time() - began)
        assert all(verdicts)
    async with _optimiser() as optimiser:
        began = time.process_time()
        answers = await optimiser.solve([_again(problem) for problem in problems])
        whole = time.process_time() - began
        assert all(isinstance(answer, Answer) for answer in answers)
    plain = _timed(_rounded, problems[:50]).each() * PORTFOLIOS
    what = f"rebalance, {PORTFOLIOS:,} portfolios x 100 positions of 10^9"
    rows = ((f"{what}, picks and their check", fastest, "< 100 ms"), (f"{what}, with certificates", whole, ""))
    return [
        Result(name=name, value=took * 1000, unit="ms CPU", baseline=plain, ratio=took * 1000 / plain, target=target)
        for name, took, target in rows
    ]


async def _wide() -> list[Result]:
    """Return how many of the answers to wide-range problems are wrong, and how far the worst may be from the best."""
    kinds: Counter[str] = Counter()
    worst, worst_part, latencies = Decimal(0), 0.0, []
    began = _processor()
    async with _optimiser() as optimiser:
        for start in range(0, WIDE, PORTION):
            problems = [wide(seed, binding=0.03) for seed in range(start, start + PORTION)]
            started = time.perf_counter()
            answers = await optimiser.solve(problems)
            latencies.append((time.perf_counter() - started) / PORTION)
            for problem, answer in zip(problems, answers, strict=True):
                if not isinstance(answer, Answer):
                    kinds["wrong" if not is_infeasible(problem) else "infeasible"] += 1
                    continue
                kinds["wrong"] += bool(violations(problem, answer.quantities))
                kinds[answer.certificate.status] += 1
                worst = max(worst, answer.certificate.gap)
                worst_part = max(worst_part, float(answer.certificate.gap) / float(problem.market_value))
    each = (_processor() - began) / WIDE * 1000
    told = f"{kinds[Proof.OPTIMAL]:,} optimal, {kinds[Proof.FEASIBLE]:,} with a gap, {kinds['infeasible']:,} infeasible"
    what = f"{WIDE:,} rebalances, prices 0.01 to 500,000, values to 10^12"
    return [
        Result(
            name=f"{what}: violations ({told})",
            value=kinds["wrong"],
            unit="wrong",
            target="0",
            p50_ms=percentile(latencies, 0.5),
            p99_ms=percentile(latencies, 0.99),
        ),
        Result(name=f"{what}: time of one, checks included", value=each, unit="ms CPU"),
        Result(name=f"{what}: worst gap (of the value: {worst_part:.1e})", value=float(worst), unit="money"),
    ]


@asynccontextmanager
async def _optimiser() -> AsyncIterator[ExactOptimiser]:
    pool = Pool()
    try:
        yield ExactOptimiser(pool)
    finally:
        await pool.close()


async def _ours(optimiser: ExactOptimiser, problems: Sequence[Problem]) -> _Run:
    seconds, quantities, began = [], [], _processor()
    for problem in map(_again, problems):
        started = time.perf_counter()
        (answer,) = await optimiser.solve([problem])
        seconds.append(time.perf_counter() - started)
        assert isinstance(answer, Answer)
        quantities.append(answer.quantities)
    return _Run(seconds, _processor() - began, [*quantities])


def _timed(solve: Callable[[Problem], tuple[Decimal, ...] | None], problems: Sequence[Problem]) -> _Run:
    first = problems[0]
    solve(Problem(first.cash, first.lines[:2]))  # what is imported and set up once is no part of it
    seconds, quantities, began = [], [], _processor()
    for problem in problems:
        started = time.perf_counter()
        quantities.append(solve(problem))
        seconds.append(time.perf_counter() - started)
    return _Run(seconds, _processor() - began, quantities)


def _again(problem: Problem) -> Problem:
    """Return the problem with nothing of it computed yet."""
    return Problem(problem.cash, problem.lines, problem.options)


def _processor() -> float:
    """Return the processor seconds of this process and its children so far (of living ones where Linux tells)."""
    own, gone = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    total = own.ru_utime + own.ru_stime + gone.ru_utime + gone.ru_stime
    for children in Path("/proc/self/task").glob("*/children"):
        for child in children.read_text().split():
            stat = Path(f"/proc/{child}/stat")
            if stat.exists():
                total += sum(map(int, stat.read_text().rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")
    return total


def _lost(problem: Problem, theirs: tuple[Decimal, ...] | None, ours: tuple[Decimal, ...] | None) -> float:
    """Return by how much their objective is above ours; 0 where they have none, or none that counts."""
    if theirs is None or ours is None or check(problem, theirs):
        return 0.0
    return float(EXACT.subtract(objective(problem, theirs), objective(problem, ours)))


# --- CVXPY used plainly ----------------------------------------------------------------------------------------------


def _rounded(problem: Problem) -> tuple[Decimal, ...]:
    """Solve without whole shares and without a row for cash, then round: what the public service of seed 002 does."""
    stated, quantities = _stated(problem, whole=False)
    stated.solve(solver="CLARABEL")
    return tuple(Decimal(round(quantity)) for quantity in quantities.value)


def _textbook(problem: Problem) -> tuple[Decimal, ...] | None:
    """Solve the problem as it is written down, in whole shares and with cash, by HiGHS; None without an answer."""
    stated, quantities = _stated(problem, whole=True)
    stated.solve(solver="HIGHS", highs_options={"time_limit": TEXTBOOK_SECONDS, "threads": 1})
    if quantities.value is None:
        return None
    return tuple(Decimal(round(quantity)) for quantity in quantities.value)


def _stated(problem: Problem, *, whole: bool) -> tuple[Any, Any]:
    import cvxpy  # a second that nobody else should wait for
    import numpy as np

    cp: Any = cvxpy
    prices = np.array([float(line.price) for line in problem.lines])
    targets, low, high = (
        np.array([float(getattr(line, name)) for line in problem.lines]) / 100
        for name in ("target", "low_drift", "high_drift")
    )
    value = float(problem.market_value)
    quantities = cp.Variable(len(prices), integer=True) if whole else cp.Variable(len(prices), nonneg=True)
    worth = cp.multiply(prices, quantities)
    rules = [worth >= value * (targets - low), worth <= value * (targets + high)]
    if whole:
        rules += [quantities >= 0, cp.sum(worth) <= float(problem.spendable)]
    return cp.Problem(cp.Minimize(cp.sum(cp.abs(value * targets - worth))), rules), quantities
