"""Who may decide on a stream now: commands of one process on one aggregate come one after the other."""

from __future__ import annotations

import asyncio
from collections import deque


class Turns:
    """A lock for each name in use, in the order of asking; a name that nobody uses takes no memory.

    It spares conflicts, it does not decide anything: other processes have turns of their own, and the log's primary
    key is what refuses.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def take(self, name: str) -> None:
        """Wait until it is the caller's turn."""
        waiting = self._waiting.get(name)
        if waiting is None:
            self._waiting[name] = deque()
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave(name)
            raise

    def leave(self, name: str) -> None:
        """Give the turn to the next one that still waits."""
        waiting = self._waiting[name]
        while waiting:
            turn = waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._waiting[name]
