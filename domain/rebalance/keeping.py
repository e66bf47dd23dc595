"""What a run keeps of the portfolios that have no result: each of them, explained as far as one event may hold it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from domain.rebalance.events import Failure

SENTENCES: Final = 5 * 1024 * 1024
"""Bytes that ids, codes and sentences of all failures have at most: more than 500 for each of 10,000.

With ``EXPLANATIONS`` that keeps the event well below 8 MiB, so that it passes wherever the log is published.
"""
EXPLANATIONS: Final = 1024 * 1024
"""Bytes that securities and explanations of all failures have at most: about thirty of the longest, else thousands."""
LONGEST: Final = 4096
"""Bytes that one failure has at most without its explanation, however few there are."""
_size = msgspec.json.Encoder().encode


def kept(failures: Sequence[Failure]) -> tuple[Failure, ...]:
    """Return the failures as the run keeps them: bounded together, the same for the same failures.

    Explanations are kept in the order of the failures until one does not fit: it and all later ones are left out
    (``Failure.left_out``). The securities of what has no explanation are kept while they fit. A sentence that is too
    long ends in an ellipsis.
    """
    share = min(LONGEST, SENTENCES // max(1, len(failures)))
    room, full = EXPLANATIONS, False
    made: list[Failure] = []
    for each in failures:
        bare = _sentence(replace(each, securities=(), explanation=None), share)
        whole = replace(bare, securities=each.securities, explanation=each.explanation)
        if full and each.explanation is not None:
            made.append(bare)
            continue
        more = len(_size(whole)) - len(_size(bare))
        if more <= room:
            room -= more
            made.append(whole)
        else:
            full = full or each.explanation is not None
            made.append(bare)
    return tuple(made)


def _sentence(failure: Failure, share: int) -> Failure:
    """Return the failure in at most so many bytes: with its sentence cut where it is longer."""
    if len(failure.detail) > share:
        failure = replace(failure, detail=failure.detail[:share])  # still too long, and no longer slow to measure
    if len(_size(failure)) <= share:
        return failure
    room = share - len(_size(replace(failure, detail="…")))
    text = failure.detail
    while text and (size := len(_size(text)) - 2) > room:
        text = text[: max(0, min(len(text) - 1, len(text) * room // size))]
    return replace(failure, detail=text + "…")
