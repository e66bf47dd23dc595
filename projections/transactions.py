"""The projector of the view of transactions."""

from __future__ import annotations

from decimal import Decimal
from typing import TypeAlias, cast

from domain.base import Event, Recorded
from domain.portfolio import (
    CASH,
    CashDeposited,
    CashWithdrawn,
    DividendReceived,
    FeeCharged,
    PortfolioOpened,
    SharesBought,
    SharesCovered,
    SharesMovedIn,
    SharesMovedOut,
    SharesSold,
    SharesSoldShort,
    TransactionType,
)
from domain.values import ONE
from projections.portfolio import portfolio_id
from projections.projector import Projector, Rows
from read_side.transactions import TRANSACTIONS, TransactionRow

_OfCash: TypeAlias = CashDeposited | CashWithdrawn | FeeCharged
_OfShares: TypeAlias = (
    DividendReceived | SharesBought | SharesSold | SharesSoldShort | SharesCovered | SharesMovedIn | SharesMovedOut
)

TYPES: dict[type[Event], TransactionType] = {
    PortfolioOpened: TransactionType.DEP,
    CashDeposited: TransactionType.DEP,
    CashWithdrawn: TransactionType.WD,
    FeeCharged: TransactionType.FEE,
    DividendReceived: TransactionType.DIVIDEND,
    SharesBought: TransactionType.BUY,
    SharesSold: TransactionType.SELL,
    SharesSoldShort: TransactionType.SHORT,
    SharesCovered: TransactionType.COVER,
    SharesMovedIn: TransactionType.IN,
    SharesMovedOut: TransactionType.OUT,
}
"""The events that are transactions, and of which type; an opening is one where it brings cash."""


def apply(rows: Rows[TransactionRow], recorded: Recorded) -> None:
    """Add the row of the event; rows are never read nor changed again."""
    event = cast(PortfolioOpened | _OfCash | _OfShares, recorded.event)
    if isinstance(event, PortfolioOpened):
        if event.cash:
            _add(rows, recorded, CASH, event.cash, ONE, event.cash)
    elif isinstance(event, _OfCash):
        _add(rows, recorded, CASH, event.amount, ONE, event.amount)
    else:
        realized = event.realized if isinstance(event, SharesSold | SharesCovered) else None
        _add(rows, recorded, event.instrument_id, event.quantity, event.price, event.amount, realized)


def _add(
    rows: Rows[TransactionRow],
    recorded: Recorded,
    instrument_id: str,
    quantity: Decimal,
    price: Decimal,
    value: Decimal,
    realized: Decimal | None = None,
) -> None:
    row = TransactionRow(
        portfolio_id=portfolio_id(recorded),
        instrument_id=instrument_id,
        transaction_type=TYPES[type(recorded.event)],
        quantity=quantity,
        price=price,
        transaction_value=value,
        transaction_date=recorded.event.timestamp,
        realized_pnl=realized,
        position=recorded.position,
    )
    rows[row.key] = row


TRANSACTION_PROJECTOR = Projector(view=TRANSACTIONS, handles=frozenset(TYPES), apply=apply, kept=0)
