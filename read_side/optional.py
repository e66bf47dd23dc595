"""The connection to what the application can do without: who is silent is left alone for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import structlog

from read_side.tasks import end

C = TypeVar("C")
T = TypeVar("T")

log = structlog.get_logger(__name__)


class Breaker:
    """Keeps calls away from a server that does not answer, and lets one through after a growing pause.

    One that fails again within ``longest`` seconds after it came back, as a server does that is only starting, is left
    alone for twice as long as before: what tells that it is there is small, and what it is asked then is not.
    """

    def __init__(
        self, shortest: float = 0.1, longest: float = 5.0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._shortest, self._longest, self._clock = shortest, longest, clock
        self._pause = 0.0
        self._until = 0.0
        self._before = 0.0
        self._back_at = 0.0

    @property
    def closed(self) -> bool:
        """Whether the last call went well."""
        return not self._pause

    def due(self) -> bool:
        """Whether an open breaker may be tried; once for each pause."""
        if self._clock() < self._until:
            return False
        self._until = self._clock() + self._pause
        return True

    def failed(self) -> None:
        """Open, or stay open for longer."""
        now = self._clock()
        before = self._pause or (self._before if now < self._back_at + self._longest else 0.0)
        self._pause = min(max(before * 2, self._shortest), self._longest)
        self._until = now + self._pause

    def went_well(self) -> None:
        """Close."""
        if self._pause:
            self._before, self._back_at = self._pause, self._clock()
        self._pause = 0.0


class Link(Generic[C]):
    """A client and its breaker.

    ``touch`` asks the server something small, to see whether it is there; ``lost`` are the errors of a server that is
    not, whoever asks. ``name`` is what the log calls that which is lost with it.
    """

    def __init__(
        self,
        client: C,
        *,
        name: str,
        touch: Callable[[], Awaitable[Any]],
        close: Callable[[], Awaitable[None]],
        lost: tuple[type[Exception], ...],
        breaker: Breaker | None = None,
    ) -> None:
        self.client = client
        self._name, self._touch, self._close, self._lost = name, touch, close, lost
        self._breaker = breaker or Breaker()
        self._trial: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Close the connections."""
        await end(self._trial)
        await self._close()

    @property
    def reachable(self) -> bool:
        """Whether the server answered when it was last asked."""
        return self._breaker.closed

    async def greet(self) -> None:
        """Ask once, so that from the start it is known, and said, whether the server answers."""
        await self.ask(self._touch)

    async def ask(self, call: Callable[[], Awaitable[T]]) -> T | None:
        """Return the answer; None where there is none now. Nobody but the first waits for a server that is silent."""
        if not self._breaker.closed:
            if self._breaker.due() and (self._trial is None or self._trial.done()):
                self._trial = asyncio.create_task(self._try())
            return None
        try:
            return await call()
        except self._lost as error:
            if self._breaker.closed:
                log.warning("lost, reading the durable views instead", what=self._name, error=str(error))
            self._breaker.failed()
            return None

    async def _try(self) -> None:
        try:
            await self._touch()
        except self._lost:
            self._breaker.failed()
        else:
            self._breaker.went_well()
            log.info("back again", what=self._name)
