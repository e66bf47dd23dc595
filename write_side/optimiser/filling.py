"""How often to take each of some values so that their sum is just above a need: exactly where that is within reach."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Generator, Sequence
from math import gcd
from typing import cast

Lot = tuple[int, int]
"""A value, and how often it may be taken."""

_MOVES = 48
_TURNS = 4
_SUMS = 2_000
_ENOUGH = 1_000
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
    if start is None:  # evenly: then every count can move both ways
        room = sum(lot * most for lot, most in lots)
        start = [most * need // room for _, most in lots]
    counts = _descend(need, lots, order, start)
    surplus = sum(lot * count for (lot, _), count in zip(lots, counts, strict=True)) - need
    if surplus > tolerance:
        surplus -= _shift(surplus, lots, counts)
    for turn in range(_TURNS):
        if surplus <= tolerance:
            return counts, True
        surplus -= _move(surplus, lots, counts, turn)
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


def _shift(surplus: int, lots: Sequence[Lot], counts: list[int]) -> int:
    """Change some counts of small lots by two at most, the best way there is; return by how much the sum falls."""
    chosen: list[tuple[int, int, int]] = []
    step, span, ways = 0, 0, 1
    for index in sorted(range(len(lots)), key=lambda index: (lots[index][0], index)):
        lot, most = lots[index]
        down, up = min(counts[index], 2), min(most - counts[index], 2)
        if not lot or not down + up:
            continue
        chosen.append((lot, down + up, index))
        step, span, ways = gcd(step, lot), span + down * lot, ways * (down + up + 1)
        if span > surplus and ways * step > _ENOUGH * span:
            break
    if span <= surplus:
        return 0
    best = _by_bits(span - surplus, chosen, surplus)
    if not best:
        return 0
    for _, _, index in chosen:
        counts[index] -= min(counts[index], 2)
    for index, count in best:
        counts[index] += count
    return span - sum(lots[index][0] * count for index, count in best)


def _move(surplus: int, lots: Sequence[Lot], counts: list[int], turn: int) -> int:
    """Change up to four counts so that the sum falls by ``surplus`` or as little less as found; return by how much."""
    moves = _moves(lots, counts, turn)
    sums = [(0, -1, -1)]
    sums += [(value, position, -1) for position, (value, _, _) in enumerate(moves)]
    for first, (value, index, _) in enumerate(moves):
        sums += [
            (value + moves[second][0], first, second)
            for second in range(first + 1, len(moves))
            if moves[second][1] != index
        ]
    sums.sort()
    values = [value for value, _, _ in sums]
    best: tuple[int, ...] = ()
    gain = 0
    for value, first, second in sums:
        at = bisect_left(values, -surplus - value)
        for other in range(at, min(at + 4, len(sums))):
            fall = -(value + values[other])
            if fall <= gain:
                break
            together = [position for position in (first, second, sums[other][1], sums[other][2]) if position >= 0]
            if len({moves[position][1] for position in together}) == len(together):
                best, gain = tuple(together), fall
                break
        if gain == surplus:
            break
    for position in best:
        _, index, change = moves[position]
        counts[index] += change
    return gain


def _moves(lots: Sequence[Lot], counts: Sequence[int], turn: int) -> list[tuple[int, int, int]]:
    """Return changes of single counts as (value, index, change), each turn of other lots."""
    able = sorted((lot, index) for index, (lot, most) in enumerate(lots) if lot and most)
    stride = max(1, -(-2 * len(able) // _MOVES))
    few = able[turn // 2 :: stride] if turn % 2 else able[turn * _MOVES // 6 :][: _MOVES // 2]
    found: list[tuple[int, int, int]] = []
    for times in range(1, 9):
        for _, index in few:
            lot, most = lots[index]
            if times <= counts[index]:
                found.append((-lot * times, index, -times))
            if times <= most - counts[index]:
                found.append((lot * times, index, times))
        if len(found) * (times + 1) > _MOVES * times:
            break
    return found[:_MOVES]


def _by_sums(
    need: int, lots: Sequence[tuple[int, int, int]], surplus: int, tolerance: int
) -> list[tuple[int, int]] | None:
    """Return the best counts from every sum there is; [] where nothing beats ``surplus``, None for too many sums."""
    layers: list[dict[int, int]] = [{0: 0}]
    rest = sum(lot * most for lot, most, _ in lots)
    best: tuple[int, int, int] | None = None
    for lot, most, _ in lots:
        rest -= lot * most
        layer: dict[int, int] = {}
        for total in layers[-1]:
            if len(layer) > _SUMS or most > _SUMS:
                return None
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
