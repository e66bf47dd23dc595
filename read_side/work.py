"""What can be asked about the work that follows the log: what is parked, and how far each policy is."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import datetime
from typing import Annotated, NamedTuple, Protocol

import msgspec

from domain.errors import Fault, Invalid, NotYet
from read_side.signals import Signals
from read_side.wire import encode, moment

_LOOK = 0.25
"""Seconds after which a checkpoint is read again though nothing was heard of it."""
_Place = tuple[Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)], str]


class ParkedRow(msgspec.Struct, frozen=True, kw_only=True):
    """An event that a policy could not work on; ``attempts`` is how often it was tried in all."""

    policy: str
    position: int
    stream: str
    topic: str
    attempts: int
    error: str
    parked_at: datetime


class Progress(NamedTuple):
    """How far a policy is: everything up to ``position`` is done or parked, ``events`` of the log are behind it.

    Of one that does not follow the log itself both are 0, however far it is.
    """

    policy: str
    position: int
    events: int
    parked: int


class ParkedPage(NamedTuple):
    """Some of what is parked, and the cursor of what follows."""

    rows: list[ParkedRow]
    next: str | None


class WorkSource(Protocol):
    """Where it stands. Everything raises ``StoreUnavailable``."""

    async def page(self, limit: int, before: tuple[int, str] | None) -> list[ParkedRow]:
        """Return so many parked events at most, the latest of the log first, below this position and policy."""

    async def progress(self) -> list[Progress]:
        """Return how far every policy is that has ever been followed or has parked something, by name."""


class ParkedWork:
    """The queries on work that follows the log; policies that work ``elsewhere`` have no checkpoint that counts."""

    def __init__(self, source: WorkSource, signals: Signals, *, elsewhere: Collection[str] = ()) -> None:
        self._source = source
        self._signals = signals
        self._elsewhere = elsewhere

    async def listed(
        self, *, limit: int = 50, cursor: str | None = None, at_least: int = 0, wait: float = 2.0
    ) -> ParkedPage:
        """Return what is parked, the latest event of the log first, once every policy has come as far as ``at_least``.

        Those that work elsewhere are not waited for. Raises ``Invalid`` for a cursor that no such page gave,
        ``NotYet``, ``StoreUnavailable``.
        """
        before = None if cursor is None else _place(cursor)
        await self._reach(at_least, wait)
        rows = await self._source.page(limit + 1, before)
        more, rows = len(rows) > limit, rows[:limit]
        return ParkedPage(rows, _cursor(rows[-1]) if more else None)

    async def progress(self) -> list[Progress]:
        """Return how far every policy is that has ever been followed or has parked something, by name."""
        return [
            each._replace(position=0, events=0) if each.policy in self._elsewhere else each
            for each in await self._source.progress()
        ]

    async def _reach(self, position: int, wait: float) -> None:
        """Return once every policy is at this position or above; raises ``NotYet`` after ``wait`` seconds."""
        clock = asyncio.get_running_loop().time
        until = clock() + wait
        while position:
            waited_for = [each for each in await self._source.progress() if each.policy not in self._elsewhere]
            slowest = min(waited_for, key=lambda each: each.position, default=Progress("", 0, 0, 0))
            if slowest.position >= position:
                return
            left = until - clock()
            if left <= 0:
                raise NotYet(f"work/{slowest.policy}", position, slowest.position)
            with suppress(NotYet):
                await self._signals.wait_for(f"work/{slowest.policy}", position, min(left, _LOOK))


class ParkedItem(Protocol):
    """Parked work as it is shown: a row as it is read, or what a retry has done."""

    @property
    def policy(self) -> str: ...
    @property
    def position(self) -> int: ...
    @property
    def stream(self) -> str: ...
    @property
    def topic(self) -> str: ...
    @property
    def attempts(self) -> int: ...
    @property
    def error(self) -> str: ...
    @property
    def parked_at(self) -> datetime: ...


def list_json(items: Iterable[ParkedItem], cursor: str | None) -> bytes:
    """Return a page of parked work as a list of ours: ``{"items": [...], "next": cursor or null}``."""
    return encode({"items": [_shown(item) for item in items], "next": cursor})


def done_json(item: ParkedItem) -> bytes:
    """Return what was parked and is done, as it is answered: the item and ``"done": true``."""
    return encode({**_shown(item), "done": True})


def _shown(item: ParkedItem) -> dict[str, str | int]:
    return {
        "policy": item.policy,
        "position": item.position,
        "stream": item.stream,
        "topic": item.topic,
        "attempts": item.attempts,
        "error": item.error,
        "parked_at": moment(item.parked_at),
    }


def _cursor(row: ParkedRow) -> str:
    content = msgspec.json.encode((row.position, row.policy))
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _place(cursor: str) -> tuple[int, str]:
    """Return the position and policy after which the page begins."""
    try:
        content = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        position, policy = msgspec.json.decode(content, type=_Place)
        if "\0" in policy:
            raise ValueError("no policy has such a name")
        policy.encode()
    except (binascii.Error, msgspec.MsgspecError, ValueError) as error:
        raise Invalid(Fault("cursor", "is not the `next` of a page: take it as it was given")) from error
    return position, policy
