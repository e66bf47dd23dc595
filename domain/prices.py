"""Prices: uploads, the prices that trades are, and which of two prices counts (seed 004, contract "Prices")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, Protocol, Self
from uuid import UUID

import msgspec

from domain.base import Aggregate, Created, Event
from domain.errors import Fault, Invalid
from domain.portfolio.events import SharesBought, SharesCovered, SharesMovedIn, SharesSold, SharesSoldShort
from domain.portfolio.rules import wrong_instrument_id, wrong_time
from domain.values import outside_bounds, plain

MAX_PRICES = 10_000
"""So many prices one upload may have."""


class Price(msgspec.Struct, frozen=True, gc=False):
    """What one share is worth, and the time from which that is so."""

    price: Decimal
    as_of: datetime


class Quote(NamedTuple):
    """A price that an event carries; with ``first_only`` it counts only where no price is known."""

    instrument_id: str
    price: Price
    first_only: bool = False


class Book(Protocol):
    """The price of each instrument that has one; any mapping is one."""

    def get(self, instrument_id: str, /) -> Price | None:
        """Return the price of the instrument, None where there is none."""


class PricesUploaded(Created):
    """Prices were given, all as of ``timestamp``."""

    TOPIC = "prices.uploaded.v1"
    prices: dict[str, Decimal]


class PriceUpload(Aggregate):
    """One upload of prices: a stream of one event, named by the id of the command that brought it."""

    TOPIC = "prices"
    CACHED = False

    prices: dict[str, Decimal]

    @classmethod
    def of(cls, upload_id: UUID, prices: Mapping[str, Decimal], as_of: datetime, *, now: datetime) -> Self:
        """Return the upload; ``as_of`` is at most five minutes ahead. Raises ``Invalid`` naming every fault."""
        faults = [Fault("/prices", wrong)] if (wrong := wrong_count(len(prices))) else []
        for instrument_id, price in prices.items():
            if wrong := wrong_instrument_id(instrument_id) or wrong_quoted_price(price):
                step = instrument_id.replace("~", "~0").replace("/", "~1")
                faults.append(Fault(f"/prices/{step}", wrong))
        if wrong := wrong_time(as_of, now):
            faults.append(Fault("/as_of", wrong))
        if faults:
            raise Invalid(*faults)
        return cls._create(PricesUploaded, id=cls.stream(str(upload_id)), timestamp=as_of, prices=dict(prices))

    def evolve(self, event: PricesUploaded) -> None:
        self.prices = event.prices


def wrong_count(prices: int) -> str | None:
    """Return what is wrong with the number of prices of an upload, or None."""
    return None if 1 <= prices <= MAX_PRICES else f"has {prices} prices, 1 to {MAX_PRICES} are taken"


def wrong_quoted_price(price: Decimal) -> str | None:
    """Return what is wrong with a price, or None."""
    return f"{plain(price)} is not positive" if price <= 0 else outside_bounds(price)


QUOTING: frozenset[type[Event]] = frozenset(
    {PricesUploaded, SharesBought, SharesSold, SharesSoldShort, SharesCovered, SharesMovedIn}
)
"""The events that carry prices."""


def quotes(event: Event) -> Sequence[Quote]:
    """Return the prices that an event carries: an upload's, a trade's; and of shares moved in a first one."""
    match event:
        case PricesUploaded(prices=prices, timestamp=at):
            return [Quote(instrument_id, Price(price, at)) for instrument_id, price in prices.items()]
        case SharesBought() | SharesSold() | SharesSoldShort() | SharesCovered():
            return (Quote(event.instrument_id, Price(event.price, event.timestamp)),)
        case SharesMovedIn(price=price) if price:
            return (Quote(event.instrument_id, Price(price, event.timestamp), first_only=True),)
        case _:
            return ()


def wins(quote: Quote, known: Price | None) -> bool:
    """Whether a price recorded now takes the place of the one known: the later ``as_of``, if equal the later one."""
    return known is None or not (quote.first_only or quote.price.as_of < known.as_of)


class Overlay:
    """A few prices over a book."""

    __slots__ = ("_book", "_news")

    def __init__(self, news: Mapping[str, Price], book: Book) -> None:
        self._news, self._book = news, book

    def get(self, instrument_id: str, /) -> Price | None:
        """Return the price of the instrument, None where there is none."""
        return self._news.get(instrument_id) or self._book.get(instrument_id)


def with_quotes(book: Book, events: Sequence[Event]) -> Book:
    """Return the book as these events, recorded after all it knows, leave it; the one given stays as it is."""
    news: dict[str, Price] = {}
    for event in events:
        for quote in quotes(event):
            if wins(quote, news.get(quote.instrument_id) or book.get(quote.instrument_id)):
                news[quote.instrument_id] = quote.price
    return Overlay(news, book) if news else book
