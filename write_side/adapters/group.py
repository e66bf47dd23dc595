"""A command on its way into a group: what it appends, for whom, and the places in the log that it wants."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from domain.base import Event
from domain.codec import encode
from write_side.log import Answer, Appended, Context


@dataclass(slots=True, eq=False)
class Pending:
    """A command that waits for its group: what it appends and the future that its caller awaits.

    ``slots`` are the places in the log that it wants, ``size`` its bytes in a group, ``session`` says which of the
    appender's connections was open when it was decided.
    """

    events: Sequence[Event]
    states: list[bytes]
    slots: list[tuple[str, int]]
    size: int
    context: Context
    answer: Answer | None
    version: int
    future: asyncio.Future[Appended]
    since: float
    session: int
    sent: bool = False

    @property
    def predecessors(self) -> set[tuple[str, int]]:
        """The places right before its events that it does not fill itself: these must be there."""
        slots = set(self.slots)
        return {(stream, version - 1) for stream, version in slots if version > 1} - slots


def pending(
    events: Sequence[Event], context: Context, answer: Answer | None, version: int, *, since: float, session: int
) -> Pending:
    """Return the command ready to be sent, with a future of the running loop."""
    states = [encode(event) for event in events]
    return Pending(
        events,
        states,
        [(event.originator_id, event.originator_version) for event in events],
        200 + sum(map(len, states)) + (len(answer.body) if answer is not None else 0),
        context,
        answer,
        version,
        asyncio.get_running_loop().create_future(),
        since,
        session,
    )
