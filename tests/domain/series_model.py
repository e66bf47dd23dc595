"""Returns by their definition, in fractions: the whole list of flows and closes is looked at for every figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction

PERIODS: dict[str, Callable[[date], object]] = {
    "daily": lambda day: day,
    "month_to_date": lambda day: (day.year, day.month),
    "year_to_date": lambda day: day.year,
}


@dataclass(frozen=True)
class Day:
    """A day of the series: its external flows as (value just before, flow), and its value at the close, or now."""

    date: date
    value: Fraction
    flows: Sequence[tuple[Fraction, Fraction]] = field(default=())


@dataclass(frozen=True)
class Point:
    """A moment at which the portfolio is valued: a flow, or a close (the last one: now), where nothing flows."""

    date: date
    before: Fraction
    after: Fraction
    is_flow: bool


def points(days: Sequence[Day]) -> list[Point]:
    """Return the moments of the series in order; a flow of nothing is none."""
    found = []
    for day in days:
        found += [Point(day.date, before, before + flow, is_flow=True) for before, flow in day.flows if flow]
        found.append(Point(day.date, day.value, day.value, is_flow=False))
    return found


def growth(timeline: Sequence[Point], begin: int) -> Fraction | None:
    """Return what 1 becomes from just after point ``begin`` to the last one: pieces between flows, linked.

    None where a piece starts at 0 or below.
    """
    total, start = Fraction(1), timeline[begin].after
    for point in [*(point for point in timeline[begin + 1 : -1] if point.is_flow), timeline[-1]]:
        if start <= 0:
            return None
        total, start = total * point.before / start, point.after
    return total


def first_flow(timeline: Sequence[Point]) -> int | None:
    return next((place for place, point in enumerate(timeline) if point.is_flow), None)


def period_return(days: Sequence[Day], period: str) -> Fraction | None:
    """Return the return of the last day's day, month or year up to its value."""
    timeline, of = points(days), PERIODS[period]
    start, today = first_flow(timeline), days[-1].date
    if start is None or len(days) < 2:
        return None
    earlier = [place for place, point in enumerate(timeline) if not point.is_flow and of(point.date) != of(today)]
    grown = growth(timeline, max([start, *earlier]))
    return None if grown is None else grown - 1


def since_inception(days: Sequence[Day]) -> Fraction | None:
    timeline = points(days)
    start = first_flow(timeline)
    grown = None if start is None else growth(timeline, start)
    return None if grown is None else grown - 1


def daily_returns(days: Sequence[Day]) -> list[Fraction]:
    """Return the returns of all days that have one, the last day's among them."""
    each = (period_return(days[:count], "daily") for count in range(1, len(days) + 1))
    return [one for one in each if one is not None]


def mean(returns: Sequence[Fraction]) -> Fraction:
    return sum(returns, Fraction()) / len(returns)


def yearly_variance(returns: Sequence[Fraction]) -> Fraction | None:
    """Return the square of the volatility: the variance of a sample times 252."""
    if len(returns) < 2:
        return None
    middle = mean(returns)
    return sum(((one - middle) ** 2 for one in returns), Fraction()) / (len(returns) - 1) * 252


def max_drawdown(days: Sequence[Day]) -> Fraction | None:
    """Return the deepest fall below an earlier height, over the closes and now, with 1 at the start."""
    timeline = points(days)
    start = first_flow(timeline)
    if start is None or len(days) < 2:
        return None
    peak, deepest = Fraction(1), Fraction()
    for count in range(1, len(days) + 1):
        so_far = points(days[:count])
        if len(so_far) <= start:
            continue
        grown = growth(so_far, start)
        if grown is None:
            return None
        peak = max(peak, grown)
        deepest = min(deepest, grown / peak - 1)
    return deepest
