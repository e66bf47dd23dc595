"""The connection to Redis or Valkey that the hot copies share: who is silent is left alone for a while."""

from __future__ import annotations

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from read_side.optional import Breaker, Link


def connect(redis_url: str, *, timeout: float = 0.25) -> Redis:
    """Return a client that gives up soon and leaves trying again to the breaker; nothing is sent yet."""
    return Redis.from_url(
        redis_url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0), protocol=2
    )


def guarded(client: Redis, *, breaker: Breaker | None = None) -> Link[Redis]:
    """Return the client with a breaker before it."""
    return Link(
        client,
        name="hot copy",
        touch=lambda: client.mget(["view:any:checkpoint"]),
        close=client.aclose,
        lost=(RedisError, OSError, TimeoutError),
        breaker=breaker,
    )
