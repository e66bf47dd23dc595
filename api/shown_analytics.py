"""The shapes of analytics and performance as the OpenAPI document shows them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Final

from pydantic import Field

from api.shown import Figure, Shown


class PortfolioAnalytics(Shown):
    """How a portfolio stands and how it has done; ratios have six places, null is what cannot be said."""

    portfolio_id: str
    as_of: datetime
    """The portfolio's clock: the latest time of its updates and of the prices of what it holds."""
    total_value: Figure
    cash_balance: Figure
    long_exposure: Figure
    short_exposure: Figure
    """Positive."""
    gross_exposure: Figure
    net_exposure: Figure
    leverage: Figure | None
    """Gross exposure over total value; null when that is 0."""
    position_count: int
    largest_weight: Figure
    """Of the weights without cash and without sign, as the two below."""
    top_five_weight: Figure
    hhi: Figure
    """Herfindahl-Hirschman index: the sum of the squared weights."""
    realized_pnl: Figure
    """Of sales and covers, at average cost."""
    unrealized_pnl: Figure
    income: Figure
    """Dividends."""
    fees: Figure
    total_return: Figure | None
    """Time-weighted since inception."""
    daily_return: Figure | None
    mtd_return: Figure | None
    ytd_return: Figure | None
    volatility: Figure | None
    """Sample deviation of the daily returns times the root of 252."""
    sharpe_ratio: Figure | None
    """Mean daily return times 252, less RISK_FREE_RATE, over the volatility."""
    max_drawdown: Figure | None
    """Deepest fall from a peak of the closes, 0 or negative."""


class PerformanceDay(Shown):
    """One UTC day of the portfolio's own clock."""

    date: date
    total_value: Figure
    """At the prices before the first event of a later day; the open day's is as it is now."""
    net_flow: Figure
    """External flows: deposits, withdrawals and shares moved in and out at market value."""
    growth: Annotated[Figure | None, Field(alias="return")]
    """Time-weighted, null on the first day."""


class Performance(Shown):
    """Time-weighted returns now, and the daily series (seed 003 ``PerformanceData``)."""

    portfolio_id: str
    as_of: datetime
    daily_return: Figure | None
    """Against the last close of the previous day, as the two below against that of the year and the month."""
    ytd_return: Figure | None
    mtd_return: Figure | None
    since_inception: Figure | None
    series: list[PerformanceDay]


ANALYTICS: Final[dict[str, Any]] = {
    "portfolio_id": "ACC-1",
    "as_of": "2025-06-23T20:00:00Z",
    "total_value": 101250,
    "cash_balance": 26125,
    "long_exposure": 75125,
    "short_exposure": 0,
    "gross_exposure": 75125,
    "net_exposure": 75125,
    "leverage": 0.741975,
    "position_count": 1,
    "largest_weight": 0.741975,
    "top_five_weight": 0.741975,
    "hhi": 0.550527,
    "realized_pnl": 0,
    "unrealized_pnl": 1250,
    "income": 0,
    "fees": 0,
    "total_return": 0.0125,
    "daily_return": 0.0125,
    "mtd_return": 0.0125,
    "ytd_return": 0.0125,
    "volatility": None,
    "sharpe_ratio": None,
    "max_drawdown": 0,
}
PERFORMANCE: Final[dict[str, Any]] = {
    "portfolio_id": "ACC-1",
    "as_of": "2025-06-23T20:00:00Z",
    "daily_return": 0.0125,
    "ytd_return": 0.0125,
    "mtd_return": 0.0125,
    "since_inception": 0.0125,
    "series": [
        {"date": "2025-06-20", "total_value": 100000, "net_flow": 100000, "return": None},
        {"date": "2025-06-23", "total_value": 101250, "net_flow": 0, "return": 0.0125},
    ],
}
