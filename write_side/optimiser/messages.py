"""What the pool and its workers say to each other: one JSON object a line, with whole numbers of any size."""

from __future__ import annotations

import json
from typing import Any

from write_side.optimiser.cover import Cover, Piece, Solved

READY = {"ready": True}
"""What a worker says first."""


def line(message: dict[str, Any]) -> bytes:
    """Return the message as a line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def parsed(text: bytes) -> dict[str, Any]:
    """Return the message of a line; raises ``ValueError`` for anything else."""
    message = json.loads(text)
    if not isinstance(message, dict):
        raise ValueError("the message is no object")
    return message


def task(number: int, cover: Cover, known: int, tolerance: int) -> dict[str, Any]:
    """Return the task of a cover, of which one at the cost ``known`` is known."""
    pieces = [[piece.line, piece.base, piece.bonus, piece.lot, piece.most] for piece in cover.pieces]
    return {"id": number, "excess": cover.excess, "pieces": pieces, "known": known, "tolerance": tolerance}


def cover_of(message: dict[str, Any]) -> Cover:
    """Return the cover of a task."""
    return Cover(message["excess"], tuple(Piece(*piece) for piece in message["pieces"]))


def begun(number: int) -> dict[str, Any]:
    """Return the message that everything is compiled, and that the solver starts."""
    return {"id": number, "begun": True}


def found(number: int, solved: Solved) -> dict[str, Any]:
    """Return the message of what a solver found; the next one may find more."""
    return {
        "id": number,
        "taken": solved.taken,
        "bound": solved.bound,
        "method": solved.method,
        "solver": solved.solver,
    }


def done(number: int) -> dict[str, Any]:
    """Return the message that there is nothing more."""
    return {"id": number, "done": True}


def solved_of(message: dict[str, Any], cover: Cover) -> Solved:
    """Return what was found; raises ``ValueError`` where it is no cover, or none of this one."""
    try:
        taken = tuple((index, count) for index, count in message["taken"])
        bound, words = message["bound"], (message["method"], message["solver"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"the message says not what was found: {error}") from None
    whole = [number for pair in taken for number in pair] + ([] if bound is None else [bound])
    if not all(type(number) is int for number in whole) or not all(isinstance(word, str) for word in words):
        raise ValueError("what was found is not in whole numbers and words")
    if not cover.covers(taken):
        raise ValueError("what was found is no cover")
    return Solved(taken, bound, *words)
