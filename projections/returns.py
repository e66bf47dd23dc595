"""The projector of the view of returns: flows end pieces, the first event of a later day closes the open one.

The clock of a portfolio is the latest time of its own updates and of the prices of what it holds. So an event of its
own, or a price of anyone's, that brings it to a later UTC day first closes the open day at the prices before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import cast

from msgspec.structs import replace

from domain.base import Event, Recorded
from domain.errors import Broken
from domain.portfolio import (
    AllocationSet,
    CashDeposited,
    CashWithdrawn,
    PortfolioOpened,
    RebalanceBooked,
    RebalanceRequested,
    SharesBought,
    SharesCovered,
    SharesMovedIn,
    SharesMovedOut,
    SharesSold,
    SharesSoldShort,
    StatusChanged,
)
from domain.prices import Price, PricesUploaded, Quote, quotes, wins
from domain.returns import close, with_flow
from domain.valuation import worth
from domain.values import EXACT, ZERO
from projections.portfolio import OWN_EVENTS, evolve, portfolio_id
from projections.projector import Projector, Rows
from read_side.portfolio import PortfolioRow
from read_side.returns import (
    RETURNS,
    ClosedDays,
    Holders,
    LastPrice,
    PortfolioReturns,
    ReturnsRow,
    days_key,
    holders_key,
    month_of,
    portfolio_key,
    price_key,
)

_Rows = Rows[ReturnsRow]
_OF_SHARES = (SharesBought, SharesSold, SharesSoldShort, SharesCovered, SharesMovedIn, SharesMovedOut)
_OF_NO_FIGURE = (StatusChanged, AllocationSet, RebalanceRequested, RebalanceBooked)
"""They move neither the portfolio's clock nor anything shown."""


def keys(recorded: Recorded) -> list[str]:
    """Return the keys of the rows that the event reads as far as it tells."""
    named = [price_key(quote.instrument_id) for quote in quotes(recorded.event)]
    if not isinstance(recorded.event, PricesUploaded):
        named.append(portfolio_key(portfolio_id(recorded)))
        named += [holders_key(quote.instrument_id) for quote in quotes(recorded.event)]
    return named


def apply(rows: _Rows, recorded: Recorded) -> None:
    """Change the rows by an event of a portfolio, or by prices."""
    news = _news(rows, recorded.event)
    behind = _begin_day(rows, recorded, news)
    own = None if isinstance(recorded.event, PricesUploaded) else _own(rows, recorded)
    for row in behind:
        rows[portfolio_key(row.facts.portfolio_id)] = row
    if own is not None:
        _hold(rows, recorded, own)
    for quote in news:
        rows[price_key(quote.instrument_id)] = LastPrice(position=recorded.position, price=quote.price)


def _news(rows: _Rows, event: Event) -> list[Quote]:
    """Return the prices of the event that count from now on."""
    carried = quotes(event)
    known = _prices(rows, [quote.instrument_id for quote in carried])
    return [quote for quote in carried if wins(quote, known.get(quote.instrument_id))]


def _begin_day(rows: _Rows, recorded: Recorded, news: Iterable[Quote]) -> list[PortfolioReturns]:
    """Return the rows of holders, of others than the event's own portfolio, whose open day these prices close."""
    later = [quote for quote in news if _is_later_day(quote, rows)]
    if not later:
        return []
    own = "" if isinstance(recorded.event, PricesUploaded) else portfolio_id(recorded)
    until: dict[str, datetime] = {}
    for quote, holders in zip(later, rows.all(holders_key(quote.instrument_id) for quote in later), strict=True):
        for holder in holders.portfolio_ids if isinstance(holders, Holders) else ():
            if holder != own:
                until[holder] = quote.price.as_of
    held = cast("list[PortfolioReturns]", rows.all(portfolio_key(holder) for holder in until))
    behind = [row for row in held if _day(row) < until[row.facts.portfolio_id].date()]
    rows.all({price_key(name) for row in behind for name in row.facts.positions})
    rows.all(days_key(row.facts.portfolio_id, month_of(_day(row))) for row in behind)
    return [_closed(rows, row, until[row.facts.portfolio_id], recorded.position) for row in behind]


def _is_later_day(quote: Quote, rows: _Rows) -> bool:
    """Whether the price is of a later day than the one known, which no holder's open day is before."""
    known = rows[price_key(quote.instrument_id)]
    return not isinstance(known, LastPrice) or quote.price.as_of.date() > known.price.as_of.date()


