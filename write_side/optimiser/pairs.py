"""Arithmetic of values as pairs of 64-bit arrays: whole steps, and the rest of a step in units of 1E-16; exact."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]
Pair: TypeAlias = tuple[Numbers, Numbers]
"""The second number is at least 0 and less than ``FINE``; the value is the first plus second / ``FINE``."""

LIMB: Final = 10**8
FINE: Final = LIMB**2
MOST: Final = 2**60
"""No value that comes in has more steps, so that a few of them can be added in 64 bits."""


def before(one: Pair, other: Pair) -> Flags:
    """Whether one is less than the other."""
    less: Flags = (one[0] < other[0]) | ((one[0] == other[0]) & (one[1] < other[1]))
    return less


def choose(where: Flags, one: Pair, other: Pair) -> Pair:
    """Return one where the flag is set, else the other."""
    return np.where(where, one[0], other[0]), np.where(where, one[1], other[1])


def added(one: Pair, other: Pair) -> Pair:
    """Return the sum."""
    rest = one[1] + other[1]
    carried = rest >= FINE
    return one[0] + other[0] + carried, rest - carried * FINE


def difference(one: Pair, other: Pair) -> Pair:
    """Return one less the other; its whole steps may be negative, the rest is not."""
    rest = one[1] - other[1]
    borrowed = rest < 0
    return one[0] - other[0] - borrowed, rest + borrowed * FINE


def lots_above(value: Pair, lots: Numbers) -> Numbers:
    """Return the least number of lots, of so many steps each, that is worth as much."""
    return -(-(value[0] + (value[1] > 0)) // lots)


def part(limbs: tuple[Numbers, Numbers, Numbers], millionths: Numbers) -> Pair:
    """Return so many millionths of a percent of a value that is given in limbs of eight digits, the first in steps.

    The limbs are ``value // FINE``, and two digits of base ``LIMB``, of the value in units of 1E-8 of a step.
    """
    upper, middle, lower = limbs
    carried = lower * millionths
    first = carried // LIMB
    rest = carried - first * LIMB
    carried = middle * millionths + first
    second = carried // LIMB
    return upper * millionths + second, (carried - second * LIMB) * LIMB + rest


def sums(value: Pair, starts: Numbers) -> list[int]:
    """Return the sum of each stretch of lines that begins at ``starts``, in units of 1E-16 of a step.

    The upper and lower halves of the numbers are added apart, so that nothing overflows.
    """
    halves = (half for numbers in value for half in (numbers >> 31, numbers & (2**31 - 1)))
    totals = (np.add.reduceat(half, starts).tolist() for half in halves)
    return [
        ((high << 31) + low) * FINE + (fine_high << 31) + fine_low
        for high, low, fine_high, fine_low in zip(*totals, strict=True)
    ]
