"""The allowed quantities of a security next to a value."""

from __future__ import annotations

from collections.abc import Iterator

from write_side.optimiser.exact import STAY, Choice


def at_most(choice: Choice, value: int) -> int | None:
    """Return the pick of the greatest value that is not above this one, None where there is none."""
    return max(_below(choice, value), key=choice.value, default=None)


def at_least(choice: Choice, value: int) -> int | None:
    """Return the pick of the least value that is not below this one, None where there is none."""
    return min(_above(choice, value), key=choice.value, default=None)


def _below(choice: Choice, value: int) -> Iterator[int]:
    lots = value // choice.lot
    for low, high in choice.ranges:
        if low <= lots:
            yield min(lots, high)
    if choice.stay and choice.held <= value:
        yield STAY


def _above(choice: Choice, value: int) -> Iterator[int]:
    lots = -(-value // choice.lot)
    for low, high in choice.ranges:
        if lots <= high:
            yield max(lots, low)
    if choice.stay and choice.held >= value:
        yield STAY
