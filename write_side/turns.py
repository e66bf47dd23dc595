"""Who may decide on a stream now: commands of one process on one aggregate come one after the other."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from domain.errors import Overloaded

MOST = 1_000
"""So many commands may wait for one name."""


class Turns:
    """A lock for each name in use, in the order of asking; a name that nobody uses takes no memory.

    It spares conflicts, it does not decide anything: other processes have turns of their own, and the log's primary
    key is what refuses.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def take(self, name: str, *, until: float) -> None:
        """Wait until it is the caller's turn, at the latest until this time of the monotonic clock.

        Raises ``Overloaded`` when it is over, and at once when too many wait already.
        """
        waiting = self._waiting.get(name)
        if waiting is None:
            self._waiting[name] = deque()
            return
        if len(waiting) >= MOST:
            raise Overloaded(f"{len(waiting)} commands wait for {name}, at most {MOST} may")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        try:
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.leave(name)
            turn.cancel()
            if isinstance(error, TimeoutError):
                raise Overloaded(f"the commands before this one on {name} took too long") from None
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
