"""What a portfolio is worth: one pure function for commands, queries and the feed (seed 004, contract "Valuation")."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from domain.portfolio import CASH, Status
from domain.values import ONE, ZERO, money, ratio


class Holdings(Protocol):
    """The facts a valuation needs; the aggregate and the view's row both have them."""

    @property
    def portfolio_id(self) -> str: ...
    @property
    def portfolio_name(self) -> str: ...
    @property
    def status(self) -> Status: ...
    @property
    def cash(self) -> Decimal: ...
    @property
    def last_updated(self) -> datetime: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuedPosition:
    """One position with the figures shown, each rounded once: money to cents, the weight to six places."""

    instrument_id: str
    position_type: str
    quantity: Decimal
    market_value: Decimal
    weight: Decimal
    unrealized_pnl: Decimal
    cost_basis: Decimal
    last_updated: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuedPortfolio:
    """A portfolio with the figures shown (seed 004 ``PortfolioState``)."""

    portfolio_id: str
    portfolio_name: str
    status: Status
    total_value: Decimal
    cash_balance: Decimal
    overdrawn: bool
    positions: tuple[ValuedPosition, ...]
    last_updated: datetime


def value(portfolio: Holdings) -> ValuedPortfolio:
    """Return the portfolio valued: total, cash and positions, cash always among them as instrument ``CASH``.

    The weight is the market value over the total value, 0 when the total is 0.
    """
    total = portfolio.cash
    cash = money(portfolio.cash)
    position = ValuedPosition(
        instrument_id=CASH,
        position_type=CASH,
        quantity=cash,
        market_value=cash,
        weight=ratio(ONE) if total else ZERO,
        unrealized_pnl=money(ZERO),
        cost_basis=cash,
        last_updated=portfolio.last_updated,
    )
    return ValuedPortfolio(
        portfolio_id=portfolio.portfolio_id,
        portfolio_name=portfolio.portfolio_name,
        status=portfolio.status,
        total_value=money(total),
        cash_balance=cash,
        overdrawn=portfolio.cash < 0,
        positions=(position,),
        last_updated=portfolio.last_updated,
    )
