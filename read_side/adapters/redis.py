"""The hot copy in Redis or Valkey: rows of views stamped with a generation, and the checkpoint they include.

Redis may be killed, emptied, set back to an older snapshot or drop single keys at any time. What makes that harmless:
a row counts only if it carries the nonce of the checkpoint beside it; a checkpoint that is behind what is durable
begins a new nonce at the next page, so every row from before counts as missing; and who reads compares the checkpoint
with the durable one. The checkpoint names the log's epoch and the view's generation: another log
or build is another copy.
"""

from __future__ import annotations

import secrets
from typing import Any, cast

import msgspec
from redis.asyncio import Redis

from read_side.optional import Link
from read_side.signals import Signals
from read_side.store import HotRows, Page, R, Rows, View

_NONCE = 16  # hexadecimal digits before the bytes of every row
_DECODED = 32 * 1024 * 1024
"""Bytes of rows that stay decoded beside what they say: fifty positions take longer to decode than to send."""
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


class RedisHotCopy:
    """The hot copy behind ``read_side.store.HotCopy``; never raises, never answers with what may be too old."""

    def __init__(self, link: Link[Redis], signals: Signals) -> None:
        self._link, self._client, self._signals = link, link.client, signals
        self._save = link.client.register_script(_SAVE)
        self._refill = link.client.register_script(_REFILL)
        self._decoded: dict[str, tuple[bytes, Any]] = {}
        self._bytes = 0

    async def save_page(self, view: View[R], page: Page[R]) -> None:
        if view.hot is None or self._signals.epoch is None:
            return
        hot = view.hot
        keys = [_checkpoint_key(view), *(hot.format(key) for key in page.rows)]
        stamp: list[Any] = [self._signals.epoch.hex, page.expected.generation, page.expected.position, page.position]
        bodies = [b"" if row is None else view.encode(row) for row in page.rows.values()]
        await self._link.ask(lambda: self._save(keys, [*stamp, secrets.token_hex(_NONCE // 2), *bodies]))

    async def read(self, view: View[R], keys: list[str]) -> HotRows[R] | None:
        if view.hot is None or self._signals.epoch is None:
            return None
        hot = view.hot
        held: list[Any] | None = await self._link.ask(
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
                    rows[key] = self._row(view, key, fact)
                except msgspec.MsgspecError:
                    continue  # made by a program that knows another shape: as good as missing
        return HotRows(rows, int(position))

    def _row(self, view: View[R], key: str, fact: bytes) -> R:
        """Return the row of these bytes; the one of the last time where they are the same."""
        name = f"{view.name}/{key}"
        known = self._decoded.get(name)
        if known is not None and known[0] == fact:
            return cast(R, known[1])
        row = view.decode(memoryview(fact)[_NONCE:])
        self._bytes += len(fact) - (len(known[0]) if known is not None else 0)
        if self._bytes > _DECODED:
            self._decoded.clear()
            self._bytes = len(fact)
        self._decoded[name] = fact, row
        return row

    async def refill(self, view: View[R], rows: Rows[R]) -> None:
        if view.hot is None or self._signals.epoch is None:
            return
        hot = view.hot
        keys = [_checkpoint_key(view), *(hot.format(key) for key in rows.rows)]
        stamp: list[Any] = [self._signals.epoch.hex, rows.checkpoint.generation, rows.checkpoint.position]
        bodies = [view.encode(row) for row in rows.rows.values()]
        await self._link.ask(lambda: self._refill(keys, [*stamp, *bodies]))


def _checkpoint_key(view: View[Any]) -> str:
    return f"view:{view.name}:checkpoint"
