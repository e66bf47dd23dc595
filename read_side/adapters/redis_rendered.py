"""Rendered bytes in Redis or Valkey under the keys of seed 004, each with its stamp in a key beside it.

``portfolio:{id}:state`` holds nothing but the JSON, for whoever looks; ``portfolio:{id}:state:stamp`` says what it was
made of: the log, the builds of the views and the program, then the portfolio's version and the newest price's position.
Both are written and read together, and nothing replaces a younger one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from redis.asyncio import Redis

from read_side.coalesce import Coalescer
from read_side.optional import Link
from read_side.rendered import LIFETIMES, Rendered, Stamp
from read_side.rendering import RENDERING
from read_side.tasks import end

_AT_ONCE = 50
"""So many are written by one call: half a megabyte."""
_REST = 0.5
"""Seconds between two rounds of writing: what is rendered again and again is written once."""
# KEYS: key and stamp key of each; ARGV: body, stamp and lifetime of each. Stamps of the same making sort by age.
_PUT = """
for i = 1, #KEYS, 2 do
    local n = (i - 1) / 2 * 3
    local held = redis.call('GET', KEYS[i + 1])
    local made = ARGV[n + 2]:match('^%S+')
    local whole = held and redis.call('EXISTS', KEYS[i]) == 1
    if not whole or held:match('^%S+') ~= made or held < ARGV[n + 2] then
        redis.call('SET', KEYS[i], ARGV[n + 1], 'EX', ARGV[n + 3])
        redis.call('SET', KEYS[i + 1], ARGV[n + 2], 'EX', ARGV[n + 3])
    end
end
return 1
"""


class RedisRendered:
    """Rendered bytes behind ``read_side.rendered.RenderedCopy``; never raises, and writes in the background.

    ``settings`` is whatever of the program's settings changes the bytes.
    """

    def __init__(self, link: Link[Redis], *, settings: str = "", clock: Callable[[], float] = time.time) -> None:
        self._link, self._clock = link, clock
        self._program = f"/{RENDERING}/{settings}"
        self._put = link.client.register_script(_PUT)
        self._reads: Coalescer[tuple[str, str], Rendered] = Coalescer(self._read)
        self._waiting: dict[tuple[str, str], Rendered] = {}
        self._writer: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Write no more."""
        await end(self._writer)

    async def get(self, what: str, portfolio_id: str) -> Rendered | None:
        return await self._reads.get((what, portfolio_id))

    def put(self, what: str, portfolio_id: str, rendered: Rendered) -> None:
        self._waiting[what, portfolio_id] = rendered
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())

    async def _read(self, names: list[tuple[str, str]]) -> Mapping[tuple[str, str], Rendered]:
        keys = [key for name in names for key in _keys(*name)]
        held: list[Any] | None = await self._link.ask(lambda: self._link.client.mget(keys))
        found = {}
        for index, name in enumerate(names if held is not None else ()):
            body, stamp = held[2 * index : 2 * index + 2]  # type: ignore[index]
            made, _, rest = (stamp or b"").decode(errors="replace").partition(" ")
            if body is not None and made.endswith(self._program):
                version, price = rest.split(" ")
                found[name] = Rendered(body, Stamp(int(version), int(price), made.removesuffix(self._program)))
        return found

    async def _write(self) -> None:
        while self._waiting:
            names = list(self._waiting)[:_AT_ONCE]
            chosen = {name: self._waiting.pop(name) for name in names}
            keys = [key for name in chosen for key in _keys(*name)]
            now = self._clock()
            arguments: list[Any] = []
            for (what, _), (body, stamp) in chosen.items():
                text = f"{stamp.build}{self._program} {stamp.version:019d} {stamp.price:019d}"
                arguments += [body, text, LIFETIMES[what].at(now)]
            await self._link.ask(lambda keys=keys, arguments=arguments: self._put(keys, arguments))  # type: ignore[misc]
            if not self._waiting:
                await asyncio.sleep(_REST)


def _keys(what: str, portfolio_id: str) -> tuple[str, str]:
    key = f"portfolio:{portfolio_id}:{what}"
    return key, f"{key}:stamp"
