"""The tables of the demo and what stands in their cells."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeAlias

from rich.console import Console
from rich.table import Table
from rich.text import Text

NONE: Final = "–"
WIDTH: Final = 120
"""Characters of a line where there is no terminal that has fewer."""
_UNBOUNDED: Final = 10 * WIDTH

Cells: TypeAlias = Mapping[str, Text | str]
"""The cells of a line by the titles of their columns."""


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


def fitted(
    title: str, lines: Sequence[Cells], out: Console, *, left: Collection[str], spare: Sequence[str], foot: Cells
) -> Table:
    """Return the table of these lines; columns but for the ``left`` ones have figures.

    Where it is too wide it goes without the columns to ``spare``, the first one first.
    """
    columns, dispensable = list(lines[0]) if lines else [], list(spare)
    shown = _filled(title, columns, lines, left, foot)
    while dispensable and out.measure(shown, options=out.options.update(width=_UNBOUNDED)).maximum > out.width:
        columns.remove(dispensable.pop(0))
        shown = _filled(title, columns, lines, left, foot)
    return shown


def _filled(title: str, columns: Sequence[str], lines: Sequence[Cells], left: Collection[str], foot: Cells) -> Table:
    shown = table(title)
    shown.show_footer = bool(foot)
    for name in columns:
        shown.add_column(name, foot.get(name, ""), justify="left" if name in left else "right", no_wrap=True)
    for line in lines:
        shown.add_row(*(line[name] for name in columns))
    return shown


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
