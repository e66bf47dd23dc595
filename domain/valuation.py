"""What a portfolio is worth: one pure function for commands, queries and the feed (seed 004, contract "Valuation")."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Protocol

import msgspec

from domain.portfolio import CASH, Holding, Status
from domain.prices import Book, Price
from domain.values import EXACT, UNIT_PLACES, ZERO, money, share_of_units, units

LONG = "LONG"
SHORT = "SHORT"
_NO_MONEY = money(ZERO)


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
    def cash_updated(self) -> datetime: ...
    @property
    def positions(self) -> Mapping[str, Holding]: ...
    @property
    def last_updated(self) -> datetime: ...


class ValuedPosition(msgspec.Struct, frozen=True, gc=False):
    """One position with the figures shown, each rounded once: money to cents. Its weight is the portfolio's matter.

    ``holding`` and ``price`` are what it was valued from, ``exact`` the market value before rounding, and ``units`` the
    same in units of 1E-16, of which everything here is a whole number.
    """

    instrument_id: str
    position_type: str
    quantity: Decimal
    market_value: Decimal
    unrealized_pnl: Decimal
    cost_basis: Decimal
    last_updated: datetime
    exact: Decimal
    units: int
    holding: Holding | None = None
    price: Price | None = None


class ValuedPortfolio(msgspec.Struct, frozen=True, gc=False):
    """A portfolio with the figures shown (seed 004 ``PortfolioState``).

    ``positions`` and ``weights`` (six places) are by instrument in its order, ``CASH`` the last; ``exact`` is the total
    value before rounding.
    """

    portfolio_id: str
    portfolio_name: str
    status: Status
    total_value: Decimal
    cash_balance: Decimal
    overdrawn: bool
    positions: dict[str, ValuedPosition]
    weights: dict[str, Decimal]
    last_updated: datetime
    exact: Decimal


def worth(cash: Decimal, positions: Mapping[str, Holding], book: Book) -> Decimal:
    """Return what cash and positions are worth at these prices, exactly; a position without any price is worth 0."""
    multiply, add = EXACT.multiply, EXACT.add
    for instrument_id, holding in positions.items():
        price = book.get(instrument_id)
        if price is not None:
            cash = add(cash, multiply(holding.quantity, price.price))
    return cash


def value(portfolio: Holdings, book: Book, before: ValuedPortfolio | None = None) -> ValuedPortfolio:
    """Return the portfolio valued at these prices: total, positions, and cash always among them as ``CASH``.

    The weight is the market value over the total value, 0 when the total is 0. A short's quantity, market value,
    weight and cost basis are negative; a position without any price is worth 0. ``last_updated`` is the time of the
    portfolio's own last event that changed a figure, or of the newest price in it, whichever is later. ``before`` is
    an earlier valuation of the portfolio, from which positions that have not changed are taken over.
    """
    held = portfolio.positions
    known = before.positions if before is not None else {}
    positions: dict[str, ValuedPosition] = {}
    last_updated = portfolio.last_updated
    for instrument_id in sorted(held):
        holding, price = held[instrument_id], book.get(instrument_id)
        position = known.get(instrument_id)
        if position is None or position.price is not price or not _same(position.holding, holding):
            position = _valued(instrument_id, holding, price, position)
        positions[instrument_id] = position
        if price is not None and price.as_of > last_updated:
            last_updated = price.as_of
    positions[CASH] = _valued_cash(portfolio.cash, portfolio.cash_updated)
    total = sum([position.units for position in positions.values()])
    exact = EXACT.scaleb(Decimal(total), -UNIT_PLACES)
    return ValuedPortfolio(
        portfolio.portfolio_id,
        portfolio.portfolio_name,
        portfolio.status,
        money(exact),
        positions[CASH].market_value,
        portfolio.cash < 0,
        positions,
        {instrument_id: share_of_units(position.units, total) for instrument_id, position in positions.items()},
        last_updated,
        exact,
    )


def _same(before: Holding | None, holding: Holding) -> bool:
    return before is holding or before == holding


def _valued(instrument_id: str, holding: Holding, price: Price | None, before: ValuedPosition | None) -> ValuedPosition:
    exact, updated = ZERO, holding.last_updated
    if price is not None:
        exact = EXACT.multiply(holding.quantity, price.price)
        updated = max(updated, price.as_of)
    unchanged = before is not None and before.holding is not None and _same(before.holding, holding)
    return ValuedPosition(
        instrument_id,
        LONG if holding.quantity > 0 else SHORT,
        holding.quantity,
        money(exact),
        money(EXACT.subtract(exact, holding.cost)),
        before.cost_basis if before is not None and unchanged else money(holding.cost),
        updated,
        exact,
        units(exact),
        before.holding if before is not None and unchanged else holding,
        price,
    )


def _valued_cash(cash: Decimal, updated: datetime) -> ValuedPosition:
    shown = money(cash)
    return ValuedPosition(CASH, CASH, shown, shown, _NO_MONEY, shown, updated, cash, units(cash))
