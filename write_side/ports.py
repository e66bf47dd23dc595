"""What commands need from elsewhere: ports of the write side, wired by bootstrap."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from domain.errors import FoliologError
from domain.prices import Book
from domain.rebalance import Answer, Infeasible, Problem


class Prices(Protocol):
    """The latest prices, in memory."""

    @property
    def book(self) -> Book:
        """The price of each instrument that has one."""

    async def reach(self, position: int, wait: float) -> None:
        """Return once every price up to this log position is in the book; raises ``NotYet`` after ``wait`` seconds."""

    async def catch_up(self, wait: float) -> None:
        """Return once every price recorded before this call is in the book; raises ``NotYet``, ``StoreUnavailable``."""


class Held(msgspec.Struct, frozen=True, gc=False):
    """What a portfolio has: cash, maybe negative, and the quantity of each security, negative for a short one."""

    portfolio_id: str
    portfolio_name: str
    cash: Decimal
    quantities: dict[str, Decimal]


class Holdings(Protocol):
    """What portfolios have, now."""

    async def of(self, portfolio_ids: Sequence[str]) -> Mapping[str, Held | FoliologError]:
        """Return those of the portfolios that exist, by id, or why what one has cannot be told.

        Raises ``Unavailable`` where that is not about single portfolios.
        """


class Priced(msgspec.Struct, frozen=True, gc=False):
    """Prices by security, of those that have one, and the log position up to which they are known (0: no log)."""

    prices: dict[str, Decimal]
    position: int


class MarketPrices(Protocol):
    """The latest prices of securities; ``source`` says of where, for the record."""

    @property
    def source(self) -> str: ...

    async def of(self, security_ids: Collection[str]) -> Priced:
        """Return the prices of those that have one; raises ``Unavailable``."""


class Tickers(Protocol):
    """What people call securities."""

    async def of(self, security_ids: Collection[str]) -> dict[str, str]:
        """Return the tickers of those that have one, by id; raises ``Unavailable``."""


class ModelsOf(Protocol):
    """Which models portfolios follow."""

    async def of_portfolio(self, portfolio_id: str, at_least: int) -> Sequence[str]:
        """Return the ids of the models that this portfolio follows, as of this log position or later.

        Raises ``NotYet``, ``Unavailable``.
        """


class Optimiser(Protocol):
    """Finds the quantities of rebalances."""

    async def solve(self, problems: Sequence[Problem]) -> list[Answer | Infeasible]:
        """Return for each problem a checked answer, or why there is none; it holds up the event loop only shortly.

        The problems hold no short positions and have a market value above 0, or nothing held and a value of 0.
        """
