"""Random markets: every figure of analytics and performance is what the contract's text makes of the list of events."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given, settings

from read_side.analytics import analytics_json, performance_json
from read_side.wire import moment
from tests.domain import series_model as model
from tests.domain.series_model import Day
from tests.projections.market import EVER, Market, markets
from tests.projections.series import Series, series_of

HALF = Fraction(1, 2 * 10**6) + Fraction(1, 10**25)
"""Half of the last place shown, and what a chain of quotients may lose."""
_CONTEXT = Context(prec=120, rounding=ROUND_HALF_EVEN)
RATE = Decimal("0.02")


def cents(exact: Fraction) -> Decimal:
    """Return the amount rounded half-even to cents."""
    return Decimal(round(exact * 100)).scaleb(-2)


def close(shown: Decimal | None, exact: Fraction | None) -> bool:
    if shown is None or exact is None:
        return shown is None and exact is None
    return abs(Fraction(shown) - exact) <= HALF


def shown(body: bytes) -> dict[str, Any]:
    found = json.loads(body, parse_float=Decimal, parse_int=Decimal)
    assert isinstance(found, dict)
    return found


def root(exact: Fraction) -> Fraction:
    return Fraction(_CONTEXT.sqrt(_CONTEXT.divide(Decimal(exact.numerator), Decimal(exact.denominator))))


def period(days: Sequence[Day], name: str) -> Fraction | None:
    return model.period_return(days, name) if days else None


def inception(series: Series) -> Fraction | None:
    """Return the cumulative return; before the first update there is no day to measure."""
    return model.since_inception(series.days) if series.days else None


def check_returns(found: Mapping[str, Any], series: Series) -> None:
    days = series.days
    assert found["as_of"] == moment(series.clock or series.opened)
    assert close(found["daily_return"], period(days, "daily"))
    assert close(found["mtd_return"], period(days, "month_to_date"))
    assert close(found["ytd_return"], period(days, "year_to_date"))


@settings(max_examples=150, deadline=None)
@given(markets)
def test_the_daily_series_and_the_returns(market: Market) -> None:
    for portfolio_id in market.portfolios:
        series = series_of(portfolio_id, market.events)
        found = shown(performance_json(market.track(portfolio_id), EVER, RATE))
        check_returns(found, series)
        assert close(found["since_inception"], inception(series))
        days = series.days
        assert [row["date"] for row in found["series"]] == [day.date.isoformat() for day in days]
        for count, (row, day) in enumerate(zip(found["series"], days, strict=True), 1):
            assert row["total_value"] == cents(day.value)
            assert row["net_flow"] == cents(sum((flow for _, flow in day.flows), Fraction()))
            assert close(row["return"], model.period_return(days[:count], "daily"))


@settings(max_examples=150, deadline=None)
@given(markets)
def test_what_analytics_says_of_the_series(market: Market) -> None:
    for portfolio_id in market.portfolios:
        series = series_of(portfolio_id, market.events)
        found, days = shown(analytics_json(market.track(portfolio_id), RATE)), series.days
        check_returns(found, series)
        assert close(found["total_return"], inception(series))
        assert close(found["max_drawdown"], model.max_drawdown(days) if days else None)
        returns = model.daily_returns(days)
        variance = model.yearly_variance(returns)
        assert (found["volatility"] is None) is (variance is None)
        if variance is None:
            assert found["sharpe_ratio"] is None
            continue
        deviation = root(variance)
        assert close(found["volatility"], deviation)
        sharpe = (model.mean(returns) * 252 - Fraction(RATE)) / deviation if deviation else None
        assert close(found["sharpe_ratio"], sharpe)


@settings(max_examples=150, deadline=None)
@given(markets)
def test_what_analytics_says_of_the_moment(market: Market) -> None:
    for portfolio_id in market.portfolios:
        series = series_of(portfolio_id, market.events)
        found = shown(analytics_json(market.track(portfolio_id), RATE))
        values = {name: size * series.price.get(name, 0) for name, size in series.held.items()}
        long = sum((value for value in values.values() if value > 0), Fraction())
        short = -sum((value for value in values.values() if value < 0), Fraction())
        total = series.worth
        weights = sorted((abs(value / total) if total else Fraction() for value in values.values()), reverse=True)
        assert found["total_value"] == cents(total)
        assert found["cash_balance"] == cents(series.cash)
        assert found["long_exposure"] == cents(long)
        assert found["short_exposure"] == cents(short)
        assert found["gross_exposure"] == cents(long + short)
        assert found["net_exposure"] == cents(long - short)
        assert close(found["leverage"], (long + short) / total if total else None)
        assert found["position_count"] == len(values)
        assert close(found["largest_weight"], max(weights, default=Fraction()))
        assert close(found["top_five_weight"], sum(weights[:5], Fraction()))
        assert close(found["hhi"], sum((weight * weight for weight in weights), Fraction()))
        assert found["realized_pnl"] == cents(series.realized)
        assert (found["income"], found["fees"]) == (cents(series.income), cents(series.fees))
