"""The view of returns: daily series of every portfolio with what they are measured from, under one checkpoint.

Its rows are of four kinds. Days are closed at the prices before the first event of a later day, so the prices are in
the view itself, and who holds an instrument is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from domain.prices import Price
from domain.returns import Closed, Returns
from read_side.lookup import settled
from read_side.portfolio import PortfolioRow
from read_side.rendered import Stamp
from read_side.signals import Signals
from read_side.store import Checkpoint, Row, Rows, View, ViewStore


class PortfolioReturns(Row, frozen=True, kw_only=True, gc=False, tag="portfolio"):
    """A portfolio's facts with its returns.

    ``clock`` is the time up to which its own updates, and the prices that were gone with a position or began a day,
    have brought it: its date is the open day. None until the first update. ``months`` are those that have closed days.
    """

    facts: PortfolioRow
    clock: datetime | None = None
    months: tuple[str, ...] = ()
    returns: Returns = Returns()


class ClosedDays(Row, frozen=True, kw_only=True, gc=False, tag="days"):
    """The closed days of one month of one portfolio, in order."""

    days: tuple[Closed, ...]


class LastPrice(Row, frozen=True, kw_only=True, gc=False, tag="price"):
    """The price of an instrument."""

    price: Price


class Holders(Row, frozen=True, kw_only=True, gc=False, tag="holders"):
    """The portfolios that hold an instrument, in the order in which they came to."""

    portfolio_ids: tuple[str, ...]


ReturnsRow = PortfolioReturns | ClosedDays | LastPrice | Holders

RETURNS: View[ReturnsRow] = View(name="returns", row=ReturnsRow, rest=0.1)


def portfolio_key(portfolio_id: str) -> str:
    """Return the key of a portfolio's row."""
    return f"portfolio/{portfolio_id}"


def month_of(day: date) -> str:
    """Return the month in which this day is, for example ``2025-06``."""
    return day.isoformat()[:7]


def days_key(portfolio_id: str, month: str) -> str:
    """Return the key of the closed days of this month."""
    return f"days/{portfolio_id}/{month}"


def price_key(instrument_id: str) -> str:
    """Return the key of an instrument's price."""
    return f"price/{instrument_id}"


def holders_key(instrument_id: str) -> str:
    """Return the key of the portfolios that hold an instrument."""
    return f"holders/{instrument_id}"


@dataclass(frozen=True, slots=True)
class Track:
    """One portfolio as the view has it at one checkpoint: its row, the prices of what it holds, days in order."""

    row: PortfolioReturns
    book: Mapping[str, Price]
    days: tuple[Closed, ...]
    stamp: Stamp
    checkpoint: Checkpoint

    @property
    def as_of(self) -> datetime:
        """The portfolio's clock: the latest of its updates and of the prices of what it holds; at first its opening."""
        times = [price.as_of for price in self.book.values()]
        if self.row.clock is not None:
            times.append(self.row.clock)
        return max(times, default=self.row.facts.last_updated)


class Tracks:
    """Look-ups in the view."""

    def __init__(self, store: ViewStore, signals: Signals) -> None:
        self._store, self._signals = store, signals

    async def of(
        self, portfolio_id: str, span: tuple[date, date] | None, *, at_least: int, wait: float
    ) -> Track | None:
        """Return the portfolio, None where there is none, with its closed days of the span, both ends included.

        Without a span with none of them. Raises ``NotYet`` when the view is behind after ``wait`` seconds.
        """

        async def ask() -> _Snapshot:
            return await self._snapshot(portfolio_id, span)

        snapshot = await settled(ask, RETURNS, self._store, self._signals, at_least=at_least, wait=wait)
        return _track(portfolio_id, snapshot, span)

    async def _snapshot(self, portfolio_id: str, span: tuple[date, date] | None) -> Rows[ReturnsRow]:
        """Read the row, and then at one checkpoint the row with all that belongs to it."""
        keys = {portfolio_key(portfolio_id)}
        while True:
            found = await self._store.get_many(RETURNS, keys)
            row = found.rows.get(portfolio_key(portfolio_id))
            if not isinstance(row, PortfolioReturns):
                return found
            needed = keys | _belonging(portfolio_id, row, span)
            if needed == keys:
                return found
            keys = needed


_Snapshot = Rows[ReturnsRow]


def _belonging(portfolio_id: str, row: PortfolioReturns, span: tuple[date, date] | None) -> set[str]:
    keys = {price_key(instrument_id) for instrument_id in row.facts.positions}
    if span is not None:
        first, last = month_of(span[0]), month_of(span[1])
        keys |= {days_key(portfolio_id, month) for month in row.months if first <= month <= last}
    return keys


def _track(portfolio_id: str, found: _Snapshot, span: tuple[date, date] | None) -> Track | None:
    row = found.rows.get(portfolio_key(portfolio_id))
    if not isinstance(row, PortfolioReturns):
        return None
    book, newest, days = {}, 0, list[Closed]()
    for instrument_id in row.facts.positions:
        known = found.rows.get(price_key(instrument_id))
        if isinstance(known, LastPrice):
            book[instrument_id] = known.price
            newest = max(newest, known.position)
    if span is not None:
        months = sorted((key, each) for key, each in found.rows.items() if isinstance(each, ClosedDays))
        days = [day for _, month in months for day in month.days if span[0] <= day.date <= span[1]]
    return Track(row, book, tuple(days), Stamp(row.facts.version, newest), found.checkpoint)
