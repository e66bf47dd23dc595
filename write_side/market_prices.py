"""The prices of rebalances, from our own price book: the adapter of the port ``MarketPrices``."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from write_side.ports import Priced, Prices

_PATIENCE = 10.0
"""Seconds to wait for prices that are recorded and not in the book yet."""


class PositionedPrices(Prices, Protocol):
    """The latest prices in memory, and how far they follow the log."""

    @property
    def position(self) -> int:
        """The log position up to which every price is in the book."""


class BookPrices:
    """``MarketPrices`` over the price book in memory: every price recorded before it is asked counts."""

    def __init__(self, prices: PositionedPrices) -> None:
        self._prices = prices

    @property
    def source(self) -> str:
        """Where they are from, for the record."""
        return "price book"

    async def of(self, security_ids: Collection[str]) -> Priced:
        """Return the prices of those that have one; raises ``NotYet``, ``StoreUnavailable``."""
        await self._prices.catch_up(_PATIENCE)
        book = self._prices.book
        known = {security_id: price.price for security_id in security_ids if (price := book.get(security_id))}
        return Priced(known, self._prices.position)
