"""The cover as a mixed-integer problem that CVXPY states and a solver solves: the only module with floats.

What comes back are whole numbers, repaired exactly, and the solver's own bound, lowered by what floats may be wrong by.
No status decides anything: a solver that stopped early or failed gives zeros, and those are repaired as well.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any, Final

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray

from write_side.optimiser.cover import Cover, Solved, Taken
from write_side.optimiser.known import KNOWN
from write_side.optimiser.polish import repair

SIZES: Final = (32, 64, 128, 320, 1000)
"""Lines of the compiled problems; a cover takes the smallest that holds it."""
SLOTS: Final = 3
"""Pieces of a line, where one has several."""
TIME_LIMIT: Final = 0.8
"""Seconds for one solver; its nodes are limited too, so that in the ordinary case no clock decides."""
NODES: Final = 20_000
TRUST: Final = 1e-9
"""How far off a bound may be: this part of the excess, and of what all pieces remove and cost."""
_FILLER: Final = 1e-4
"""Lots smaller than this part of the excess are removed continuously; the repair makes them whole."""
_HIGHS: Final = {
    "threads": 1,
    "random_seed": 0,
    "time_limit": TIME_LIMIT,
    "mip_max_nodes": NODES,
    "mip_rel_gap": 0.0,
    "mip_abs_gap": 0.0,
    "mip_feasibility_tolerance": 1e-9,
    "primal_feasibility_tolerance": 1e-9,
    "dual_feasibility_tolerance": 1e-9,
}
_SCIP: Final = {
    "limits/time": TIME_LIMIT,
    "limits/nodes": NODES,
    "limits/gap": 0.0,
    "limits/absgap": 0.0,
    "numerics/feastol": 1e-9,
    "randomization/randomseedshift": 0,
}

_CP: Final[Any] = cp
"""CVXPY, whose stubs do not know its own functions."""

Vector = NDArray[np.float64]


class Compiled:
    """One problem for all covers of so many lines with so many pieces each; numbers go in as parameters.

    What is removed is measured in excesses, what it costs in the cost of the cover known before.
    """

    def __init__(self, lines: int, slots: int) -> None:
        self.lines, self.slots = lines, slots
        count = lines * slots
        self.base, self.lot = cp.Parameter(count, nonneg=True), cp.Parameter(count, nonneg=True)
        self.most, self.room = cp.Parameter(count, nonneg=True), cp.Parameter(count, nonneg=True)
        self.price, self.lot_price = cp.Parameter(count, nonneg=True), cp.Parameter(count, nonneg=True)
        self.unit_price = cp.Parameter(nonneg=True)
        self.taken = cp.Variable(count, boolean=True)
        self.further = cp.Variable(count, integer=True)
        self.filler = cp.Variable(count)
        rules = [
            self.base @ self.taken + self.lot @ self.further + _CP.sum(self.filler) >= 1,
            self.further >= 0,
            self.further <= _CP.multiply(self.most, self.taken),
            self.filler >= 0,
            self.filler <= _CP.multiply(self.room, self.taken),
        ]
        if slots > 1:
            rules.append(_CP.sum(_CP.reshape(self.taken, (lines, slots), order="C"), axis=1) <= 1)
        cost = self.price @ self.taken + self.lot_price @ self.further + self.unit_price * _CP.sum(self.filler)
        self.problem = cp.Problem(cp.Minimize(cost), rules)

    def give(self, cover: Cover, slots: dict[int, int], known: int) -> None:
        """Set the parameters; ``slots`` says which piece stands where, ``known`` is what the known cover costs."""
        values: dict[str, Vector] = {
            name: np.zeros(self.lines * self.slots) for name in ("base", "lot", "most", "room", "price", "lot_price")
        }
        for slot, index in slots.items():
            piece = cover.pieces[index]
            most = min(piece.most, max(0, known - piece.price) // piece.lot) if piece.lot else 0
            values["base"][slot] = min(1.0, piece.base / cover.excess)
            values["price"][slot] = piece.price / known
            if most and piece.lot / cover.excess < _FILLER:
                values["room"][slot] = min(1.0, most * piece.lot / cover.excess)
            elif most:
                values["most"][slot] = most
                values["lot"][slot] = min(1.0, piece.lot / cover.excess)
                values["lot_price"][slot] = piece.lot / known
        for name, value in values.items():
            getattr(self, name).value = value
        self.unit_price.value = cover.excess / known

    def picked(self, cover: Cover, slots: dict[int, int]) -> Taken:
        """Return what the variables say, in whole numbers."""
        if (
            self.taken.value is None
            or self.further.value is None
            or self.filler.value is None
            or self.room.value is None
        ):
            return ()
        found = []
        for slot, index in sorted(slots.items()):
            if self.taken.value[slot] > 0.5:
                piece, further = cover.pieces[index], round(float(self.further.value[slot]))
                if piece.lot and self.room.value[slot]:
                    further = round(float(self.filler.value[slot]) * cover.excess / piece.lot)
                found.append((index, further))
        return tuple(found)


class Solvers:
    """Solves covers; each size is compiled when it is first needed and kept."""

    def __init__(self, names: tuple[str, ...]) -> None:
        """``names`` as CVXPY has them, in the order in which they are tried."""
        installed = _CP.installed_solvers()
        self.names = tuple(name for name in names if name in installed and name in KNOWN)
        self._compiled: dict[tuple[int, int], Compiled] = {}

    def compiled(self, cover: Cover) -> Compiled | None:
        """Return the problem for a cover, solved once so that it is compiled; None for a cover that fits none."""
        lines = cover.by_line()
        widest = max(map(len, lines))
        size = next((size for size in SIZES if size >= len(lines)), None)
        if size is None or widest > SLOTS:
            return None
        key = (size, 1 if widest == 1 else SLOTS)
        if key not in self._compiled:
            compiled = self._compiled[key] = Compiled(*key)
            trivial = Cover(1, cover.pieces[:1])
            compiled.give(trivial, {0: 0}, max(1, trivial.pieces[0].price))
            for name in self.names[:1]:
                _run(compiled, name)
        return self._compiled[key]

    def solve(self, cover: Cover, known: int, tolerance: int) -> Iterator[Solved]:
        """Yield what each solver finds, the next one tried only where none before proved enough; nothing without any.

        ``known`` is the cost of a cover known before, above 0: none that costs more is looked for.
        """
        compiled = self.compiled(cover)
        if compiled is None:
            return
        slots = {
            at * compiled.slots + slot: index
            for at, indices in enumerate(cover.by_line())
            for slot, index in enumerate(indices)
            if cover.pieces[index].price <= known
        }
        least, bound = known, 0
        for name in self.names:
            compiled.give(cover, slots, known)
            proved, late = _run(compiled, name)
            taken = repair(cover, compiled.picked(cover, slots), tolerance)
            solved = Solved(taken, _lowered(proved, cover, known), f"cvxpy+{name}{late}", _called(name))
            yield solved
            least, bound = min(least, cover.cost(taken)), max(bound, solved.bound or 0)
            if least - bound <= tolerance:
                break


def _run(compiled: Compiled, name: str) -> tuple[float | None, str]:
    """Solve with this solver; return its bound, in known costs, or None, and words for when the clock stopped it."""
    options = {"highs_options": _HIGHS} if name == "HIGHS" else {"scip_params": _SCIP}
    for variable in (compiled.taken, compiled.further, compiled.filler):
        variable.value = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of inaccurate solutions: everything is checked anyway
        try:
            solve: Any = compiled.problem.solve
            solve(solver=name, warm_start=False, **{key: dict(of) for key, of in options.items()})
        except (cp.error.SolverError, ValueError):
            return None, ""
    stats = compiled.problem.solver_stats
    late = " (time limit)" if (stats.solve_time or 0.0) >= TIME_LIMIT else ""
    return _bound(stats.extra_stats, name), late


def _bound(stats: Any, name: str) -> float | None:
    found = float(stats.mip_dual_bound if name == "HIGHS" else stats["model"].getDualbound())
    return found if math.isfinite(found) and abs(found) < 1e15 else None


def _lowered(bound: float | None, cover: Cover, known: int) -> int | None:
    """Return the bound in units, lowered by what floats may be wrong by."""
    if bound is None:
        return None
    sums = sum(min(piece.base, cover.excess) + min(piece.price, known) + piece.lot for piece in cover.pieces)
    return max(0, math.floor(bound * known) - math.ceil((cover.excess + known + sums) * TRUST))


def _called(name: str) -> str:
    called, package = KNOWN[name]
    return f"{called} {version(package)} by cvxpy {version('cvxpy')}"
