"""A portfolio with a transaction of every type, and random ones, as events of the aggregate itself."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from domain.base import Event
from domain.errors import RuleViolated
from domain.portfolio import Portfolio, PositionUpdate, Status, TransactionType

NOW = datetime(2025, 6, 21, 10, tzinfo=UTC)
EVERY_TYPE = (
    ("DEP", None, "0.0000000000000001", None),
    ("BUY", "AAPL", "500", "147.75"),
    ("SELL", "AAPL", "200", "150.255"),
    ("SHORT", "TSLA", "3", "100"),
    ("COVER", "TSLA", "1", "130.005"),
    ("IN", "MSFT", "3", "0"),
    ("IN", "MSFT", "0.5", "10"),
    ("OUT", "MSFT", "1.5", None),
    ("DIVIDEND", "AAPL", "300", "0.24"),
    ("FEE", "CASH", "12.5", "1"),
    ("WD", None, "1000.000", "1"),
)
"""Type, instrument, quantity, price; after an opening with cash the first of them is event 2."""


def update(kind: str, instrument_id: str | None, quantity: str, price: str | None) -> PositionUpdate:
    return PositionUpdate(
        transaction_type=TransactionType(kind),
        quantity_change=Decimal(quantity),
        instrument_id=instrument_id,
        price=None if price is None else Decimal(price),
    )


def every_type(portfolio_id: str = "ACC-1", cash: str = "100000.5") -> list[Event]:
    """Return an opening, one transaction after the other, a minute apart, and a change of status."""
    portfolio = Portfolio.open(portfolio_id, "Growth", Decimal(cash), NOW)
    for minute, each in enumerate(EVERY_TYPE, 1):
        portfolio.update([update(*each)], NOW + timedelta(minutes=minute), now=NOW + timedelta(days=1))
    portfolio.change_status(Status.SUSPENDED, NOW + timedelta(hours=1))
    return list(portfolio.collect_events())


def random_trades(seed: int, count: int, portfolios: int) -> list[Event]:
    """Return at least so many events of so many portfolios, mixed; what a portfolio refuses is left out.

    Their times do not follow the order of the log.
    """
    choose = random.Random(seed)
    made = [Portfolio.open(f"ACC-{n}", "Größe", Decimal(n % 2) * 1000, NOW) for n in range(portfolios)]
    events: list[Event] = [event for portfolio in made for event in portfolio.collect_events()]
    while len(events) < count:
        portfolio, kind = choose.choice(made), choose.choice(list(TransactionType))
        cash = kind in (TransactionType.DEP, TransactionType.WD, TransactionType.FEE)
        asked = PositionUpdate(
            transaction_type=kind,
            quantity_change=Decimal(choose.randrange(1, 10**9)).scaleb(-choose.randrange(9)),
            instrument_id=None if cash else choose.choice(("AAPL", "MSFT", "TSLA")),
            price=None if cash else Decimal(choose.randrange(1, 10**6)).scaleb(-choose.randrange(7)),
        )
        try:
            portfolio.update([asked], NOW - timedelta(seconds=choose.randrange(10**6)), now=NOW)
        except RuleViolated:
            continue
        events += portfolio.collect_events()
    return events
