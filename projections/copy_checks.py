"""What operators do with search copies: compare one with its view, and have one made anew."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic

from domain.errors import Broken, NotFound, NotYet, Unavailable
from read_side.changes import BEGINNING, Changes
from read_side.copies import CopyCheckpoint, CopyDifference, CopyIndex, CopyIndexes, follower_of
from read_side.following import Followers
from read_side.lag import Lags
from read_side.store import R, View, ViewStore

_PIECE = 1_000
_SHOWN = 100
_TRIES = 20
"""A row that changes so often while it is compared is told as one that differs."""
_LOOK = 0.1
_STOPPED = 12.0
"""Seconds after which a copy that stands still will not go on by itself: it has tried again more than once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What a comparison has found: how many rows the view had, and the first hundred that the copy has otherwise."""

    copy: str
    rows: int
    seconds: float
    differences: list[CopyDifference]


async def verify_copy(
    view: View[R], changes: Changes, views: ViewStore, indexes: CopyIndexes, *, patience: float = 30.0
) -> Compared:
    """Compare every document of the copy with every row of the view, while both go on.

    What differs is looked at again, once the copy is where the view was, until it is as it should be or its document is
    of no later position. Raises ``NotFound`` without a copy, ``NotYet`` where it does not come there within so many
    seconds, ``StoreUnavailable`` and ``Broken``.
    """
    comparing = _Comparing(view, views, indexes, patience)
    started = time.monotonic()
    await comparing.live()
    rows, after = 0, BEGINNING
    while comparing.goes_on:
        changed = await changes.changes(view, after, _PIECE)
        kept = {place.key: row for place, row in changed.rows if row is not None}
        rows += len(kept)
        found = await indexes.compare(view, await comparing.live(), kept)
        await comparing.settle(each.key for each in found)
        if len(changed.rows) < _PIECE:
            break
        after = changed.rows[-1][0]
    key = ""
    while comparing.goes_on and (keys := await indexes.keys(view, await comparing.live(), key, _PIECE)):
        await comparing.settle(keys - (await views.get_many(view, keys)).rows.keys())
        key = keys[-1]
    seconds = time.monotonic() - started
    return Compared(copy=follower_of(view), rows=rows, seconds=seconds, differences=comparing.differences)


async def rebuild_copy(view: View[R], indexes: CopyIndexes, followers: Followers, lags: Lags) -> CopyCheckpoint:
    """Have the copy made anew beside the live one; return what it is once it is searched.

    Whoever leads the copy makes it. Raises ``NotFound`` where nobody ever has, ``Broken`` with what it says where it
    has stopped, ``Unavailable`` where nobody leads it.
    """
    name = follower_of(view)
    build = await followers.anew(name)
    stopped_since: float | None = None
    led = time.monotonic()
    while True:
        live = await indexes.live(view)
        if live is not None and live.checkpoint.build >= build:
            return live.checkpoint
        lag = next((each for each in await lags.lags() if each.view == name and each.stopped), None)
        if lag is None:
            stopped_since = None
        else:
            stopped_since = stopped_since or time.monotonic()
            if time.monotonic() - stopped_since > _STOPPED:
                raise Broken(f"{name} has stopped, and is made anew once it goes on: {lag.error}")
        if await followers.led(name):
            led = time.monotonic()
        elif time.monotonic() - led > _STOPPED:
            raise Unavailable(f"nobody keeps {name}: it is made anew once a projector with ELASTICSEARCH_URL runs")
        await asyncio.sleep(_LOOK)


@dataclass
class _Comparing(Generic[R]):
    """A comparison that goes on until a hundred rows differ."""

    view: View[R]
    views: ViewStore
    indexes: CopyIndexes
    patience: float
    differences: list[CopyDifference] = field(default_factory=list)

    @property
    def goes_on(self) -> bool:
        return len(self.differences) < _SHOWN

    async def live(self) -> CopyIndex:
        """Return the index that is searched now; raises ``NotFound``."""
        live = await self.indexes.live(self.view)
        if live is None:
            raise NotFound(f"view {self.view.name} has no copy that is searched: is anybody making it? see `views`")
        return live

    async def settle(self, keys: Iterable[str]) -> None:
        """Compare these rows until they are the same, or different for good."""
        different: list[CopyDifference] = []
        keys = list(keys)
        for _ in range(_TRIES):
            if not keys:
                return
            found = await self.views.get_many(self.view, keys)
            index = await self._at(found.checkpoint.position, found.checkpoint.generation)
            different = await self.indexes.compare(self.view, index, {key: found.rows.get(key) for key in keys})
            settled = [each for each in different if each.position <= found.checkpoint.position]
            self.differences += settled[: _SHOWN - len(self.differences)]
            different = [each for each in different if each.position > found.checkpoint.position]
            keys = [each.key for each in different]
        self.differences += different[: _SHOWN - len(self.differences)]

    async def _at(self, position: int, generation: int) -> CopyIndex:
        """Return the live index once it is the view at this position or above; raises ``NotYet``."""
        deadline = time.monotonic() + self.patience
        while True:
            index = await self.live()
            reached = index.checkpoint
            if reached.position >= position and reached.generation >= generation:
                return index
            if time.monotonic() > deadline:
                raise NotYet(follower_of(self.view), position, reached.position)
            await asyncio.sleep(_LOOK)
