"""What single values of a portfolio may be, whatever it holds: ids, names, sizes, prices and times (seed 004)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from domain.errors import Fault
from domain.values import MAX_CASH_PLACES, MAX_PLACES, ONE, outside_bounds, plain

CASH = "CASH"
"""The instrument that stands for the cash of a portfolio; it cannot be traded."""
MAX_CLOCK_SKEW = timedelta(minutes=5)
MAX_NAME = 200
PORTFOLIO_ID = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9_.:-]{1,100}\Z")
INSTRUMENT_ID = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9_.:-]{1,24}\Z")


class Status(StrEnum):
    """What a portfolio may do (seed 004 ``PortfolioStatus``)."""

    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    LIQUIDATING = "LIQUIDATING"
    CLOSED = "CLOSED"


class TransactionType(StrEnum):
    """The kinds of position update: four trades, three of cash, two of shares without cash, and dividends."""

    BUY = "BUY"
    SELL = "SELL"
    SHORT = "SHORT"
    COVER = "COVER"
    DEP = "DEP"
    WD = "WD"
    IN = "IN"
    OUT = "OUT"
    DIVIDEND = "DIVIDEND"
    FEE = "FEE"


OF_CASH = frozenset({TransactionType.DEP, TransactionType.WD, TransactionType.FEE})
"""The kinds that move cash alone: their instrument is ``CASH``, their price 1."""
TRADES = frozenset({TransactionType.BUY, TransactionType.SELL, TransactionType.SHORT, TransactionType.COVER})


def wrong_id(portfolio_id: str) -> str | None:
    """Return what is wrong with the id of a portfolio, or None."""
    if PORTFOLIO_ID.match(portfolio_id):
        return None
    return f"{portfolio_id[:100]!a} is not 1 to 100 of A-Z a-z 0-9 _ . : - (and not . or ..)"


def wrong_instrument_id(instrument_id: str) -> str | None:
    """Return what is wrong with the id of an instrument that has a price and can be held, or None."""
    if instrument_id == CASH:
        return f"{CASH} stands for cash, which cannot be traded and has no price"
    if INSTRUMENT_ID.match(instrument_id):
        return None
    return f"{instrument_id[:100]!a} is not 1 to 24 of A-Z a-z 0-9 _ . : - (and not . or ..)"


def wrong_name(name: str) -> str | None:
    """Return what is wrong with the name of a portfolio, or None; white space around it does not count."""
    length = len(name.strip())
    return None if 1 <= length <= MAX_NAME else f"has {length} characters, 1 to {MAX_NAME} are taken"


def wrong_opening_cash(cash: Decimal) -> str | None:
    """Return what is wrong with the cash of an opening, or None."""
    if cash < 0:
        return f"{plain(cash)} is negative: a portfolio opens with 0 or more"
    return outside_bounds(cash, MAX_CASH_PLACES)


def wrong_quantity(kind: TransactionType, quantity: Decimal) -> str | None:
    """Return what is wrong with the size moved by an update of this kind, or None.

    Cash moved in and out takes 16 decimal places, because exact cash can have them; everything else 8.
    """
    if quantity <= 0:
        return f"{plain(quantity)} is not positive: give the size moved"
    exact = kind in (TransactionType.DEP, TransactionType.WD)
    return outside_bounds(quantity, MAX_CASH_PLACES if exact else MAX_PLACES)


def wrong_instrument(kind: TransactionType, instrument_id: str | None) -> str | None:
    """Return what is wrong with the instrument of an update of this kind, or None."""
    if kind in OF_CASH:
        return None if instrument_id in (None, CASH) else f"{kind} moves cash: leave it out or say {CASH}"
    return f"is missing: {kind} needs one" if instrument_id is None else wrong_instrument_id(instrument_id)


def wrong_price(kind: TransactionType, price: Decimal | None) -> str | None:
    """Return what is wrong with the price of an update of this kind, or None.

    ``IN`` takes 0 (shares that cost nothing); ``OUT`` needs none, it moves shares at their average cost.
    """
    if kind in OF_CASH:
        return None if price is None or price == ONE else f"{kind} moves cash: leave it out or say 1"
    if price is None:
        return None if kind is TransactionType.OUT else f"is missing: {kind} needs one"
    if price < 0 or (price == 0 and kind not in (TransactionType.IN, TransactionType.OUT)):
        return f"{plain(price)} is not positive"
    return outside_bounds(price)


def wrong_time(timestamp: datetime, now: datetime) -> str | None:
    """Return what is wrong with a business time, or None."""
    if timestamp <= now + MAX_CLOCK_SKEW:
        return None
    return f"{timestamp.isoformat().replace('+00:00', 'Z')} is more than 5 minutes ahead of the clock"


@dataclass(frozen=True, kw_only=True)
class PositionUpdate:
    """One update asked for (seed 004 ``PositionUpdate``): the size moved, always positive, and its price."""

    transaction_type: TransactionType
    quantity_change: Decimal
    instrument_id: str | None = None
    price: Decimal | None = None

    def faults(self, pointer: str) -> list[Fault]:
        """Return everything wrong with the update itself, whatever the portfolio holds."""
        kind = self.transaction_type
        checked = {
            "quantity_change": wrong_quantity(kind, self.quantity_change),
            "instrument_id": wrong_instrument(kind, self.instrument_id),
            "price": wrong_price(kind, self.price),
        }
        return [Fault(f"{pointer}/{member}", wrong) for member, wrong in checked.items() if wrong]
