"""The tables of the demo and what stands in their cells."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from rich.table import Table
from rich.text import Text

NONE: Final = "–"


def table(title: str) -> Table:
    """Return an empty table with this title."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        footer_style="bold",
        box=None,
        pad_edge=False,
        show_footer=True,
    )


def number(figure: Decimal, text: str) -> Text:
    """Return a figure written like this, red below zero."""
    return Text(text, style="red" if figure < 0 else "")


def money(amount: Decimal) -> Text:
    """Return an amount with its cents."""
    return number(amount, f"{amount:,.2f}")


def whole(amount: Decimal) -> Text:
    """Return an amount in whole units."""
    return number(amount, f"{round(amount):,}")


def price(figure: Decimal) -> Text:
    """Return a price with all its places, at least two; it is finite, so its exponent is a number."""
    return Text(f"{figure:,}" if figure.as_tuple().exponent < -2 else f"{figure:,.2f}")  # type: ignore[operator]


def percent(ratio: Decimal | None, *, signed: bool = True) -> Text:
    """Return a ratio in percent; a dash where there is none."""
    if ratio is None:
        return Text(NONE)
    figure = round(ratio * 100, 2) or Decimal("0.00")
    return number(figure, f"{figure:{'+' if signed and figure else ''},.2f}%")
