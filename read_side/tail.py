"""The end of the log, read once for all projections of a process."""

from __future__ import annotations

import asyncio
from collections import deque
from uuid import UUID

from domain.base import Recorded
from domain.prices import PricesUploaded
from read_side.history import History

_KEPT = 4_000
"""So many events are remembered, fewer where they are large; who is further behind reads the log itself."""
_PRICES = 20
"""So many prices of an upload count as an event."""


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
        while self._weight > _KEPT:
            self._weight -= _weight(self._events.popleft())


def _weight(recorded: Recorded) -> int:
    event = recorded.event
    return 1 + len(event.prices) // _PRICES if isinstance(event, PricesUploaded) else 1
