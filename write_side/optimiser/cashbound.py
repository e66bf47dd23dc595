"""One problem whose nearest picks cost too much: what is known of it at each stage, in integers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from domain.rebalance import BoundBy, Problem, Proof
from write_side.optimiser.cover import Cover, Shortfall, Solved
from write_side.optimiser.exact import Exact
from write_side.optimiser.search import Search

NODES = 6_000
"""So far the search goes before a solver is asked."""


class Outcome(msgspec.Struct, frozen=True):
    """Picks, what they cost (in units, from the targets), the bound and what it rests on, and where they come from."""

    picks: tuple[int, ...]
    cost: int
    bound: int
    bound_by: BoundBy
    status: Proof
    method: str
    solver: str | None = None


class CashBound:
    """A problem on its way: ``prepare`` and ``search`` in steps, ``learn`` what solvers find, then ``outcome``."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.exact: Exact
        self.infeasible = False
        self._best: Outcome | None = None
        self._solved: list[Solved] = []

    @property
    def cent(self) -> int:
        """A cent in units."""
        return int(self.exact.scale // 100)

    @property
    def tolerance(self) -> int:
        """Half a cent: what is not looked for any more, so that an answer is within a cent of what later runs find."""
        return int(self.exact.scale // 200)

    def prepare(self) -> Iterator[None]:
        """Find whether anything is allowed, and the closed form; what is missing for it becomes a search."""
        self.exact = Exact(self.problem)
        yield
        choices = self.exact.choices
        yield
        if any(choice.empty for choice in choices):
            self.infeasible = True
            return
        if sum(choice.value(choice.lowest()) for choice in choices) > self.exact.spendable:
            self.infeasible = True
            return
        yield
        nearest = tuple(choice.nearest() for choice in choices)
        self._least = sum(choice.cost(pick) for choice, pick in zip(choices, nearest, strict=True))
        yield
        if self._value(nearest) <= self.exact.spendable:
            least = self._least
            self._best = Outcome(nearest, least, least, BoundBy.SEPARABILITY, Proof.OPTIMAL, "closed-form")
            return
        self._shortfall = Shortfall(choices, nearest, self.exact.spendable)
        yield
        self._search = Search(self._shortfall.cover, self.tolerance)

    def search(self) -> Iterator[None]:
        """Search as far as it goes before a solver is asked."""
        if self._best is None and not self.infeasible:
            yield from self._search.steps(NODES)

    @property
    def open(self) -> bool:
        """Whether a solver could still find something."""
        return self._best is None and not self.infeasible and not self._search.proven

    @property
    def cover(self) -> Cover:
        """What has to give way."""
        return self._shortfall.cover

    @property
    def known(self) -> int:
        """What the best known cover costs."""
        return self._search.cost

    def learn(self, solved: Sequence[Solved]) -> None:
        """Take what solvers found."""
        self._solved += solved

    def outcome(self) -> Outcome:
        """Return the best that is known; that nothing is traded counts as best where it is as good."""
        best = self._best or self._of_cover()
        held = self._held()
        if held is None or held == best.picks:
            return best
        cost = self._cost(held)
        if cost > best.cost and cost - best.bound > self.cent:
            return best
        bound = min(best.bound, cost)
        return msgspec.structs.replace(
            best, picks=held, cost=cost, bound=bound, status=self._status(cost, bound), method="holding"
        )

    def _of_cover(self) -> Outcome:
        """Return the best of what search and solvers found."""
        search, cover = self._search, self.cover
        taken, method, solver = search.best, "search" if search.improved else "greedy", None
        picks = self._shortfall.picks(taken)
        for solved in self._solved:
            others = self._shortfall.picks(solved.taken)
            if (cover.cost(solved.taken), self._traded(others)) < (cover.cost(taken), self._traded(picks)):
                taken, picks, method, solver = solved.taken, others, solved.method, solved.solver
        cost = cover.cost(taken)
        bound, bound_by = min(cost, search.relaxation), BoundBy.RELAXATION
        if cost - bound > self.tolerance and search.lower_bound > bound:
            bound, bound_by = min(cost, search.lower_bound), BoundBy.SEARCH
        for solved in self._solved:
            if solved.bound is not None and min(cost, solved.bound) > bound:
                bound, bound_by, solver = min(cost, solved.bound), BoundBy.SOLVER, solved.solver
        status = self._status(cost, bound)
        return Outcome(picks, self._least + cost, self._least + bound, bound_by, status, method, solver)

    def _status(self, cost: int, bound: int) -> Proof:
        return Proof.OPTIMAL if cost - bound <= self.cent else Proof.FEASIBLE

    def _held(self) -> tuple[int, ...] | None:
        """Return the picks that trade nothing, None where that is not allowed."""
        picks = []
        for choice in self.exact.choices:
            pick = choice.may_hold()
            if pick is None:
                return None
            picks.append(pick)
        return tuple(picks) if self._value(picks) <= self.exact.spendable else None

    def _value(self, picks: Sequence[int]) -> int:
        return sum(choice.value(pick) for choice, pick in zip(self.exact.choices, picks, strict=True))

    def _cost(self, picks: Sequence[int]) -> int:
        return sum(choice.cost(pick) for choice, pick in zip(self.exact.choices, picks, strict=True))

    def _traded(self, picks: Sequence[int]) -> int:
        return sum(
            abs(choice.value(pick) - choice.held) for choice, pick in zip(self.exact.choices, picks, strict=True)
        )
