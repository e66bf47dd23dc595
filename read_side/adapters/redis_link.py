"""The connection to Redis or Valkey that everything optional shares: who is silent is left alone for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from read_side.tasks import end

T = TypeVar("T")

log = structlog.get_logger(__name__)


def connect(redis_url: str, *, timeout: float = 0.25) -> Redis:
    """Return a client that gives up soon and leaves trying again to the breaker; nothing is sent yet."""
    return Redis.from_url(
        redis_url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0), protocol=2
    )


class Breaker:
    """Keeps calls away from a server that does not answer, and lets one through after a growing pause."""

    def __init__(
        self, shortest: float = 0.1, longest: float = 5.0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._shortest, self._longest, self._clock = shortest, longest, clock
        self._pause = 0.0
        self._until = 0.0

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
        self._pause = min(max(self._pause * 2, self._shortest), self._longest)
        self._until = self._clock() + self._pause

    def went_well(self) -> None:
        """Close."""
        self._pause = 0.0


class Link:
    """A client and its breaker."""

    def __init__(self, client: Redis, *, breaker: Breaker | None = None) -> None:
        self.client = client
        self._breaker = breaker or Breaker()
        self._trial: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Close the connections."""
        await end(self._trial)
        await self.client.aclose()

    @property
    def reachable(self) -> bool:
        """Whether Redis answered when it was last asked."""
        return self._breaker.closed

    async def greet(self) -> None:
        """Ask once, so that from the start it is known, and said, whether Redis answers."""
        await self.ask(self._touch)

    async def ask(self, call: Callable[[], Awaitable[T]]) -> T | None:
        """Return the answer; None where there is none now. Nobody but the first waits for a server that is silent."""
        if not self._breaker.closed:
            if self._breaker.due() and (self._trial is None or self._trial.done()):
                self._trial = asyncio.create_task(self._try())
            return None
        try:
            return await call()
        except (RedisError, OSError, TimeoutError) as error:
            if self._breaker.closed:
                log.warning("hot copy lost, reading the durable views instead", error=str(error))
            self._breaker.failed()
            return None

    async def _try(self) -> None:
        try:
            await self._touch()
        except (RedisError, OSError, TimeoutError):
            self._breaker.failed()
        else:
            self._breaker.went_well()
            log.info("hot copy is back")

    async def _touch(self) -> None:
        await self.client.mget(["view:any:checkpoint"])
