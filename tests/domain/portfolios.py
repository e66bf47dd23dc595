"""The words of the tests about portfolios: each kind of update, how it is asked for and how it is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from domain.codec import encode_snapshot
from domain.errors import Invalid, RuleViolated
from domain.portfolio import Portfolio, PositionUpdate, Status, TransactionType

NOW = datetime(2025, 6, 21, 10, 0, tzinfo=UTC)
LARGEST = "999999999999999.99999999"
LEAST = "0.00000001"


def opened(cash: str = "0") -> Portfolio:
    return Portfolio.open("ACC-1", "Growth", Decimal(cash), NOW)


def holding(*updates: PositionUpdate, cash: str = "0", status: Status = Status.ACTIVE) -> Portfolio:
    """Return a portfolio after these updates, in this status."""
    portfolio = opened(cash)
    portfolio.update(updates, NOW, now=NOW)
    portfolio.change_status(status, NOW)
    return portfolio


def asked(kind: str, quantity: str, price: str | None = None, instrument_id: str | None = None) -> PositionUpdate:
    return PositionUpdate(
        transaction_type=TransactionType(kind),
        quantity_change=Decimal(quantity),
        instrument_id=instrument_id,
        price=None if price is None else Decimal(price),
    )


def buy(instrument_id: str, quantity: str, price: str) -> PositionUpdate:
    return asked("BUY", quantity, price, instrument_id)


def sell(instrument_id: str, quantity: str, price: str) -> PositionUpdate:
    return asked("SELL", quantity, price, instrument_id)


def short(instrument_id: str, quantity: str, price: str) -> PositionUpdate:
    return asked("SHORT", quantity, price, instrument_id)


def cover(instrument_id: str, quantity: str, price: str) -> PositionUpdate:
    return asked("COVER", quantity, price, instrument_id)


def move_in(instrument_id: str, quantity: str, price: str) -> PositionUpdate:
    return asked("IN", quantity, price, instrument_id)


def move_out(instrument_id: str, quantity: str, price: str | None = None) -> PositionUpdate:
    return asked("OUT", quantity, price, instrument_id)


def dividend(instrument_id: str, quantity: str, price: str) -> PositionUpdate:
    return asked("DIVIDEND", quantity, price, instrument_id)


def deposit(amount: str) -> PositionUpdate:
    return asked("DEP", amount)


def withdrawal(amount: str) -> PositionUpdate:
    return asked("WD", amount)


def fee(amount: str) -> PositionUpdate:
    return asked("FEE", amount)


def update(*updates: PositionUpdate, at: datetime = NOW) -> Callable[[Portfolio], None]:
    """Return the decision to apply these updates in one call."""
    return lambda portfolio: portfolio.update(updates, at, now=NOW)


def become(status: Status) -> Callable[[Portfolio], None]:
    """Return the decision to take another status."""
    return lambda portfolio: portfolio.change_status(status, NOW)


def refusal(portfolio: Portfolio, decide: Callable[[Portfolio], None]) -> str:
    """Return why the portfolio refuses, having decided on a copy as the event store does; it has not changed."""
    before = (encode_snapshot(portfolio), portfolio.version)
    with pytest.raises(RuleViolated) as refused:
        decide(portfolio.copy())
    assert (encode_snapshot(portfolio), portfolio.version) == before
    return str(refused.value)


def faults(portfolio: Portfolio, decide: Callable[[Portfolio], None]) -> dict[str, str]:
    """Return what is wrong with the request, by pointer; not even the copy decided on has changed."""
    before = (encode_snapshot(portfolio), portfolio.version)
    with pytest.raises(Invalid) as refused:
        decide(portfolio)
    assert (encode_snapshot(portfolio), portfolio.version) == before
    return {fault.pointer: fault.detail for fault in refused.value.faults}
