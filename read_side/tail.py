"""The end of the log, read once for all projections of a process."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec

from domain.base import Recorded
from read_side.history import History

_KEPT = 4_000
"""So many events are remembered, fewer where they are large; who is further behind reads the log itself."""
_HELD = 20
"""So many things that an event holds (prices of an upload, portfolios of a model) count as another event."""
_COLLECTIONS = (dict, tuple, list, set, frozenset)


class Tail:
    """A ``History`` over another one that remembers the last events: followers near the head share what is read.

    Events are never changed, so what is remembered stays true, unless the log itself is set back: every projection that
    begins to lead lets it ``forget``, and no session outlives a restore.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._events: deque[Recorded] = deque()
        self._weight = 0
        self._forgotten = 0
        self._turn = asyncio.Lock()

    def forget(self) -> None:
        """Remember nothing of the log: it may have been set back."""
        self._events.clear()
        self._weight = 0
        self._forgotten += 1

    async def head(self) -> int:
        return await self._history.head()

    async def epoch(self) -> UUID:
        return await self._history.epoch()

    async def page(self, after: int, limit: int) -> list[Recorded]:
        async with self._turn:
            if self._events and self._events[0].position <= after + 1 <= self._events[-1].position:
                first = after + 1 - self._events[0].position
                return [self._events[index] for index in range(first, min(first + limit, len(self._events)))]
            forgotten = self._forgotten
            page = await self._history.page(after, limit)
            if forgotten != self._forgotten:
                return page
            if page and (not self._events or page[0].position != self._events[-1].position + 1):
                if self._events and page[-1].position <= self._events[-1].position:
                    return page  # of one who is far behind: the others go on with the end
                self._events.clear()
                self._weight = 0
            cut = page[-1].command_id if len(page) == limit else None  # what goes on is not remembered as if it ended
            self._remember([recorded for recorded in page if cut is None or recorded.command_id != cut])
            return page

    def _remember(self, page: list[Recorded]) -> None:
        self._events.extend(page)
        self._weight += sum(map(_weight, page))
        # What was read last stays whole, so that the others find it; the log ends a page where it is large.
        while self._weight > _KEPT and len(self._events) > len(page):
            self._weight -= _weight(self._events.popleft())


def _weight(recorded: Recorded) -> int:
    event = recorded.event
    names = _holding(type(event))
    return 1 + sum(_held(getattr(event, name)) for name in names) // _HELD if names else 1


@cache
def _holding(cls: type[Any]) -> tuple[str, ...]:
    """Return the fields of events of this class that can be large; most classes have none."""
    return tuple(name for name, hint in get_type_hints(cls).items() if _can_hold(hint))


def _can_hold(hint: Any) -> bool:
    if get_origin(hint) in (Union, UnionType):
        return any(map(_can_hold, get_args(hint)))
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return any(map(_can_hold, get_type_hints(hint).values()))
    return get_origin(hint) in _COLLECTIONS


def _held(value: Any) -> int:
    """Return how many things it holds, at whatever depth."""
    if isinstance(value, msgspec.Struct):
        return sum(1 + _held(getattr(value, name)) for name in value.__struct_fields__)
    if not isinstance(value, _COLLECTIONS):
        return 0
    values = value.values() if isinstance(value, dict) else value
    first = next(iter(values), None)
    return len(value) + (sum(map(_held, values)) if isinstance(first, (msgspec.Struct, *_COLLECTIONS)) else 0)
