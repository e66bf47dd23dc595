"""The hot copy in Redis or Valkey: rows of views stamped with a generation, and the checkpoint they include.

Redis may be killed, emptied, set back to an older snapshot or drop single keys at any time. What makes that harmless:
a row counts only if it carries the nonce of the checkpoint beside it; a checkpoint that is behind what is durable
begins a new nonce at the next page, so every row from before counts as missing; and who reads compares the checkpoint
with the durable one. The checkpoint names the log's epoch and the view's generation: another log
or build is another copy.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from read_side.signals import Signals
from read_side.store import HotRows, Page, R, Rows, View
from read_side.tasks import end

_NONCE = 16  # hexadecimal digits before the bytes of every row
_PARSE = r"""
local function checkpoint()
    local held = redis.call('GET', KEYS[1])
    if not held then return nil end
    local nonce, epoch, generation, position = held:match('^(%x+) (%S+) (%d+) (%d+)$')
    return nonce, epoch, tonumber(generation), tonumber(position)
end
"""
# ARGV: epoch, generation, expected, position, a new nonce, then a body for each row key ('' removes the row).
_SAVE = f"""{_PARSE}
local nonce, epoch, generation, at = checkpoint()
local ours, expected, position = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if epoch == ARGV[1] and generation > ours then return 0 end
local same = epoch == ARGV[1] and generation == ours
if same and at >= position then return 0 end
if not same or at < expected then nonce = ARGV[5] end
for i = 2, #KEYS do
    local body = ARGV[i + 4]
    if body == '' then redis.call('DEL', KEYS[i]) else redis.call('SET', KEYS[i], nonce .. body) end
end
redis.call('SET', KEYS[1], nonce .. ' ' .. ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. ARGV[4])
return 1
"""
# ARGV: epoch, generation, position the rows were read at, then a body for each row key. A copy that is further than the
# rows may already have dropped a newer one: it takes nothing.
_REFILL = f"""{_PARSE}
local nonce, epoch, generation, at = checkpoint()
if epoch ~= ARGV[1] or generation ~= tonumber(ARGV[2]) or at > tonumber(ARGV[3]) then return 0 end
for i = 2, #KEYS do
    if redis.call('GETRANGE', KEYS[i], 0, {_NONCE - 1}) ~= nonce then
        redis.call('SET', KEYS[i], nonce .. ARGV[i + 2])
    end
end
return 1
"""
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


class RedisHotCopy:
    """The hot copy behind ``read_side.store.HotCopy``; never raises, never answers with what may be too old."""

    def __init__(self, client: Redis, signals: Signals, *, breaker: Breaker | None = None) -> None:
        self._client = client
        self._signals = signals
        self._breaker = breaker or Breaker()
        self._save = client.register_script(_SAVE)
        self._refill = client.register_script(_REFILL)
        self._trial: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Close the connections."""
        await end(self._trial)
        await self._client.aclose()

    @property
    def reachable(self) -> bool:
        """Whether Redis answered when it was last asked."""
        return self._breaker.closed

    async def greet(self) -> None:
        """Ask once, so that from the start it is known, and said, whether Redis answers."""
        await self._ask(lambda: self._client.mget(["view:any:checkpoint"]))

    async def save_page(self, view: View[R], page: Page[R]) -> None:
        if view.hot is None or self._signals.epoch is None:
            return
        hot = view.hot
        keys = [_checkpoint_key(view), *(hot.format(key) for key in page.rows)]
        stamp: list[Any] = [self._signals.epoch.hex, page.expected.generation, page.expected.position, page.position]
        bodies = [b"" if row is None else view.encode(row) for row in page.rows.values()]
        await self._ask(lambda: self._save(keys, [*stamp, secrets.token_hex(_NONCE // 2), *bodies]))

    async def read(self, view: View[R], keys: list[str]) -> HotRows[R] | None:
        if view.hot is None or self._signals.epoch is None:
            return None
        hot = view.hot
        held: list[Any] | None = await self._ask(
            lambda: self._client.mget([_checkpoint_key(view), *map(hot.format, keys)])
        )
        if held is None or held[0] is None:
            return None
        nonce, epoch, generation, position = held[0].split(b" ")
        known = self._signals.checkpoint(view.name)
        if epoch.decode() != self._signals.epoch.hex or int(generation) < known.generation:
            return None
        rows = {}
        for key, fact in zip(keys, held[1:], strict=True):
            if fact is not None and fact.startswith(nonce):
                try:
                    rows[key] = view.decode(memoryview(fact)[_NONCE:])
                except msgspec.MsgspecError:
                    continue  # made by a program that knows another shape: as good as missing
        return HotRows(rows, int(position))

    async def refill(self, view: View[R], rows: Rows[R]) -> None:
        if view.hot is None or self._signals.epoch is None:
            return
        hot = view.hot
        keys = [_checkpoint_key(view), *(hot.format(key) for key in rows.rows)]
        stamp: list[Any] = [self._signals.epoch.hex, rows.checkpoint.generation, rows.checkpoint.position]
        bodies = [view.encode(row) for row in rows.rows.values()]
        await self._ask(lambda: self._refill(keys, [*stamp, *bodies]))

    async def _ask(self, call: Callable[[], Awaitable[T]]) -> T | None:
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
            await self._client.mget(["view:any:checkpoint"])
        except (RedisError, OSError, TimeoutError):
            self._breaker.failed()
        else:
            self._breaker.went_well()
            log.info("hot copy is back")


def _checkpoint_key(view: View[Any]) -> str:
    return f"view:{view.name}:checkpoint"
