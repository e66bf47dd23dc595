"""Legal figures without sense stop no view: growth beyond all measure is undefined, and the rest goes on."""

from __future__ import annotations

import json
from decimal import Decimal

from domain.values import ZERO
from read_side.analytics import analytics_json, performance_json
from tests.domain.portfolios import buy, dividend, withdrawal
from tests.projections.market import EVER, Market, day
from tests.projections.test_returns import row

MOST = "999999999999999"


def test_an_account_emptied_and_filled_by_dividends_again_and_again() -> None:
    market = Market().open("P", "0.0000000000000001").open("Q", "100").update("Q", day(0), buy("A", "1", "10"))
    for number in range(100):
        pair = (dividend("B", MOST, "1"), withdrawal(MOST))
        market.update("P", day(number % 20), *(pair * 10))
    market.prices(day(30), A="11").prices(day(31), A="12")
    assert row(market).returns.inception is not None
    for figures in (analytics_json(market.track("P"), ZERO), performance_json(market.track("P"), EVER, ZERO)):
        assert json.loads(figures)["daily_return"] is None
    assert json.loads(analytics_json(market.track("Q"), ZERO), parse_float=Decimal)["total_return"] == Decimal("0.02")
