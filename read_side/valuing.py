"""Portfolios valued again and again: what has not changed since the last time is not made anew."""

from __future__ import annotations

from domain.prices import Book
from domain.valuation import Holdings, ValuedPortfolio, value
from read_side.rendering import Shown

_KEPT = 100_000
"""So many positions of valued portfolios stay in memory."""


class Valuer:
    """``domain.valuation.value`` with a memory; its answers are the same as without."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[ValuedPortfolio, Shown]] = {}
        self._positions = 0

    def value(self, portfolio: Holdings, book: Book) -> tuple[ValuedPortfolio, Shown]:
        """Return the portfolio valued at these prices, and the texts of its positions for who renders it."""
        before, shown = self._known.pop(portfolio.portfolio_id, (None, None))
        if before is None or shown is None:
            shown = {}
        else:
            self._positions -= len(before.positions)
        valued = value(portfolio, book, before)
        if len(shown) > 2 * len(valued.positions):
            shown = {}
        if self._positions > _KEPT:
            self._known.clear()
            self._positions = 0
        self._positions += len(valued.positions)
        self._known[portfolio.portfolio_id] = valued, shown
        return valued, shown
