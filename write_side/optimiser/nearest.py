"""The quantities nearest to the bands where no quantities are within them: cash and all options hold, bands give way.

First the total breach is made least, then the deviation from the targets as small as can be without more breach. Where
every security can be as near to its band as it ever can, the two do not touch each other. Where cash is too short for
that, the least total breach is a cover like any other: a security that falls below its band costs what it falls below.
Which securities then breach is settled by the first step, so the deviation is the least for that, not for all there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

from domain.rebalance import Problem
from write_side.optimiser.cover import Shortfall
from write_side.optimiser.exact import Choice, Exact
from write_side.optimiser.picks import at_least, at_most
from write_side.optimiser.search import Search

_NODES: Final = 1_500
"""So far a search goes; what it has found by then counts."""


class _Security(msgspec.Struct, frozen=True, gc=False):
    """What a security may have but for its band, and the values between which that lies."""

    choice: Choice
    bottom: int
    top: int

    def breach(self, pick: int) -> int:
        """Return by how much a pick is outside the band."""
        value = self.choice.value(pick)
        return max(self.bottom - value, value - self.top, 0)

    def least_breach(self) -> int:
        """Return the least that any pick is outside the band."""
        beside = (at_most(self.choice, self.top), at_least(self.choice, self.bottom))
        return min(self.breach(pick) for pick in beside if pick is not None)

    def breaching(self, breach: int) -> Choice:
        """Return what it may have that is outside the band by just so much."""
        choice, lot = self.choice, self.choice.lot
        edges = [(self.bottom, self.top)]
        if breach:
            edges = [(self.bottom - breach, self.bottom - breach), (self.top + breach, self.top + breach)]
        ranges = [
            (max(low, -(-first // lot)), min(high, last // lot)) for low, high in choice.ranges for first, last in edges
        ]
        return Choice(
            lot,
            choice.held,
            choice.target,
            tuple(sorted((low, high) for low, high in ranges if low <= high)),
            choice.stay and any(first <= choice.held <= last for first, last in edges),
        )


def nearest(problem: Problem) -> tuple[Decimal, ...] | None:
    """Return a quantity for each line, with the least total breach of bands and then little deviation.

    None where cash or an option cannot hold whatever the bands are.
    """
    exact = Exact(problem, banded=False)
    if any(choice.empty for choice in exact.choices) or _least(exact.choices) > exact.spendable:
        return None
    securities = [
        _Security(choice, *(exact.whole(edge) for edge in problem.band(line)))
        for choice, line in zip(exact.choices, problem.lines, strict=True)
    ]
    breaches = [security.least_breach() for security in securities]
    wanted = _of_breach(securities, breaches)
    if _least(wanted) > exact.spendable:
        starts = [choice.lowest() for choice in wanted]
        picks = _cheapest(_doubled(securities, starts), starts, 2 * exact.spendable)
        breaches = [security.breach(pick) for security, pick in zip(securities, picks, strict=True)]
        wanted = _of_breach(securities, breaches)
    return exact.quantities(_cheapest(wanted, [choice.nearest() for choice in wanted], exact.spendable))


def _of_breach(securities: Sequence[_Security], breaches: Sequence[int]) -> list[Choice]:
    return [security.breaching(breach) for security, breach in zip(securities, breaches, strict=True)]


def _doubled(securities: Sequence[_Security], starts: Sequence[int]) -> list[Choice]:
    """Return the choices in half units, each with the target for which the cover counts the breach.

    Below its start, which is the lowest pick of its least breach, a security is below its band. A value ``v`` costs
    ``bottom - v`` then, less the breach at the start: what is removed, less once what the start is above the bottom of
    the band and what it is above its top. The target half of that below the start has the same bonus.
    """
    found = []
    for security, start in zip(securities, starts, strict=True):
        choice = security.choice
        value = choice.value(start)
        bonus = max(0, value - security.bottom) + max(0, value - security.top)
        found.append(Choice(2 * choice.lot, 2 * choice.held, 2 * value - bonus, _apart(choice), choice.stay))
    return found


def _apart(choice: Choice) -> tuple[tuple[int, int], ...]:
    """Return the ranges, parted where what is held may stay between two lots: a cover takes values as they rise."""
    lots, rest = divmod(choice.held, choice.lot)
    if not choice.stay or not rest:
        return choice.ranges
    parts = (part for low, high in choice.ranges for part in ((low, min(high, lots)), (max(low, lots + 1), high)))
    return tuple((low, high) for low, high in parts if low <= high)


def _cheapest(choices: Sequence[Choice], starts: Sequence[int], spendable: int) -> tuple[int, ...]:
    """Return the picks below these starts that cost no more than may be spent and come nearest to the targets."""
    if sum(choice.value(pick) for choice, pick in zip(choices, starts, strict=True)) <= spendable:
        return tuple(starts)
    shortfall = Shortfall(choices, starts, spendable)
    search = Search(shortfall.cover, 0)
    search.run(_NODES)
    return shortfall.picks(search.best)


def _least(choices: Sequence[Choice]) -> int:
    """Return the least that they cost together."""
    return sum(choice.value(choice.lowest()) for choice in choices)
