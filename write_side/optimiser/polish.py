"""Exact repair of what is to be removed: enough, nothing superfluous, as little above the excess as can be found."""

from __future__ import annotations

from write_side.optimiser.cover import Cover, Taken
from write_side.optimiser.filling import fill


def greedy(cover: Cover) -> Taken:
    """Return a cover: all that can be removed, less what is superfluous. Everything together has to be enough."""
    deepest = []
    for indices in cover.by_line():
        index = max(indices, key=lambda index: cover.pieces[index].deepest)
        deepest.append((index, cover.pieces[index].most))
    return repair(cover, tuple(deepest), cover.excess)


def repair(cover: Cover, taken: Taken, tolerance: int) -> Taken:
    """Return a cover near to ``taken``, which may be too little, too much, or beyond what the pieces have.

    Within the pieces taken at the end the surplus is as small as found; below ``tolerance`` it is small enough.
    """
    chosen: dict[int, tuple[int, int]] = {}
    for index, count in taken:
        piece = cover.pieces[index]
        chosen.setdefault(piece.line, (index, min(max(count, 0), piece.most)))
    _add(cover, chosen)
    _drop(cover, chosen)
    kept = sorted(chosen.values())
    need = cover.excess - sum(cover.pieces[index].base for index, _ in kept)
    counts = [0] * len(kept)
    if need > 0:
        lots = [(cover.pieces[index].lot, cover.pieces[index].most) for index, _ in kept]
        counts, _ = fill(need, lots, tolerance, start=[count for _, count in kept])
    filled = {cover.pieces[index].line: (index, count) for (index, _), count in zip(kept, counts, strict=True)}
    _drop(cover, filled)
    return tuple(sorted(filled.values()))


def _room(cover: Cover, chosen: dict[int, tuple[int, int]]) -> int:
    """Return how much the chosen pieces can remove at most."""
    return sum(cover.pieces[index].deepest for index, _ in chosen.values())


def _add(cover: Cover, chosen: dict[int, tuple[int, int]]) -> None:
    """Choose more pieces, the cheapest for what they remove first, then deeper ones, until there is enough."""
    room = _room(cover, chosen)
    for deeper in (False, True):
        rank = sorted(range(len(cover.pieces)), key=lambda index: (_dearness(cover, index), index))
        for index in rank:
            if room >= cover.excess:
                return
            piece = cover.pieces[index]
            now = cover.pieces[chosen[piece.line][0]].deepest if piece.line in chosen else 0
            if piece.deepest > now and (deeper or not now):
                chosen[piece.line] = (index, piece.most)
                room += piece.deepest - now


def _drop(cover: Cover, chosen: dict[int, tuple[int, int]]) -> None:
    """Let go of the dearest pieces without which there is still enough, deeper ones before others."""
    removed = cover.removed(tuple(chosen.values()))
    for line, (index, count) in sorted(
        chosen.items(), key=lambda item: (-_dearness(cover, item[1][0]), -cover.pieces[item[1][0]].base, item[0])
    ):
        mine = cover.pieces[index].base + cover.pieces[index].lot * count
        if removed - mine >= cover.excess:
            removed -= mine
            del chosen[line]


def _dearness(cover: Cover, index: int) -> int:
    """Return the cost of a piece for what it removes of the excess, in millionths."""
    piece = cover.pieces[index]
    return piece.price * 1_000_000 // min(piece.base, cover.excess)
