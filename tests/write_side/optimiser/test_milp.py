"""The cover as CVXPY states it: what solvers find and prove is never better than the truth, whatever they say."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import cvxpy as cp
import pytest

from tests.write_side.optimiser.problems import D, portfolio
from write_side.optimiser import milp
from write_side.optimiser.cover import Cover, Piece, Shortfall, Solved
from write_side.optimiser.exact import Exact
from write_side.optimiser.milp import Compiled, Solvers
from write_side.optimiser.search import Search

HALF_A_CENT = 5


@pytest.fixture(autouse=True)
def no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes alone bound the solvers, however slow the machine is."""
    monkeypatch.setitem(milp._HIGHS, "time_limit", 60.0)
    monkeypatch.setitem(milp._SCIP, "limits/time", 60.0)


@pytest.fixture(scope="module", params=["HIGHS", "SCIP"])
def solvers(request: pytest.FixtureRequest) -> Solvers:
    found = Solvers((request.param,))
    if not found.names:
        pytest.skip(f"{request.param} is not installed")
    return found


def money_covers(seed: int, *, gaps: bool) -> Iterator[Cover]:
    """Yield covers in thousandths of the currency, as portfolios of up to a dozen securities have them."""
    random = Random(seed)
    for _ in range(12):
        pieces = []
        for line in range(random.randint(2, 6)):
            lot = 10 * random.randint(500, 20_000)
            bonus = random.choice([0, random.randint(0, lot)])
            pieces.append(Piece(line, lot, bonus, lot, random.randint(1, 5)))
            if gaps and random.random() < 0.6:
                base = pieces[-1].deepest + 10 * random.randint(1, 5_000)
                pieces.append(Piece(line, base, bonus, 0, 0))
                pieces.append(Piece(line, base + 10 * random.randint(1, 5_000), bonus, lot, 2))
        room = sum(max(piece.deepest for piece in pieces if piece.line == line) for line in {p.line for p in pieces})
        yield Cover(random.randint(room // 50, room // 3), tuple(pieces))


@pytest.mark.parametrize("gaps", [False, True])
def test_solvers_find_the_least_cost_and_prove_it_within_a_cent(solvers: Solvers, gaps: bool) -> None:
    for cover in money_covers(1, gaps=gaps):
        search = Search(cover, 0)
        known = search.cost
        search.run(300_000)
        assert search.proven, "the test itself"
        (solved,) = solvers.solve(cover, max(1, known), HALF_A_CENT)
        assert cover.covers(solved.taken)
        assert search.cost <= cover.cost(solved.taken) <= search.cost + HALF_A_CENT
        assert solved.bound is not None
        assert search.cost - 2 * HALF_A_CENT <= solved.bound <= search.cost


def test_the_same_cover_is_solved_the_same_whatever_was_solved_before(solvers: Solvers) -> None:
    first, second, *_ = money_covers(2, gaps=True)
    before = list(solvers.solve(first, first.excess * 2, 0))
    list(solvers.solve(second, second.excess * 2, 0))
    assert list(solvers.solve(first, first.excess * 2, 0)) == before


def test_a_hundred_securities_with_a_smallest_trade_each_have_a_problem_of_their_size(solvers: Solvers) -> None:
    exact = Exact(portfolio(100, "8", 1, min_trade=D(60)))
    choices = exact.choices
    shortfall = Shortfall(choices, [choice.nearest() for choice in choices], exact.spendable)
    cover = shortfall.cover
    assert max(map(len, cover.by_line())) > 1, "the test itself"
    compiled = solvers.compiled(cover)
    assert compiled is not None
    assert (compiled.lines, compiled.slots) == (128, milp.SLOTS)
    tolerance = int(exact.scale // 200)
    search = Search(cover, tolerance)
    (solved,) = solvers.solve(cover, search.cost, tolerance)
    picks = shortfall.picks(solved.taken)
    assert sum(choice.value(pick) for choice, pick in zip(choices, picks, strict=True)) <= exact.spendable
    assert solved.bound is not None
    assert search.relaxation <= solved.bound + 2 * tolerance


def test_small_lots_behind_a_gap_are_not_removed_without_what_is_before_them(solvers: Solvers) -> None:
    cover = Cover(
        1_000_000, (Piece(0, 900_000, 0, 10, 20_000), Piece(1, 600_000, 100_000, 0, 0), Piece(2, 450_000, 0, 0, 0))
    )
    (solved,) = solvers.solve(cover, 2_000_000, 0)
    assert cover.covers(solved.taken)
    assert cover.cost(solved.taken) == 950_000


def test_wide_ranges_are_no_trouble(solvers: Solvers) -> None:
    pieces = (
        Piece(0, 10**14, 10**13, 0, 0),
        Piece(1, 10**3, 400, 10**3, 10**12),
        Piece(2, 7 * 10**9, 0, 7 * 10**9, 50_000),
    )
    cover = Cover(3 * 10**14 + 1_000, pieces)
    (solved,) = solvers.solve(cover, 10**15, 0)
    least = 3 * 10**14 + 1_000 - 10**13 - 400
    assert least <= cover.cost(solved.taken) <= least + 1_000
    assert solved.bound is not None
    assert solved.bound <= least


def test_a_cover_too_large_for_every_size_is_left_alone(solvers: Solvers) -> None:
    cover = Cover(10, tuple(Piece(line, 1, 0, 0, 0) for line in range(milp.SIZES[-1] + 1)))
    assert solvers.compiled(cover) is None
    assert list(solvers.solve(cover, 10, 0)) == []


def test_the_problem_is_compiled_once_and_takes_numbers_as_parameters() -> None:
    for slots in (1, milp.SLOTS):
        stated: Any = Compiled(32, slots).problem
        assert stated.is_dcp(dpp=True)


def test_solvers_that_are_unknown_or_not_installed_are_passed_over() -> None:
    assert Solvers(("NONE", "CPLEX", "HIGHS")).names == ("HIGHS",)


@pytest.mark.parametrize("error", [cp.error.SolverError("it failed"), ValueError("it failed otherwise")])
def test_a_solver_that_fails_gives_a_cover_without_a_bound(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    cover = next(money_covers(3, gaps=True))
    solvers = Solvers(("HIGHS",))
    solvers.compiled(cover)

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(cp.Problem, "solve", fail)
    (solved,) = solvers.solve(cover, 2 * cover.excess, 0)
    assert cover.covers(solved.taken)
    assert solved.bound is None


def test_zeros_of_a_solver_that_stopped_early_are_repaired(monkeypatch: pytest.MonkeyPatch) -> None:
    cover = next(money_covers(4, gaps=True))
    solvers = Solvers(("HIGHS",))
    solvers.compiled(cover)
    monkeypatch.setitem(milp._HIGHS, "mip_max_nodes", 0)
    monkeypatch.setitem(milp._HIGHS, "presolve", "off")
    monkeypatch.setitem(milp._HIGHS, "time_limit", 0.0)
    (solved,) = solvers.solve(cover, 2 * cover.excess, 0)
    assert cover.covers(solved.taken)
    search = Search(cover, 0)
    search.run(300_000)
    assert solved.bound is None or solved.bound <= search.cost


def test_the_next_solver_is_asked_only_where_the_first_proved_too_little() -> None:
    solvers = Solvers(("HIGHS", "SCIP"))
    if len(solvers.names) < 2:
        pytest.skip("SCIP is not installed")
    cover = next(money_covers(5, gaps=False))

    def methods(tolerance: int) -> list[str]:
        found: list[Solved] = list(solvers.solve(cover, 2 * cover.excess, tolerance))
        return [solved.method for solved in found]

    assert methods(HALF_A_CENT) == ["cvxpy+HIGHS"]
    assert methods(-1) == ["cvxpy+HIGHS", "cvxpy+SCIP"]


def test_versions_are_told() -> None:
    cover = next(money_covers(6, gaps=False))
    (solved,) = Solvers(("HIGHS",)).solve(cover, 2 * cover.excess, HALF_A_CENT)
    assert solved.solver.startswith("HiGHS 1.")
    assert " by cvxpy 1." in solved.solver
