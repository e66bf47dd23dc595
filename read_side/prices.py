"""The view of prices: the latest of each instrument and all it had before, and what can be asked of it (seed 004)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Literal

from domain.errors import Fault, Invalid
from domain.prices import Price
from read_side.lookup import settled
from read_side.signals import Signals
from read_side.store import Found, Kind, Row, Rows, Search, SearchableViewStore, View
from read_side.wire import encode, moment, number

_PAGE = 1_000
_AT_ONCE = 8
"""So many look-ups of one question run at the same time: as many as there are connections to read with."""


class PriceRow(Row, frozen=True, kw_only=True, gc=False):
    """A price that won when it was recorded: the latest of its instrument, or one that another has superseded.

    The latest stands under the id of the instrument, a past one under ``past_key``. ``recorded`` is the log position
    of the event that brought it; ``position``, as in every row, that of the event that changed the row last, which for
    a past price is the one that superseded it. ``listed`` is ``recorded`` while it is the latest and else None, so
    that an index over it leads through the latest prices alone.
    """

    key: str
    instrument_id: str
    price: Decimal
    as_of: datetime
    recorded: int
    state: Literal["latest", "past"]
    listed: int | None


PRICES = View(
    name="prices",
    row=PriceRow,
    key="key",
    fields={"instrument_id": Kind.KEYWORD, "listed": Kind.POSITION},
    rest=0.1,
)

_LATEST = {"listed": (0, None)}


def past_key(instrument_id: str, recorded: int) -> str:
    """Return the key of a superseded price; keys of one instrument sort by the position that brought the price."""
    return f"{instrument_id}@{recorded:019d}"


class Prices:
    """The queries on prices.

    ``at_least`` is the log position the answer must include, ``wait`` how many seconds to wait for it; each raises
    ``NotYet`` when the view is still behind then, and ``StoreUnavailable``.
    """

    def __init__(self, store: SearchableViewStore, signals: Signals) -> None:
        self._store = store
        self._signals = signals

    async def list_latest(
        self,
        *,
        limit: int = 50,
        cursor: str | None = None,
        at_least: int = 0,
        wait: float = 2.0,
        instrument_id: str | None = None,
    ) -> Found[PriceRow]:
        """Return the latest prices, the last recorded first; of one instrument where it is named.

        Raises ``Invalid`` for a cursor that no such page gave.
        """
        if instrument_id is not None:
            if cursor is not None:
                raise Invalid(Fault("cursor", "is of another list: that of one instrument has one page"))
            read = await self._get((instrument_id,), at_least, wait)
            return Found(list(read.rows.values()), None, read.checkpoint)
        return await self._search(Search(between=_LATEST, sort="-listed", limit=limit, cursor=cursor), at_least, wait)

    async def latest(self) -> tuple[dict[str, PriceRow], int]:
        """Return the latest price of every instrument, and the log position from which to follow.

        The pages are read in the order in which prices were recorded, so a price that moves on meanwhile goes to the
        end and is met there: every instrument known at the first page is found, as of that page or later. The position
        is the lowest checkpoint of the pages, the first one's: a follower from a higher one would miss what came
        between for rows read before. From this one it meets some events that are in the rows already; those lose under
        ``domain.prices.wins``, except that of two with the same ``as_of`` the earlier would come back for a moment. So
        a follower passes over an event at or before the row's ``recorded``.
        """
        while True:
            found = await self._search(Search(between=_LATEST, sort="listed", limit=_PAGE), 0, 0)
            lowest = reached = found.checkpoint.position
            rows = {row.instrument_id: row for row in found.rows}
            while found.next is not None:
                search = Search(between=_LATEST, sort="listed", limit=_PAGE, cursor=found.next)
                found = await self._search(search, 0, 0)
                if found.checkpoint.position < reached:
                    break  # a crash of the database took the view back: what was passed may be there again
                reached = found.checkpoint.position
                rows |= {row.instrument_id: row for row in found.rows}
            else:
                return rows, lowest

    async def at(self, instruments: Iterable[str], position: int, *, wait: float = 2.0) -> dict[str, Price]:
        """Return the prices known at this log position; an instrument that had none is missing."""
        deadline = time.monotonic() + wait
        wanted = set(instruments)
        read = await self._get(wanted, position, wait)
        known = {name: row for name, row in read.rows.items() if row.recorded <= position}
        turns = asyncio.Semaphore(_AT_ONCE)

        async def before(instrument_id: str) -> list[PriceRow]:
            search = Search(
                equals={"instrument_id": instrument_id},
                key_below=past_key(instrument_id, position + 1),
                sort="-instrument_id",
                limit=1,
            )
            async with turns:
                found = await self._search(search, position, deadline - time.monotonic())
            return found.rows

        # The plain key sorts before all past ones, so the latest price is found where there is no past one early
        # enough: it is then too new. An instrument without a latest price never had one.
        later = [name for name in read.rows if name not in known]
        for rows in await asyncio.gather(*map(before, later)):
            known.update((row.instrument_id, row) for row in rows if row.recorded <= position)
        return {name: Price(row.price, row.as_of) for name, row in known.items()}

    async def _get(self, instruments: Iterable[str], at_least: int, wait: float) -> Rows[PriceRow]:
        keys = list(instruments)

        async def ask() -> Rows[PriceRow]:
            return await self._store.get_many(PRICES, keys)

        return await settled(ask, PRICES, self._store, self._signals, at_least=at_least, wait=wait)

    async def _search(self, search: Search, at_least: int, wait: float) -> Found[PriceRow]:
        async def ask() -> Found[PriceRow]:
            return await self._store.search(PRICES, search)

        return await settled(ask, PRICES, self._store, self._signals, at_least=at_least, wait=wait)


def upload_json(as_of: datetime, count: int) -> bytes:
    """Return what an upload of prices is answered with, without its position."""
    return encode({"as_of": moment(as_of), "count": count})


def list_json(rows: Iterable[PriceRow], cursor: str | None) -> bytes:
    """Return a page of prices as a list of ours: ``{"items": [...], "next": cursor or null}``."""
    items = [
        {"instrument_id": row.instrument_id, "price": number(row.price), "as_of": moment(row.as_of)} for row in rows
    ]
    return encode({"items": items, "next": cursor})
