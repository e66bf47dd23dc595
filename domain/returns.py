"""Time-weighted returns and what is made of the daily series: linked pieces, deviation, drawdown (contract "Daily
series and returns"; the method is the true time-weighted return of the GIPS standards, valued at every external flow).

A horizon (day, month, year, inception) is what a return is measured over. It is a product of linked pieces and the
value at which the running piece began; an external flow ends a piece and begins the next one.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec

from domain.values import DIVIDE, EXACT, ONE, ZERO

TRADING_DAYS = Decimal(252)
_MAX_DIGITS = 40
"""Growth with more digits before the point is no return but an account that was all but empty: it is undefined."""
_DUST = Decimal("1E-30")
"""A variance below it is what rounding leaves of equal returns: none."""


class Horizon(msgspec.Struct, frozen=True, gc=False):
    """``linked`` is the product of the pieces that have ended, None once one of them began at 0 or below;
    ``start`` is the value just after the flow, or at the close, at which the running piece began.
    """

    linked: Decimal | None
    start: Decimal

    def growth(self, worth: Decimal) -> Decimal | None:
        """Return the value of 1 since the beginning, now that the portfolio is worth so much; None: undefined."""
        if self.linked is None or self.start <= 0:
            return None
        growth = DIVIDE.divide(DIVIDE.multiply(self.linked, worth), self.start)
        return growth if growth.adjusted() < _MAX_DIGITS else None


class Closed(msgspec.Struct, frozen=True, gc=False):
    """A day as it was closed; ``growth`` is that of the day, None on the first one and where it is undefined."""

    date: date
    total_value: Decimal
    net_flow: Decimal
    growth: Decimal | None


class Returns(msgspec.Struct, frozen=True, gc=False):
    """What has to be known of the past to measure returns at any value; everything before the open day is closed.

    The four horizons are None until the first external flow. ``count``, ``total`` and ``squares`` are the number, the
    sum and the sum of squares of the closed days' returns; ``peak`` is the highest growth since inception at a close
    (at least 1), ``trough`` the lowest drawdown, 0 or negative, None where growth was undefined.
    """

    day: Horizon | None = None
    month: Horizon | None = None
    year: Horizon | None = None
    inception: Horizon | None = None
    net_flow: Decimal = ZERO
    """External flows of the open day."""
    closed: int = 0
    """Number of closed days."""
    count: int = 0
    total: Decimal = ZERO
    squares: Decimal = ZERO
    peak: Decimal = ONE
    trough: Decimal | None = ZERO


class Measured(msgspec.Struct, frozen=True, gc=False):
    """Returns at one value; each None where it is undefined or the series is too short."""

    daily: Decimal | None
    month_to_date: Decimal | None
    year_to_date: Decimal | None
    since_inception: Decimal | None
    volatility: Decimal | None
    sharpe_ratio: Decimal | None
    max_drawdown: Decimal | None


def with_flow(returns: Returns, flow: Decimal, before: Decimal) -> Returns:
    """Return the returns after an external flow into (negative: out of) a portfolio worth ``before`` just before it.

    A flow of nothing is none: shares that come in at 0 while no price of theirs is known begin nothing.
    """
    if not flow:
        return returns
    after = EXACT.add(before, flow)

    def linked(horizon: Horizon | None) -> Horizon:
        return Horizon(ONE, after) if horizon is None else Horizon(horizon.growth(before), after)

    return msgspec.structs.replace(
        returns,
        day=linked(returns.day),
        month=linked(returns.month),
        year=linked(returns.year),
        inception=linked(returns.inception),
        net_flow=EXACT.add(returns.net_flow, flow),
    )


def close(returns: Returns, today: date, worth: Decimal, following: date) -> tuple[Closed, Returns]:
    """Close the open day at this value; return it, and the returns with the day ``following`` open."""
    growth = _growth(returns.day, worth) if returns.closed else None
    count, total, squares = _with_return(returns, growth)
    peak, trough = _with_drawdown(returns, _growth(returns.inception, worth))
    anew = Horizon(ONE, worth)
    same_month = (following.year, following.month) == (today.year, today.month)
    after = msgspec.structs.replace(
        returns,
        day=returns.day and anew,
        month=returns.month if same_month else returns.month and anew,
        year=returns.year if following.year == today.year else returns.year and anew,
        net_flow=ZERO,
        closed=returns.closed + 1,
        count=count,
        total=total,
        squares=squares,
        peak=peak,
        trough=trough,
    )
    return Closed(today, worth, returns.net_flow, growth), after


def measure(returns: Returns, worth: Decimal, risk_free_rate: Decimal = ZERO) -> Measured:
    """Return the returns of a portfolio that is worth so much now, the open day among its daily series.

    ``risk_free_rate`` is a year's. The deviation is that of a sample, times the root of 252 trading days; the Sharpe
    ratio is (mean daily return * 252 - rate) / deviation.
    """
    earlier = returns.closed > 0
    daily = _growth(returns.day, worth) if earlier else None
    inception = _growth(returns.inception, worth)
    volatility, mean = _deviation(*_with_return(returns, daily))
    sharpe = None
    if volatility and mean is not None:
        sharpe = DIVIDE.divide(DIVIDE.subtract(DIVIDE.multiply(mean, TRADING_DAYS), risk_free_rate), volatility)
    started = earlier and returns.inception is not None
    return Measured(
        daily=_less_one(daily),
        month_to_date=_less_one(_growth(returns.month, worth)) if earlier else None,
        year_to_date=_less_one(_growth(returns.year, worth)) if earlier else None,
        since_inception=_less_one(inception),
        volatility=volatility,
        sharpe_ratio=sharpe,
        max_drawdown=_with_drawdown(returns, inception)[1] if started else None,
    )


def _growth(horizon: Horizon | None, worth: Decimal) -> Decimal | None:
    return None if horizon is None else horizon.growth(worth)


def _less_one(growth: Decimal | None) -> Decimal | None:
    return None if growth is None else DIVIDE.subtract(growth, ONE)


def _with_return(returns: Returns, growth: Decimal | None) -> tuple[int, Decimal, Decimal]:
    """Return number, sum and sum of squares of the daily returns with one more; an undefined one does not count."""
    if growth is None:
        return returns.count, returns.total, returns.squares
    change = DIVIDE.subtract(growth, ONE)
    squares = DIVIDE.add(returns.squares, DIVIDE.multiply(change, change))
    return returns.count + 1, DIVIDE.add(returns.total, change), squares


def _with_drawdown(returns: Returns, growth: Decimal | None) -> tuple[Decimal, Decimal | None]:
    """Return peak and trough with one more growth since inception; before the start they stay as they are."""
    if returns.inception is None:
        return returns.peak, returns.trough
    if growth is None or returns.trough is None:
        return returns.peak, None
    peak = max(returns.peak, growth)
    return peak, min(returns.trough, DIVIDE.subtract(DIVIDE.divide(growth, peak), ONE))


def _deviation(count: int, total: Decimal, squares: Decimal) -> tuple[Decimal | None, Decimal | None]:
    """Return the yearly deviation of a sample of daily returns, and their mean; None where there are too few."""
    if count < 2:
        return None, None
    mean = DIVIDE.divide(total, Decimal(count))
    variance = DIVIDE.divide(DIVIDE.subtract(squares, DIVIDE.multiply(total, mean)), Decimal(count - 1))
    if variance < _DUST:
        variance = ZERO
    return DIVIDE.sqrt(DIVIDE.multiply(variance, TRADING_DAYS)), mean
