"""An exact search for the cheapest cover: branch and bound over what is removed from which line, in integers.

It takes no clock, only a number of nodes, so the same cover always gives the same answer. The bound of a node is the
continuous relaxation: lines by their cost for what they remove, then further lots at cost 1.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

from write_side.optimiser.cover import Cover, Piece, Taken
from write_side.optimiser.filling import filling
from write_side.optimiser.polish import greedy

_Chain = tuple[int, "_Chain"] | None
"""The pieces taken, the last one first."""
_Node = tuple[int, int, int, int, int, _Chain]
"""Its bound, the next line, removed by bases, their cost, what further lots of those taken remove, the taken ones."""

_LEAF = 100
"""So many nodes of work a filling is, roughly."""


class Search:
    """A search that can be stopped and goes on where it was: ``best`` so far, its ``cost``, and ``lower_bound``."""

    def __init__(self, cover: Cover, tolerance: int) -> None:
        """``tolerance``: what is better by no more than this is not looked for."""
        self._cover, self._tolerance, self._excess = cover, tolerance, cover.excess
        self.best: Taken = greedy(cover)
        self.cost = cover.cost(self.best)
        self.improved = False
        """Whether the best is the search's own find."""
        lines: list[list[int]] = []
        self._loose: list[int] = []
        for indices in cover.by_line():
            if self._is_loose(indices):
                self._loose += indices
            else:
                lines.append(indices)
        first = [cover.pieces[indices[0]] for indices in lines]
        order = sorted(range(len(lines)), key=lambda at: (self._slope(first[at]), first[at].line))
        self._lines = [lines[at] for at in order]
        first = [first[at] for at in order]
        self._weight = [min(piece.base, self._excess) for piece in first]
        self._price = [piece.price for piece in first]
        self._cheap = sum(price < weight for price, weight in zip(self._price, self._weight, strict=True))
        """So many lines cost less than what they remove; they come first."""
        self._weights = [0, *accumulate(self._weight)]
        self._prices = [0, *accumulate(self._price)]
        deepest = [max(cover.pieces[index].deepest for index in indices) for indices in self._lines]
        self._deepest = _behind(deepest)
        self._further = _behind([deep - weight for deep, weight in zip(deepest, self._weight, strict=True)])
        self._loose_lots = [self._as_lots(cover.pieces[index]) for index in self._loose]
        self._loose_room = sum(lot * most for lot, most in self._loose_lots)
        root = self._bound(0, 0, 0, 0)
        self.relaxation = min(self.cost, 0 if root is None else root)
        """The bound of the continuous relaxation."""
        self._floor = self.cost
        self._open: list[_Node] = [(self.relaxation, 0, 0, 0, 0, None)]

    @property
    def lower_bound(self) -> int:
        """What no cover costs less than."""
        return min(self.cost, self._floor, min((node[0] for node in self._open), default=self.cost))

    @property
    def proven(self) -> bool:
        """Whether nothing is better by more than the tolerance."""
        return self.cost - self.lower_bound <= self._tolerance

    def run(self, nodes: int) -> None:
        """Do ``steps`` at once."""
        for _ in self.steps(nodes):
            pass

    def steps(self, nodes: int) -> Iterator[None]:
        """Go on for about so many nodes, or until nothing is left to look at; it pauses every millisecond or two."""
        pause = nodes
        while self._open and nodes > 0:
            nodes -= 1
            bound, depth, removed, cost, further, chain = node = self._open.pop()
            if bound >= self.cost - self._tolerance:
                self._floor = min(self._floor, bound)
            elif depth == len(self._lines):
                nodes -= _LEAF
                self._open.append(node)
                yield from self._leaf(removed, cost, chain)
                self._open.pop()
            else:
                self._branch(depth, removed, cost, further, chain)
            if nodes < pause - _LEAF:
                pause = nodes
                yield

    def _branch(self, depth: int, removed: int, cost: int, further: int, chain: _Chain) -> None:
        """Decide one line: its first piece is looked at first, then none, then deeper ones."""
        indices = self._lines[depth]
        children: list[_Node] = []
        for index in (indices[0], None, *indices[1:]):
            now = (removed, cost, further)
            if index is not None:
                piece = self._cover.pieces[index]
                now = (removed + piece.base, cost + piece.price, further + piece.lot * piece.most)
                if now[0] >= self._excess:
                    self._found(now[1], tuple((each, 0) for each in _unchained((index, chain))))
                    continue
            bound = self._bound(depth + 1, *now)
            if bound is not None:
                children.append((bound, depth + 1, *now, chain if index is None else (index, chain)))
        self._open.extend(reversed(children))

    def _bound(self, depth: int, removed: int, cost: int, further: int) -> int | None:
        """Return what no cover of the node costs less than; None where it has none."""
        left = self._excess - removed
        if further + self._loose_room + self._deepest[depth] < left:
            return None
        weights, prices, cheap = self._weights, self._prices, self._cheap
        start = min(depth, cheap)
        end = bisect_right(weights, weights[start] + left, start, cheap + 1) - 1
        cost += prices[end] - prices[start]
        left -= weights[end] - weights[start]
        if not left:
            return cost
        if end < cheap:  # the line at which it is reached: with it, or without
            weight, price = self._weight[end], self._price[end]
            back = (weight - left) * self._price[end - 1] // self._weight[end - 1] if end > start else 0
            after = end + 1
            dear = -(-left * self._price[after] // self._weight[after]) if after < cheap else left
            return min(cost + price - back, cost + dear)
        room = further + self._loose_room + self._further[depth]
        over = left - room
        if over > 0 and (after := max(depth, cheap)) < len(self._weight):
            return cost + room - (-over * self._price[after] // self._weight[after])
        return cost + left

    def _leaf(self, removed: int, cost: int, chain: _Chain) -> Iterator[None]:
        """Remove what is left by further lots of what is taken, and by the lines that need no decision."""
        pieces = self._cover.pieces
        chosen = _unchained(chain)
        lots = [(pieces[index].lot, pieces[index].most) for index in chosen] + self._loose_lots
        need = self._excess - removed
        counts, exact = yield from filling(need, lots, self._tolerance)
        total = cost + sum(lot * count for (lot, _), count in zip(lots, counts, strict=True))
        if not exact or total - cost - need <= self._tolerance:  # what is good enough need not be the least
            self._floor = min(self._floor, cost + need)
        taken = [(index, count) for index, count in zip(chosen, counts, strict=False)]
        taken += [(index, count - 1) for index, count in zip(self._loose, counts[len(chosen) :], strict=True) if count]
        self._found(total, tuple(taken))

    def _found(self, cost: int, taken: Taken) -> None:
        if cost < self.cost:
            self.best, self.cost, self.improved = tuple(sorted(taken)), cost, True

    def _is_loose(self, indices: list[int]) -> bool:
        """Whether the line only removes lot after lot, at what they are worth: nothing is to be decided first."""
        piece = self._cover.pieces[indices[0]]
        return len(indices) == 1 and not piece.bonus and piece.lot in {0, piece.base} and piece.base < self._excess

    def _as_lots(self, piece: Piece) -> tuple[int, int]:
        return piece.base, piece.most + 1

    def _slope(self, piece: Piece) -> int:
        """Return the cost of a piece for what it removes of the excess, finely enough to sort by."""
        return (piece.price << 128) // min(piece.base, self._excess)


def _behind(values: list[int]) -> list[int]:
    """Return the sum from each place to the end."""
    return [*accumulate(reversed(values), initial=0)][::-1]


def _unchained(chain: _Chain) -> list[int]:
    indices = []
    while chain is not None:
        index, chain = chain
        indices.append(index)
    return indices
