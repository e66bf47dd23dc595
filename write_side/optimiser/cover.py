"""What has to give way where cash binds: a cover of the excess by removing value from securities, in integers.

Every security starts at its nearest pick. What is allowed below that lies below the target, so taking the value ``r``
away costs ``r`` less, once, twice what the nearest pick was above the target: the *bonus*.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import gcd

import msgspec

from write_side.optimiser.exact import STAY, Choice


class Piece(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A way to remove value from a line: ``base + k*lot`` with ``0 <= k <= most``, which costs that less ``bonus``.

    All pieces of a line have the same bonus, no piece costs less than 0.
    """

    line: int
    base: int
    bonus: int
    lot: int
    most: int

    @property
    def price(self) -> int:
        """What it costs with no further lots."""
        return self.base - self.bonus

    @property
    def deepest(self) -> int:
        """What it removes with all further lots."""
        return self.base + self.lot * self.most


Taken = tuple[tuple[int, int], ...]
"""What is removed: indices of pieces, each with its number of further lots."""


class Cover(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Remove at least ``excess`` (above 0) at the least cost, with at most one piece of each line.

    The pieces stand by line, those of a line by rising base.
    """

    excess: int
    pieces: tuple[Piece, ...]

    def removed(self, taken: Taken) -> int:
        """Return how much is removed."""
        return sum(self.pieces[index].base + self.pieces[index].lot * count for index, count in taken)

    def cost(self, taken: Taken) -> int:
        """Return what that costs."""
        return sum(self.pieces[index].price + self.pieces[index].lot * count for index, count in taken)

    def covers(self, taken: Taken) -> bool:
        """Whether the pieces can be taken so, and remove enough."""
        lines = {self.pieces[index].line for index, _ in taken if 0 <= index < len(self.pieces)}
        return (
            len(lines) == len(taken)
            and all(0 <= count <= self.pieces[index].most for index, count in taken)
            and self.removed(taken) >= self.excess
        )

    def by_line(self) -> list[list[int]]:
        """Return the indices of the pieces of each line that has some."""
        found: dict[int, list[int]] = {}
        for index, piece in enumerate(self.pieces):
            found.setdefault(piece.line, []).append(index)
        return list(found.values())


class Solved(msgspec.Struct, frozen=True):
    """A cover that a solver found, what none costs less than where it proved something, and its name with versions."""

    taken: Taken
    bound: int | None
    method: str
    solver: str


class Shortfall:
    """The cover of a problem whose nearest picks cost more than may be spent, and the way back to picks."""

    def __init__(self, choices: Sequence[Choice], nearest: Sequence[int], spendable: int) -> None:
        """Every choice allows something, and the lowest of all fit; ``nearest`` cost more than ``spendable``."""
        self._nearest = tuple(nearest)
        excess = sum(choice.value(pick) for choice, pick in zip(choices, nearest, strict=True)) - spendable
        found: list[tuple[Piece, int]] = []
        for line, (choice, pick) in enumerate(zip(choices, nearest, strict=True)):
            found.extend(_pieces(line, choice, pick, excess))
        step = gcd(*(number for piece, _ in found for number in (piece.base, piece.lot if piece.most else 0)))
        self.cover = Cover(-(-excess // step) * step if step else excess, tuple(piece for piece, _ in found))
        self._tops = tuple(top for _, top in found)

    def picks(self, taken: Taken) -> tuple[int, ...]:
        """Return the pick of each line after removing these."""
        picks = list(self._nearest)
        for index, count in taken:
            top = self._tops[index]
            picks[self.cover.pieces[index].line] = STAY if top == STAY else top - count
        return tuple(picks)


def _pieces(line: int, choice: Choice, pick: int, excess: int) -> Iterator[tuple[Piece, int]]:
    """Yield the pieces of a line by rising base, each with the highest pick in it, as far as they can be of use."""
    start, lot = choice.value(pick), choice.lot
    bonus = 2 * max(0, start - choice.target)
    found: list[tuple[int, int, int]] = []
    for low, high in choice.ranges:
        top = min(high, (start - 1) // lot)
        if top >= low:
            base = start - top * lot
            found.append((base, top, min(top - low, max(0, -(-(excess - base) // lot)))))
    if choice.stay and choice.held < start and not _is_in_lots(choice):
        found.append((start - choice.held, STAY, 0))
    found.sort()
    for base, top, most in found:
        yield Piece(line, base, bonus, lot if most else 0, most), top
        if base + lot * most >= excess:
            break


def _is_in_lots(choice: Choice) -> bool:
    """Whether what is held is among the allowed numbers of lots."""
    lots, rest = divmod(choice.held, choice.lot)
    return not rest and any(low <= lots <= high for low, high in choice.ranges)
