"""The daily series of one portfolio by the text of the contract, in fractions, from the whole list of events.

Nothing is kept of the past but the events themselves: days with their flows and closes come out, and what returns they
have is worked out from the whole list by ``tests.domain.series_model``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction

from domain.base import Event
from domain.portfolio import (
    CashDeposited,
    CashWithdrawn,
    DividendReceived,
    FeeCharged,
    Portfolio,
    PortfolioOpened,
    SharesBought,
    SharesCovered,
    SharesMovedIn,
    SharesMovedOut,
    SharesSold,
    SharesSoldShort,
    StatusChanged,
)
from domain.prices import PricesUploaded
from tests.domain.series_model import Day

TRADES = (SharesBought, SharesSold, SharesSoldShort, SharesCovered)
MORE = (SharesBought, SharesCovered, SharesMovedIn)
OF_SHARES = (*TRADES, SharesMovedIn, SharesMovedOut)


@dataclass
class Series:
    """One portfolio in its market, after some events."""

    portfolio_id: str
    cash: Fraction = Fraction()
    held: dict[str, Fraction] = field(default_factory=dict)
    price: dict[str, Fraction] = field(default_factory=dict)
    as_of: dict[str, datetime] = field(default_factory=dict)
    clock: datetime | None = None
    opened: datetime | None = None
    closed: list[Day] = field(default_factory=list)
    flows: list[tuple[Fraction, Fraction]] = field(default_factory=list)
    realized: Fraction = Fraction()
    income: Fraction = Fraction()
    fees: Fraction = Fraction()

    @property
    def worth(self) -> Fraction:
        return sum((size * self.price.get(name, 0) for name, size in self.held.items()), self.cash)

    @property
    def days(self) -> list[Day]:
        """The days in order, the open one as it is now the last; none before the first update."""
        if self.clock is None:
            return []
        return [*self.closed, Day(self.clock.date(), self.worth, tuple(self.flows))]

    def take(self, event: Event) -> None:
        """Let it happen: first the day ends if this is the first of a later one, then what flows is valued before."""
        own = event.originator_id == Portfolio.stream(self.portfolio_id)
        news = self._news(event)
        size = self._size(event) if own else Fraction()
        if own and isinstance(event, PortfolioOpened):
            self.opened = event.timestamp
        elif own or self.opened is not None:
            self._move_clock(event, news, own=own)
        if own:
            flow = self._flow(event, news, size)
            if flow is not None:
                self.flows.append((self.worth, flow))
            self._book(event, size)
        for name, price, as_of in news:
            self.price[name], self.as_of[name] = price, as_of

    def _news(self, event: Event) -> list[tuple[str, Fraction, datetime]]:
        """Return the prices that the event brings: the later one counts, of equals the one recorded later."""
        at, carried = event.timestamp, dict[str, Fraction]()
        if isinstance(event, PricesUploaded):
            carried = {name: Fraction(price) for name, price in event.prices.items()}
        elif isinstance(event, TRADES) or self._is_first(event):
            carried = {event.instrument_id: Fraction(event.price)}  # type: ignore[attr-defined]
        return [(name, price, at) for name, price in carried.items() if at >= self.as_of.get(name, at)]

    def _is_first(self, event: Event) -> bool:
        return isinstance(event, SharesMovedIn) and event.instrument_id not in self.price and event.price > 0

    @staticmethod
    def _size(event: Event) -> Fraction:
        if not isinstance(event, OF_SHARES):
            return Fraction()
        return Fraction(event.quantity) * (1 if isinstance(event, MORE) else -1)

    def _move_clock(self, event: Event, news: Sequence[tuple[str, Fraction, datetime]], *, own: bool) -> None:
        """The clock is the latest of the times of updates, and of the prices of what is held before and after."""
        times = [] if self.clock is None else [self.clock]
        holds = {name for name, size in self.held.items() if size}
        if own and not isinstance(event, StatusChanged):
            times.append(event.timestamp)
            holds |= {event.instrument_id} if isinstance(event, OF_SHARES) else set()
        known = self.as_of | {name: as_of for name, _, as_of in news}
        times += [known[name] for name in holds if name in known]
        if not times:
            return
        if self.clock is not None and max(times).date() > self.clock.date():
            self.closed.append(Day(self.clock.date(), self.worth, tuple(self.flows)))
            self.flows = []
        self.clock = max(times)

    def _flow(self, event: Event, news: Sequence[tuple[str, Fraction, datetime]], size: Fraction) -> Fraction | None:
        match event:
            case PortfolioOpened(cash=cash):
                return Fraction(cash) if cash else None
            case CashDeposited(amount=amount):
                return Fraction(amount)
            case CashWithdrawn(amount=amount):
                return -Fraction(amount)
            case SharesMovedIn() | SharesMovedOut():
                known = self.price | {name: price for name, price, _ in news}
                return size * known.get(event.instrument_id, 0)
            case _:
                return None

    def _book(self, event: Event, size: Fraction) -> None:
        match event:
            case PortfolioOpened(cash=cash):
                self.cash = Fraction(cash)
            case CashDeposited(amount=amount):
                self.cash += Fraction(amount)
            case CashWithdrawn(amount=amount):
                self.cash -= Fraction(amount)
            case FeeCharged(amount=amount):
                self.cash -= Fraction(amount)
                self.fees += Fraction(amount)
            case DividendReceived(quantity=quantity, price=price):
                self.cash += Fraction(quantity) * Fraction(price)
                self.income += Fraction(quantity) * Fraction(price)
            case SharesBought() | SharesSold() | SharesSoldShort() | SharesCovered():
                self.cash -= size * Fraction(event.price)
            case _:
                pass
        if isinstance(event, SharesSold | SharesCovered):
            self.realized += Fraction(event.realized)
        if isinstance(event, OF_SHARES):
            self.held[event.instrument_id] = self.held.get(event.instrument_id, Fraction()) + size
            if not self.held[event.instrument_id]:
                del self.held[event.instrument_id]


def series_of(portfolio_id: str, events: Sequence[Event]) -> Series:
    series = Series(portfolio_id)
    for event in events:
        series.take(event)
    return series