def _own(rows: _Rows, recorded: Recorded) -> tuple[PortfolioReturns | None, PortfolioReturns]:
    """Return the portfolio's row before and after an event of its own."""
    event, key = recorded.event, portfolio_key(portfolio_id(recorded))
    before = cast("PortfolioReturns | None", rows[key])
    if isinstance(event, PortfolioOpened):
        row = PortfolioReturns(position=recorded.position, facts=evolve(None, recorded))
        if event.cash:
            row = replace(row, returns=with_flow(row.returns, event.cash, ZERO))
        rows[key] = row
        return None, row
    if before is None:
        raise Broken(f"{recorded.stream} was never opened")
    row = before
    if not isinstance(event, _OF_NO_FIGURE):
        clock = _clock(rows, row, event)
        if row.clock is not None and clock.date() > row.clock.date():
            row = _closed(rows, row, clock, recorded.position)
        row = replace(row, clock=clock)
        row = _with_flow(rows, row, event)
    row = replace(row, position=recorded.position, facts=evolve(row.facts, recorded))
    rows[key] = row
    return before, row


def _clock(rows: _Rows, row: PortfolioReturns, event: Event) -> datetime:
    """Return the portfolio's clock with this event: of the price of what it moves, too."""
    clock = event.timestamp if row.clock is None else max(row.clock, event.timestamp)
    known = rows[price_key(event.instrument_id)] if isinstance(event, _OF_SHARES) else None
    return max(clock, known.price.as_of) if isinstance(known, LastPrice) else clock


def _with_flow(rows: _Rows, row: PortfolioReturns, event: Event) -> PortfolioReturns:
    """Return the row with the piece ended that an external flow ends; shares in and out count at market value."""
    match event:
        case CashDeposited(amount=amount):
            flow = amount
        case CashWithdrawn(amount=amount):
            flow = amount.copy_negate()
        case SharesMovedIn() | SharesMovedOut():
            known = rows[price_key(event.instrument_id)]
            first = event.price if isinstance(event, SharesMovedIn) else ZERO
            flow = EXACT.multiply(event.quantity, known.price.price if isinstance(known, LastPrice) else first)
            if isinstance(event, SharesMovedOut):
                flow = flow.copy_negate()
        case _:
            return row
    return replace(row, returns=with_flow(row.returns, flow, _worth(rows, row.facts)))


def _closed(rows: _Rows, row: PortfolioReturns, until: datetime, position: int) -> PortfolioReturns:
    """Return the row with its open day closed, which is added to its month."""
    day = _day(row)
    name = month_of(day)
    key = days_key(row.facts.portfolio_id, name)
    month = rows[key]
    closed, returns = close(row.returns, day, _worth(rows, row.facts), until.date())
    earlier = month.days if isinstance(month, ClosedDays) else ()
    rows[key] = ClosedDays(position=position, days=(*earlier, closed))
    months = row.months if name in row.months[-1:] else (*row.months, name)
    return replace(row, position=position, clock=until, months=months, returns=returns)


def _hold(rows: _Rows, recorded: Recorded, change: tuple[PortfolioReturns | None, PortfolioReturns]) -> None:
    """Note who holds what, where the event has begun or ended a position."""
    before, after = change
    name = getattr(recorded.event, "instrument_id", None)
    if before is None or name is None:
        return
    held, holds = name in before.facts.positions, name in after.facts.positions
    if held == holds:
        return
    known = rows[holders_key(name)]
    ids = known.portfolio_ids if isinstance(known, Holders) else ()
    me = after.facts.portfolio_id
    ids = (*ids, me) if holds else tuple(each for each in ids if each != me)
    rows[holders_key(name)] = Holders(position=recorded.position, portfolio_ids=ids) if ids else None


def _day(row: PortfolioReturns) -> date:
    """Return the open day; a portfolio that holds something has had one since it came to hold it."""
    if row.clock is None:
        raise Broken(f"portfolio {row.facts.portfolio_id} holds something and was never updated")
    return row.clock.date()


def _worth(rows: _Rows, facts: PortfolioRow) -> Decimal:
    return worth(facts.cash, facts.positions, _prices(rows, facts.positions))


def _prices(rows: _Rows, names: Iterable[str]) -> Mapping[str, Price]:
    names = list(names)
    found = rows.all(map(price_key, names))
    return {name: row.price for name, row in zip(names, found, strict=True) if isinstance(row, LastPrice)}


RETURNS_PROJECTOR = Projector(view=RETURNS, handles=OWN_EVENTS | {PricesUploaded}, keys=keys, apply=apply, kept=100_000)
