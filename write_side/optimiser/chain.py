"""The optimiser: closed form, exact search, solvers, and for every answer the exact check and a certificate."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from threading import Event
from typing import Final

from domain.errors import Broken, Overloaded
from domain.rebalance import (
    Answer,
    BoundBy,
    Certificate,
    Infeasible,
    Mode,
    OnInfeasible,
    Options,
    Problem,
    Proof,
    check,
    objective,
)
from domain.rebalance.checking import BANDS, Violation, told
from domain.values import EXACT, ONE, plain, summed
from write_side.gate import SLICE, Gate
from write_side.optimiser.batch import Batch
from write_side.optimiser.cashbound import CashBound
from write_side.optimiser.exact import STAY, Exact
from write_side.optimiser.explain import explain
from write_side.optimiser.nearest import nearest
from write_side.optimiser.picks import at_least, at_most
from write_side.optimiser.pool import Pool
from write_side.optimiser.rows import Models
from write_side.optimiser.trials import never

_AT_ONCE: Final = 8
"""So many problems of one call are on their way to a solver at the same time."""
_MOST_IN_A_STEP: Final = 64
_STEP: Final = SLICE / 2
"""Seconds that a step of several problems may take."""

_Found = Answer | Infeasible


class ExactOptimiser:
    """Implements the port ``Optimiser``; all its computing goes through the gate that everyone of a process shares."""

    def __init__(self, pool: Pool, *, max_time: float = 30.0, gate: Gate | None = None) -> None:
        """``max_time``: seconds after which nothing is looked for any more, and what is known by then is the answer."""
        self._pool, self._max_time = pool, max_time
        self._gate = Gate() if gate is None else gate
        self._thread = asyncio.Semaphore(1)

    async def solve(self, problems: Sequence[Problem]) -> list[_Found]:
        """Return for each problem a checked answer, or why there is none.

        Raises ``Broken`` where an answer does not pass the check: a defect, never an answer.
        """
        until = time.monotonic() + self._max_time
        answers: dict[int, _Found] = {}
        left: list[int] = []
        await self._gate.through(self._in_closed_form(problems, answers, left))
        turns = asyncio.Semaphore(_AT_ONCE)

        async def one(place: int) -> None:
            async with turns:
                answers[place] = await self._single(problems[place], until)

        tasks = [asyncio.ensure_future(one(place)) for place in left]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return [answers[place] for place in range(len(problems))]

    @staticmethod
    def _in_closed_form(problems: Sequence[Problem], answers: dict[int, _Found], left: list[int]) -> Iterator[None]:
        """Answer what the closed form answers, in portions of a step; ``left`` gets the places of the others."""
        start, size = 0, 1
        models: Models = {}
        while start < len(problems):
            begun = time.perf_counter()
            portion = problems[start : start + size]
            batch = Batch(portion, models)
            picks = batch.closed_forms()
            took = time.perf_counter() - begun
            yield
            begun = time.perf_counter()
            # what has no closed form takes part with zeros, and is left out of what comes of it
            filled = [
                (0,) * len(each.lines) if mine is None else mine for each, mine in zip(portion, picks, strict=True)
            ]
            found = zip(portion, filled, batch.valid(filled), batch.objectives(filled), strict=True)
            for place, (problem, mine, good, reached) in enumerate(found, start):
                if picks[place - start] is None:
                    left.append(place)
                else:
                    answers[place] = _closed_form(problem, mine, good, reached)
            start += size
            took = max(took, time.perf_counter() - begun)
            size = max(1, min(_MOST_IN_A_STEP, round(size * _STEP / max(took, _STEP / 4))))
            yield

    async def _single(self, problem: Problem, until: float) -> _Found:
        """Return the answer to a problem for which there is no closed form."""
        case = CashBound(problem)
        await self._gate.through(case.prepare())
        if case.infeasible:
            return await self._without(problem, until)
        if time.monotonic() < until:
            await self._gate.through(case.search())
        if case.open and time.monotonic() < until:
            try:
                solved = await self._pool.solve(case.cover, case.known, case.tolerance, until=until)
            except Overloaded:  # what the search found is an answer too, and says how good it is
                solved = []
            case.learn(solved)
        found: list[Answer] = []
        await self._gate.through(_answered(case, found))
        return found[0]

    async def _without(self, problem: Problem, until: float) -> _Found:
        """Do ``_without`` in a thread: it looks for fixes until this time, and only while somebody waits for it."""
        left = Event()
        async with self._thread:
            try:
                return await asyncio.to_thread(_without, problem, lambda: left.is_set() or time.monotonic() >= until)
            finally:
                left.set()


def _closed_form(problem: Problem, picks: Sequence[int], good: bool, reached: Decimal) -> Answer:
    """Return the answer of the closed form; ``good``: it has passed the check."""
    quantities = _quantities(problem, picks)
    if not good:
        _refuse(check(problem, quantities), problem)
    reached = _tidy(reached)
    certificate = _certificate(problem, Proof.OPTIMAL, reached, reached, BoundBy.SEPARABILITY, "closed-form")
    return Answer(quantities, certificate)


def _answered(case: CashBound, found: list[Answer]) -> Iterator[None]:
    """Put the checked answer to ``found``."""
    outcome, problem = case.outcome(), case.problem
    yield
    quantities = _quantities(problem, outcome.picks)
    violations, reached = check(problem, quantities), objective(problem, quantities)
    if violations or reached != case.exact.money(outcome.cost):
        _refuse(violations, problem)
    yield
    bound = _tidy(case.exact.money(outcome.bound))
    found.append(
        Answer(
            quantities,
            _certificate(
                problem, outcome.status, _tidy(reached), bound, outcome.bound_by, outcome.method, outcome.solver
            ),
        )
    )


def _without(problem: Problem, over: Callable[[], bool] = never) -> _Found:
    """Return what comes nearest to the bands, where that is wanted and there is something, or why there is nothing.

    Once the time is ``over`` no more fixes are looked for.
    """
    quantities = nearest(problem) if problem.options.on_infeasible is OnInfeasible.NEAREST else None
    if quantities is None:
        return explain(problem, over)
    breaches = tuple(check(problem, quantities))
    if wrong := [violation for violation in breaches if violation.rule not in BANDS]:
        _refuse(wrong, problem)
    held = tuple(line.held for line in problem.lines)
    of_held = tuple(check(problem, held))
    if all(violation.rule in BANDS for violation in of_held):
        by_holding = summed(breach.by for breach in of_held), objective(problem, held)
        if by_holding <= (summed(breach.by for breach in breaches), objective(problem, quantities)):
            quantities, breaches = held, of_held
    reached, bound = _tidy(summed(breach.by for breach in breaches)), _tidy(_least_breach(problem))
    certificate = _certificate(
        problem, Proof.NEAREST, reached, bound, BoundBy.SEPARABILITY, "nearest", breaches=breaches
    )
    return Answer(quantities, certificate)


def _least_breach(problem: Problem) -> Decimal:
    """Return how far everything is outside its band at least, each security for itself."""
    exact, total = Exact(problem, banded=False), 0
    for choice, line in zip(exact.choices, problem.lines, strict=True):
        bottom, top = (exact.whole(edge) for edge in problem.band(line))
        beside = (at_most(choice, top), at_least(choice, bottom))
        values = [choice.value(pick) for pick in beside if pick is not None]
        total += min(max(bottom - value, value - top, 0) for value in values)
    return exact.money(total)


def _certificate(
    problem: Problem,
    status: Proof,
    reached: Decimal,
    bound: Decimal,
    bound_by: BoundBy,
    method: str,
    solver: str | None = None,
    *,
    breaches: tuple[Violation, ...] = (),
) -> Certificate:
    minimises = "traded-value" if problem.options.mode is Mode.TO_BAND else "deviation"
    options, default = problem.options, Options()
    return Certificate(
        status=status,
        minimises="band-breach" if status is Proof.NEAREST else minimises,
        objective=reached,
        lower_bound=bound,
        gap=_tidy(EXACT.subtract(reached, bound)),
        bound_by=bound_by,
        method=method,
        solver=solver,
        input_sha256=problem.digest,
        options=tuple(name for name in Options.__struct_fields__ if getattr(options, name) != getattr(default, name)),
        breaches=breaches,
    )


def _quantities(problem: Problem, picks: Sequence[int]) -> tuple[Decimal, ...]:
    lots = problem.options.lot_size
    return tuple(
        line.held if pick == STAY else EXACT.multiply(lots.get(line.security_id, ONE), Decimal(pick))
        for line, pick in zip(problem.lines, picks, strict=True)
    )


def _refuse(violations: Sequence[Violation], problem: Problem) -> None:
    """Raise ``Broken``: an answer that does not pass the check is a defect."""
    wrong = "; ".join(told(violation) for violation in violations) or "not what was computed"
    raise Broken(f"the optimiser's answer to the problem {problem.digest} does not pass the check: {wrong}")


def _tidy(money: Decimal) -> Decimal:
    """Return the same number without trailing zeros."""
    return Decimal(plain(money))
