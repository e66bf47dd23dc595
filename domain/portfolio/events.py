"""What happens to a portfolio: every event holds the outcome, so that no rule and no average is computed again."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

import msgspec

from domain.asset_allocation import Allocation, AssetTransaction, Basis
from domain.base import Created, Event
from domain.portfolio.rules import Status


class Holding(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A position as facts: the quantity held and what it cost, both negative for a short (minus its proceeds)."""

    quantity: Decimal
    cost: Decimal
    last_updated: datetime


class PortfolioOpened(Created):
    """A portfolio was opened; ``cash`` is what it starts with (in the transactions: a deposit)."""

    TOPIC = "portfolio.opened.v1"
    portfolio_name: str
    cash: Decimal


class StatusChanged(Event):
    """The portfolio may now do something else."""

    TOPIC = "portfolio.status-changed.v1"
    status: Status


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


class FeeCharged(Event):
    """A fee was paid; ``cash`` is the balance afterwards."""

    TOPIC = "portfolio.fee-charged.v1"
    amount: Decimal
    cash: Decimal


class DividendReceived(Event):
    """``quantity`` shares of an instrument paid ``price`` each, ``amount`` together; ``cash`` is the balance after."""

    TOPIC = "portfolio.dividend-received.v1"
    instrument_id: str
    quantity: Decimal
    price: Decimal
    amount: Decimal
    cash: Decimal


class _SharesMoved(Event):
    """``quantity`` shares moved, for ``amount``; ``held`` and ``cost`` are the position afterwards (0: it is gone)."""

    instrument_id: str
    quantity: Decimal
    price: Decimal
    amount: Decimal
    held: Decimal
    cost: Decimal


class SharesBought(_SharesMoved):
    """Bought for ``amount`` of cash; ``cash`` is the balance afterwards."""

    TOPIC = "portfolio.shares-bought.v1"
    cash: Decimal


class SharesSold(_SharesMoved):
    """Sold for ``amount`` of cash; ``realized`` is that minus the average cost of what was sold."""

    TOPIC = "portfolio.shares-sold.v1"
    cash: Decimal
    realized: Decimal


class SharesSoldShort(_SharesMoved):
    """Sold without being held, for ``amount`` of cash; the position is negative."""

    TOPIC = "portfolio.shares-sold-short.v1"
    cash: Decimal


class SharesCovered(_SharesMoved):
    """Bought back for ``amount`` of cash; ``realized`` is the average proceeds of what was covered minus that."""

    TOPIC = "portfolio.shares-covered.v1"
    cash: Decimal
    realized: Decimal


class SharesMovedIn(_SharesMoved):
    """Came in without cash; ``amount`` is what they cost elsewhere."""

    TOPIC = "portfolio.shares-moved-in.v1"


class SharesMovedOut(_SharesMoved):
    """Went out without cash at average cost: ``amount`` is that cost, ``price`` the cost of one share (8 places)."""

    TOPIC = "portfolio.shares-moved-out.v1"


class AllocationSet(Event):
    """The target allocation is this one from now on; rebalances asked for before are booked and leave it alone."""

    TOPIC = "portfolio.allocation-set.v1"
    allocation: Allocation


class RebalanceRequested(Event):
    """A rebalance by asset class was accepted; ``current`` is the target that everything before it leaves.

    By ``basis`` the ``allocation`` is the new target, or where the market has moved the portfolio.
    """

    TOPIC = "portfolio.rebalance-requested.v1"
    basis: Basis
    current: Allocation
    allocation: Allocation
    allocation_hash: str


class RebalanceBooked(Event):
    """The oldest pending rebalance, asked for at ``request_version``, has these transactions.

    ``allocation`` is the target afterwards.
    """

    TOPIC = "portfolio.rebalance-booked.v1"
    request_version: int
    transactions: tuple[AssetTransaction, ...]
    allocation: Allocation


AllocationEvent: TypeAlias = AllocationSet | RebalanceRequested | RebalanceBooked
"""What happens to the target allocation: it moves no money and no share."""
PortfolioEvent: TypeAlias = (
    PortfolioOpened
    | StatusChanged
    | CashDeposited
    | CashWithdrawn
    | FeeCharged
    | DividendReceived
    | SharesBought
    | SharesSold
    | SharesSoldShort
    | SharesCovered
    | SharesMovedIn
    | SharesMovedOut
    | AllocationSet
    | RebalanceRequested
    | RebalanceBooked
)
