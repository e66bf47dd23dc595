"""How often to take each of some values so that their sum is just above a need: exactly where that is within reach."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from math import gcd
from typing import cast

Lot = tuple[int, int]
"""A value, and how often it may be taken."""

_TURNS = 4
_LOTS = 14
_WAYS = 3_125
"""So many ways each half of the lots has at most: three for each of seven, five for each of five."""
_SUMS = 10_000
_BITS = 1 << 24


def fill(need: int, lots: Sequence[Lot], tolerance: int, start: Sequence[int] | None = None) -> tuple[list[int], bool]:
    """Do ``filling`` at once."""
    steps = filling(need, lots, tolerance, start)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return cast(tuple[list[int], bool], end.value)


def filling(
    need: int, lots: Sequence[Lot], tolerance: int, start: Sequence[int] | None = None
) -> Generator[None, None, tuple[list[int], bool]]:
    """Return how often to take each lot so that the sum is at least ``need``, and as little above it as found.

    All together have to be enough. True beside it: no counts are better by more than ``tolerance``. It pauses between
    steps of a millisecond or two.
    """
    order = sorted(range(len(lots)), key=lambda index: (-lots[index][0], index))
    counts = _descend(need, lots, order, start or _spread(need, lots, order))
    surplus = sum(lot * count for (lot, _), count in zip(lots, counts, strict=True)) - need
    for turn in range(_TURNS):
        if surplus <= tolerance:
            return counts, True
        surplus -= _meet(surplus, tolerance, lots, counts, turn)
        yield
    if surplus <= tolerance:
        return counts, True
    useful = [
        (lot, min(most, -(-need // lot)), index) for index in order for lot, most in (lots[index],) if lot and most
    ]
    best = _by_sums(need, useful, surplus, tolerance)
    if best is None:
        yield
        best = _by_bits(need, useful, surplus)
    if best is None:
        return counts, False
    return _counts(best, len(lots)) if best else counts, True


def _counts(taken: Sequence[tuple[int, int]], length: int) -> list[int]:
    counts = [0] * length
    for index, count in taken:
        counts[index] += count
    return counts


def _spread(need: int, lots: Sequence[Lot], order: Sequence[int]) -> list[int]:
    """Return counts whose sum is below ``need``, of as many lots as can be: such counts can be moved both ways."""
    counts, left = [0] * len(lots), need
    for _ in range(2):
        for index in reversed(order):
            lot, most = lots[index]
            if counts[index] < most and lot <= left:
                counts[index] += 1
                left -= lot
    room = sum(lot * (most - count) for (lot, most), count in zip(lots, counts, strict=True))
    if room:
        counts = [count + (most - count) * left // room for (_, most), count in zip(lots, counts, strict=True)]
    return counts


def _descend(need: int, lots: Sequence[Lot], order: Sequence[int], start: Sequence[int]) -> list[int]:
    """Return counts near to ``start`` whose sum is ``need`` or more: the greatest lots that fit, then the smallest."""
    counts = list(start)
    left = need - sum(lots[index][0] * count for index, count in enumerate(counts))
    for index in order:  # down to just below
        lot, _ = lots[index]
        if left < 0 and lot:
            back = min(counts[index], -left // lot)
            counts[index] -= back
            left += back * lot
    for index in order:
        lot, most = lots[index]
        if left > 0 and lot:
            more = min(most - counts[index], left // lot)
            counts[index] += more
            left -= more * lot
    for index in reversed(order):
        lot, most = lots[index]
        if left > 0 and lot and counts[index] < most:
            more = min(most - counts[index], -(-left // lot))
            counts[index] += more
            left -= more * lot
    for index in order:  # what the last step made superfluous
        lot, _ = lots[index]
        if left < 0 and lot:
            back = min(counts[index], -left // lot)
            counts[index] -= back
            left += back * lot
    return counts


def _meet(surplus: int, tolerance: int, lots: Sequence[Lot], counts: list[int], turn: int) -> int:
    """Change some counts a little, in the best way with which the sum falls by at most ``surplus``; return its fall.

    Each turn looks at other lots. The ways are those of one half of the lots together with those of the other half.
    """
    able = sorted((lot, index) for index, (lot, most) in enumerate(lots) if lot and most)
    if len(able) > _LOTS:  # near ones or spread ones
        few = able[turn // 2 :: len(able) // _LOTS] if turn % 2 else able[turn * _LOTS // 2 :]
    else:  # all of them, or half of them by more each
        few = able[len(able) * (turn - 1) // 4 :][: -(-len(able) // 2)] if turn else able
    few = few[:_LOTS]
    halves = [_Half(few[start::2], lots, counts) for start in (0, 1)]
    rising, falling = halves[0].sums, halves[1].sums
    best, gain, other = None, 0, len(falling) - 1
    for at, value in enumerate(rising):
        while other and value + falling[other - 1] >= -surplus:
            other -= 1
        fall = -(value + falling[other])
        if gain < fall <= surplus:
            best, gain = (at, other), fall
            if surplus - gain <= tolerance:
                break
    if best is not None:
        for half, place in zip(halves, best, strict=True):
            half.change(counts, place)
    return gain


class _Half:
    """Every way to change the counts of some lots a little."""

    def __init__(self, few: Sequence[tuple[int, int]], lots: Sequence[Lot], counts: Sequence[int]) -> None:
        reach = 1
        while few and (2 * reach + 3) ** len(few) <= _WAYS:
            reach += 1
        self._changes: list[tuple[int, range]] = []
        values = [0]
        for lot, index in few:
            change = range(max(-reach, -counts[index]), min(reach, lots[index][1] - counts[index]) + 1)
            self._changes.append((index, change))
            values = [value + lot * times for value in values for times in change]
        self._order = sorted(range(len(values)), key=values.__getitem__)
        self.sums = [values[code] for code in self._order]
        """By what each way changes the sum, rising."""

    def change(self, counts: list[int], place: int) -> None:
        """Change the counts in the way at this place of ``sums``."""
        code = self._order[place]
        for index, change in reversed(self._changes):
            code, digit = divmod(code, len(change))
            counts[index] += change[digit]


def _by_sums(
    need: int, lots: Sequence[tuple[int, int, int]], surplus: int, tolerance: int
) -> list[tuple[int, int]] | None:
    """Return the best counts from every sum there is; [] where nothing beats ``surplus``, None where that is much."""
    layers: list[dict[int, int]] = [{0: 0}]
    rest = sum(lot * most for lot, most, _ in lots)
    best: tuple[int, int, int] | None = None
    work = 0
    for lot, most, _ in lots:
        rest -= lot * most
        work += len(layers[-1]) * (most + 1)
        if work > _SUMS:
            return None
        layer: dict[int, int] = {}
        for total in layers[-1]:
            for count in range(min(most, -(-(need - total) // lot)) + 1):
                reached = total + count * lot
                if reached >= need:
                    if reached - need < surplus:
                        surplus, best = reached - need, (len(layers), total, count)
                elif reached + rest >= need:
                    layer.setdefault(reached, count)
        layers.append(layer)
        if surplus <= tolerance:
            break
    if best is None:
        return []
    depth, total, count = best
    taken = [(lots[depth - 1][2], count)]
    for level in range(depth - 1, 0, -1):
        count = layers[level][total]
        taken.append((lots[level - 1][2], count))
        total -= count * lots[level - 1][0]
    return taken


def _by_bits(need: int, lots: Sequence[tuple[int, int, int]], surplus: int) -> list[tuple[int, int]] | None:
    """As ``_by_sums``, with the sums as bits of one number, in steps of what divides all lots."""
    step = gcd(*(lot for lot, _, _ in lots))
    parts: list[tuple[int, int, int]] = []
    for lot, most, index in lots:
        times = 1
        left = most
        while left:
            parts.append((lot // step, min(times, left), index))
            left -= min(times, left)
            times *= 2
    least = -(-need // step)
    limit = least + -(-surplus // step)
    if limit * len(parts) > _BITS:
        return None
    mask = (1 << limit) - 1
    layers = [1]
    for lot, times, _ in parts:
        layers.append((layers[-1] | layers[-1] << lot * times) & mask)
        if layers[-1] >> least & 1:
            break
    above = layers[-1] >> least
    if not above:
        return []
    total = least + (above & -above).bit_length() - 1
    taken = []
    for level in range(len(layers) - 1, 0, -1):
        if not layers[level - 1] >> total & 1:
            lot, times, index = parts[level - 1]
            taken.append((index, times))
            total -= lot * times
    return taken
