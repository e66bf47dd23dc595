"""Events that carry prices, and events in memory as a log has them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from domain.base import Event, Recorded
from domain.portfolio import Portfolio, SharesBought, SharesMovedIn
from domain.prices import Price, PricesUploaded, PriceUpload, quotes, wins
from tests.projections.logs import opened

NOW = datetime(2025, 6, 21, 10, 0, tzinfo=UTC)
CONFUSABLE = ("A", "A.", "A:", "A-1", "A0", "AA", "a", "A_", "A.0000000000000000001", "B")
"""Ids that begin alike, and that sort on both sides of the sign between id and position."""


def hour(number: int) -> datetime:
    return NOW + timedelta(hours=number)


def uploaded(number: int, prices: Mapping[str, str], at: datetime = NOW) -> PricesUploaded:
    """The upload with this number; each has a stream of its own."""
    return PricesUploaded(
        originator_id=PriceUpload.stream(str(UUID(int=number))),
        originator_version=1,
        timestamp=at,
        originator_topic=PriceUpload.TOPIC,
        prices={name: Decimal(price) for name, price in prices.items()},
    )


def bought(version: int, name: str, price: str, at: datetime = NOW) -> SharesBought:
    """A trade of portfolio P, as event of this version; only its price matters here."""
    return SharesBought(**_shares(version, name, price, at), cash=Decimal(0))  # type: ignore[arg-type]


def moved_in(version: int, name: str, price: str, at: datetime = NOW) -> SharesMovedIn:
    return SharesMovedIn(**_shares(version, name, price, at))  # type: ignore[arg-type]


def _shares(version: int, name: str, price: str, at: datetime) -> dict[str, object]:
    return {
        "originator_id": Portfolio.stream("P"),
        "originator_version": version,
        "timestamp": at,
        "instrument_id": name,
        "quantity": Decimal(1),
        "price": Decimal(price),
        "amount": Decimal(price),
        "held": Decimal(version),
        "cost": Decimal(version),
    }


def random_quotes(seed: int, count: int, names: Iterable[str] = CONFUSABLE) -> list[Event]:
    """A log of uploads, trades and shares moved in, whose times often go back or are equal."""
    choose, known = random.Random(seed), list(names)
    events: list[Event] = [opened("P")]
    version = 1
    for number in range(count):
        at, price = hour(choose.randrange(6)), str(Decimal(choose.randrange(1, 10**6)).scaleb(-choose.randrange(5)))
        if choose.random() < 0.5:
            some = choose.sample(known, choose.randrange(1, min(5, len(known)) + 1))
            events.append(uploaded(seed * 10_000 + number, dict.fromkeys(some, price), at))
        else:
            version += 1
            name, given = choose.choice(known), choose.choice(("0", price))
            events.append(choose.choice((bought(version, name, price, at), moved_in(version, name, given, at))))
    return events


def recorded(events: Iterable[Event]) -> list[Recorded]:
    """Return the events as a log has them that begins with them."""
    return [
        Recorded(
            position=position,
            stream=event.originator_id,
            version=event.originator_version,
            event=event,
            recorded_at=NOW,
        )
        for position, event in enumerate(events, 1)
    ]


def known_after(events: Iterable[Event]) -> dict[str, Price]:
    """Return the prices that these events leave, told one by one."""
    known: dict[str, Price] = {}
    for event in events:
        for quote in quotes(event):
            if wins(quote, known.get(quote.instrument_id)):
                known[quote.instrument_id] = quote.price
    return known
