"""What commands need from elsewhere: ports of the write side, wired by bootstrap."""

from __future__ import annotations

from typing import Protocol

from domain.prices import Book


class Prices(Protocol):
    """The latest prices, in memory."""

    @property
    def book(self) -> Book:
        """The price of each instrument that has one."""

    async def reach(self, position: int, wait: float) -> None:
        """Return once every price up to this log position is in the book; raises ``NotYet`` after ``wait`` seconds."""

    async def catch_up(self, wait: float) -> None:
        """Return once every price recorded before this call is in the book; raises ``NotYet``, ``StoreUnavailable``."""
