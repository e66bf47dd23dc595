"""The portfolio: its cash and status, how they change, and the rules for it (seed 004, Portfolio State Service)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Self, TypeAlias, assert_never

from domain.base import Aggregate, Created, Event
from domain.errors import Fault, Invalid
from domain.values import EXACT, MAX_CASH_PLACES, ONE, ZERO, outside_bounds, plain

CASH = "CASH"
"""The instrument that stands for the cash of a portfolio; it cannot be traded."""
MAX_CLOCK_SKEW = timedelta(minutes=5)
MAX_NAME = 200
PORTFOLIO_ID = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9_.:-]{1,100}\Z")


class Status(StrEnum):
    """What a portfolio may do (seed 004 ``PortfolioStatus``)."""

    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    LIQUIDATING = "LIQUIDATING"
    CLOSED = "CLOSED"


class TransactionType(StrEnum):
    """The kinds of position update."""

    DEP = "DEP"
    WD = "WD"


def wrong_id(portfolio_id: str) -> str | None:
    """Return what is wrong with the id of a portfolio, or None."""
    if PORTFOLIO_ID.match(portfolio_id):
        return None
    return f"{portfolio_id[:100]!a} is not 1 to 100 of A-Z a-z 0-9 _ . : - (and not . or ..)"


def wrong_name(name: str) -> str | None:
    """Return what is wrong with the name of a portfolio, or None; white space around it does not count."""
    length = len(name.strip())
    return None if 1 <= length <= MAX_NAME else f"has {length} characters, 1 to {MAX_NAME} are taken"


def wrong_opening_cash(cash: Decimal) -> str | None:
    """Return what is wrong with the cash of an opening, or None."""
    if cash < 0:
        return f"{plain(cash)} is negative: a portfolio opens with 0 or more"
    return outside_bounds(cash, MAX_CASH_PLACES)


def wrong_amount(amount: Decimal) -> str | None:
    """Return what is wrong with an amount of cash to move, or None."""
    if amount <= 0:
        return f"{plain(amount)} is not positive: give the size moved"
    return outside_bounds(amount, MAX_CASH_PLACES)


def wrong_instrument(kind: TransactionType, instrument_id: str | None) -> str | None:
    """Return what is wrong with the instrument of an update of this kind, or None."""
    return None if instrument_id in (None, CASH) else f"{kind} moves cash: leave it out or say {CASH}"


def wrong_price(kind: TransactionType, price: Decimal | None) -> str | None:
    """Return what is wrong with the price of an update of this kind, or None."""
    return None if price is None or price == ONE else f"{kind} moves cash: leave it out or say 1"


def wrong_time(timestamp: datetime, now: datetime) -> str | None:
    """Return what is wrong with the business time of an update, or None."""
    if timestamp <= now + MAX_CLOCK_SKEW:
        return None
    return f"{timestamp.isoformat()} is more than 5 minutes ahead of the clock"


@dataclass(frozen=True, kw_only=True)
class PositionUpdate:
    """One update asked for (seed 004 ``PositionUpdate``): the size moved, always positive, and its price."""

    transaction_type: TransactionType
    quantity_change: Decimal
    instrument_id: str | None = None
    price: Decimal | None = None

    def faults(self, pointer: str) -> list[Fault]:
        """Return everything wrong with the update itself, whatever the portfolio holds."""
        checked = {
            "quantity_change": wrong_amount(self.quantity_change),
            "instrument_id": wrong_instrument(self.transaction_type, self.instrument_id),
            "price": wrong_price(self.transaction_type, self.price),
        }
        return [Fault(f"{pointer}/{member}", wrong) for member, wrong in checked.items() if wrong]


class PortfolioOpened(Created):
    """A portfolio was opened; ``cash`` is what it starts with (in the transactions: a deposit)."""

    TOPIC = "portfolio.opened.v1"
    portfolio_name: str
    cash: Decimal


class CashDeposited(Event):
    """Cash came in; ``cash`` is the balance afterwards."""

    TOPIC = "portfolio.cash-deposited.v1"
    amount: Decimal
    cash: Decimal


class CashWithdrawn(Event):
    """Cash went out; ``cash`` is the balance afterwards, negative when overdrawn."""

    TOPIC = "portfolio.cash-withdrawn.v1"
    amount: Decimal
    cash: Decimal


PortfolioEvent: TypeAlias = PortfolioOpened | CashDeposited | CashWithdrawn
_NEVER = datetime.min.replace(tzinfo=UTC)


class Portfolio(Aggregate):
    """One portfolio; its natural key is the ``portfolio_id``."""

    TOPIC = "portfolio"

    portfolio_name: str = ""
    status: Status = Status.ACTIVE
    cash: Decimal = ZERO
    last_updated: datetime = _NEVER
    """Business time of the last event that changed a figure shown."""

    @classmethod
    def open(cls, portfolio_id: str, portfolio_name: str, cash: Decimal, at: datetime) -> Self:
        """Return a new portfolio with its opening cash; raises ``Invalid`` naming every fault."""
        checked = {
            "/portfolio_id": wrong_id(portfolio_id),
            "/portfolio_name": wrong_name(portfolio_name),
            "/cash_balance": wrong_opening_cash(cash),
        }
        found = [Fault(pointer, wrong) for pointer, wrong in checked.items() if wrong]
        if found:
            raise Invalid(*found)
        return cls._create(
            PortfolioOpened, id=cls.stream(portfolio_id), timestamp=at, portfolio_name=portfolio_name.strip(), cash=cash
        )

    @property
    def portfolio_id(self) -> str:
        """The natural key."""
        return self.key

    def update(self, updates: Sequence[PositionUpdate], timestamp: datetime, *, now: datetime) -> None:
        """Apply the updates in order, all or none; raises ``Invalid`` naming every fault of every update.

        ``timestamp`` is their business time, at most five minutes ahead of ``now``.
        """
        found = [fault for index, update in enumerate(updates) for fault in update.faults(f"/updates/{index}")]
        if wrong := wrong_time(timestamp, now):
            found.append(Fault("/timestamp", wrong))
        if found:
            raise Invalid(*found)
        for update in updates:
            self._apply(update, timestamp)

    def _apply(self, update: PositionUpdate, at: datetime) -> None:
        amount = update.quantity_change
        match update.transaction_type:
            case TransactionType.DEP:
                cash = EXACT.add(self.cash, amount)
                self.trigger_event(CashDeposited, timestamp=at, amount=amount, cash=cash)
            case TransactionType.WD:
                cash = EXACT.subtract(self.cash, amount)
                self.trigger_event(CashWithdrawn, timestamp=at, amount=amount, cash=cash)
            case _:
                assert_never(update.transaction_type)

    def evolve(self, event: PortfolioEvent) -> None:
        match event:
            case PortfolioOpened(portfolio_name=portfolio_name, cash=cash):
                self.portfolio_name = portfolio_name
                self.cash = cash
            case CashDeposited(cash=cash) | CashWithdrawn(cash=cash):
                self.cash = cash
            case _:
                assert_never(event)
        self.last_updated = event.timestamp
