"""The latest price of every instrument, in memory: loaded from the view of prices, then kept up with the log."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import structlog

from domain.base import Event
from domain.errors import Broken, FoliologError, NotYet
from domain.prices import QUOTING, Price, Quote, quotes, wins
from read_side.coalesce import Coalescer
from read_side.history import History
from read_side.prices import PRICES, Prices
from read_side.signals import Signals
from read_side.tasks import end

_PAGE = 2_000
_LULL = 0.025
"""Seconds between two looks at the log while nobody waits for it."""
_PAUSE = 0.5

log = structlog.get_logger(__name__)


class PriceTable:
    """Prices as the log has them up to ``position``.

    Commands of this process tell their events right away (``heard``); what others append is read from the log, at
    once where somebody waits for it.
    """

    def __init__(self, history: History, prices: Prices, signals: Signals) -> None:
        self._history, self._prices, self._signals = history, prices, signals
        self._book: dict[str, Price] = {}
        self._recorded: dict[str, int] = {}
        self._position = 0
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._wanted = asyncio.Event()
        self._heads: Coalescer[None, int] = Coalescer(self._head)
        self._forgotten = self._generation = 0
        self._task: asyncio.Task[None] | None = None
        self.error: str | None = None
        """Why prices are not followed; None while they are."""

    @property
    def book(self) -> Mapping[str, Price]:
        """The price of each instrument that has one; it moves on by itself."""
        return self._book

    @property
    def position(self) -> int:
        """The log position up to which every price is known."""
        return self._position

    def newest(self, instruments: Iterable[str]) -> int:
        """Return the log position of the newest price among these instruments; 0 where none has one."""
        recorded = self._recorded
        return max([recorded[each] for each in instruments if each in recorded], default=0)

    async def start(self) -> None:
        """Load, and begin to follow."""
        await self._load()
        self._task = asyncio.create_task(self._run(), name="prices")

    async def close(self) -> None:
        """Stop following."""
        await end(self._task)

    async def reach(self, position: int, wait: float) -> None:
        """Return once every price up to this log position is known; raises ``NotYet`` after ``wait`` seconds."""
        if self._position >= position:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiters, (position, next(self._order), future))
        self._wanted.set()
        try:
            async with asyncio.timeout(max(wait, 0)):
                await future
        except TimeoutError:
            raise NotYet(PRICES.name, position, self._position) from None

    def heard(self, base: int, events: Sequence[Event]) -> None:
        """Take the events that this process has appended right after ``base``; of no use where others came between."""
        if base == self._position:
            for position, event in enumerate(events, base + 1):
                self._take(position, event)
            self._reached(base + len(events))

    async def catch_up(self, wait: float) -> None:
        """Return once every price recorded before this call is known; raises ``NotYet`` after ``wait`` seconds."""
        await self.reach(await self._heads.get(None) or 0, wait)

    def forget(self) -> None:
        """Begin anew: the log may have been set back."""
        self._position = -1
        self._forgotten += 1

    async def _load(self) -> None:
        forgotten, self._generation = self._forgotten, self._signals.checkpoint(PRICES.name).generation
        try:
            known, position = await self._prices.latest()
        except Broken as error:
            log.warning("prices are read from the whole log", because=str(error))
            known, position = {}, 0
        self._book = {instrument_id: Price(row.price, row.as_of) for instrument_id, row in known.items()}
        self._recorded = {instrument_id: row.recorded for instrument_id, row in known.items()}
        if forgotten == self._forgotten:
            self._reached(position)

    async def _run(self) -> None:
        while True:
            try:
                if self._position < 0:
                    await self._load()
                self.error = None
                await self._follow()
            except FoliologError as error:
                self.error = str(error)
                log.warning("prices not followed", position=self._position, error=self.error)
            except Exception as error:  # a defect of ours: told here and by /readyz, and tried again
                self.error = f"{type(error).__name__}: {error}"
                log.exception("prices not followed", position=self._position)
            await asyncio.sleep(_PAUSE if self.error else 0)

    async def _follow(self) -> None:
        while self._position >= 0:
            if self._signals.checkpoint(PRICES.name).generation > self._generation > 0:
                self.forget()  # the view was made anew, perhaps by a corrected program
                return
            if not self._wanted.is_set() and not await self._signals.wait_for_head(self._position + 1, _PAUSE):
                continue
            await self._lull()
            self._wanted.clear()
            if self._signals.head <= self._position and not self._waiters:
                continue  # what came was of this process, and heard
            while self._position >= 0 and await self._take_page():
                pass
            self._waiters = sorted(waiter for waiter in self._waiters if not waiter[2].done())
            if self._waiters:
                await self._signals.wait_for_head(self._position + 1, _LULL)
                self._wanted.set()

    async def _head(self, keys: list[None]) -> Mapping[None, int]:
        head = await self._history.head()
        return dict.fromkeys(keys, head)

    async def _lull(self) -> None:
        """Let the log grow a little, unless somebody waits."""
        try:
            async with asyncio.timeout(_LULL):
                await self._wanted.wait()
        except TimeoutError:
            return

    async def _take_page(self) -> bool:
        """Take the next events; return whether there were any."""
        try:
            page = await self._history.page(self._position, _PAGE)
        except Broken as error:
            if error.position is None or self._signals.checkpoint(PRICES.name).position < error.position:
                raise
            self._reached(error.position)  # an operator has let the view pass over it, and the view decides
            return True
        for recorded in page:
            if recorded.position > self._position >= 0:
                self._take(recorded.position, recorded.event)
                self._reached(recorded.position)
        return bool(page)

    def _take(self, position: int, event: Event) -> None:
        if type(event) in QUOTING:
            for quote in quotes(event):
                self._quote(position, quote)

    def _quote(self, position: int, quote: Quote) -> None:
        name = quote.instrument_id
        if position > self._recorded.get(name, 0) and wins(quote, self._book.get(name)):
            self._book[name] = quote.price
            self._recorded[name] = position

    def _reached(self, position: int) -> None:
        self._position = position
        waiters: list[Any] = self._waiters
        while waiters and (waiters[0][0] <= position or waiters[0][2].done()):
            future = heapq.heappop(waiters)[2]
            if not future.done():
                future.set_result(None)
