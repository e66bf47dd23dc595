"""Analytics and performance on examples worked out by hand, to the byte."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from domain.errors import NotFound, NotYet
from domain.values import ZERO
from projections.returns import RETURNS_PROJECTOR
from read_side.analytics import Analytics, analytics_json, performance_json
from read_side.returns import Tracks
from tests.api.doubles import AtOnce, Behind
from tests.api.folded import FoldedViews
from tests.domain.portfolios import buy, cover, deposit, dividend, fee, move_in, sell, short, withdrawal
from tests.projections.market import EVER, Market, day
from tests.write_side.stores import by


def analytics(market: Market, rate: str = "0") -> dict[str, Any]:
    body = analytics_json(market.track("P"), Decimal(rate))
    found: dict[str, Any] = json.loads(body, parse_float=str, parse_int=str)
    return found


def performance(market: Market, first: date = EVER[0], last: date = EVER[1]) -> dict[str, Any]:
    track = market.track("P")
    days = tuple(each for each in track.days if first <= each.date <= last)
    found: dict[str, Any] = json.loads(
        performance_json(type(track)(track.row, track.book, days, track.stamp, track.checkpoint), (first, last), ZERO),
        parse_float=str,
        parse_int=str,
    )
    return found


def picked(found: dict[str, Any], names: str) -> list[Any]:
    return [found[name] for name in names.split()]


def long_and_short() -> Market:
    """10 A bought at 100 and now at 110; 5 B sold short at 200 and now at 190; 10000 of cash before and after."""
    market = Market().open("P", "10000").update("P", day(0), buy("A", "10", "100"), short("B", "5", "200"))
    return market.prices(day(0, 13.5), A="110", B="190")


def ten_up_ten_down() -> Market:
    """100 on 30 December, 110 on the 31st, 99 on 1 January."""
    market = Market().open("P").update("P", day(0), deposit("100"), buy("A", "10", "10"))
    return market.prices(day(1), A="11").prices(day(2), A="9.9")


def test_a_book_of_long_and_short_positions_to_the_byte() -> None:
    assert analytics_json(long_and_short().track("P"), ZERO).decode() == (
        '{"portfolio_id":"P","as_of":"2024-12-30T13:30:00Z","total_value":10150.00,"cash_balance":10000.00,'
        '"long_exposure":1100.00,"short_exposure":950.00,"gross_exposure":2050.00,"net_exposure":150.00,'
        '"leverage":0.20197,"position_count":2,"largest_weight":0.108374,"top_five_weight":0.20197,"hhi":0.020505,'
        '"realized_pnl":0.00,"unrealized_pnl":150.00,"income":0.00,"fees":0.00,"total_return":0.015,'
        '"daily_return":null,"mtd_return":null,"ytd_return":null,"volatility":null,"sharpe_ratio":null,'
        '"max_drawdown":null}'
    )


def test_profit_is_of_trades_alone_beside_dividends_and_fees() -> None:
    market = long_and_short().update("P", day(0), sell("A", "4", "120"), cover("B", "2", "210"))
    market.update("P", day(0), dividend("C", "10", "0.125"), fee("2.5"), move_in("A", "1", "7"), withdrawal("3"))
    found = analytics(market)
    # A: 4 * 20 - 2 * 10; what is left: 6 at 100 and 1 at 7, all at 110; 3 B short at 200, now 190.
    assert picked(found, "realized_pnl income fees unrealized_pnl") == ["60.00", "1.25", "2.50", "193.00"]


@pytest.mark.parametrize(
    ("price", "total", "leverage", "weight", "hhi"),
    [
        ("100", "0.00", None, "0", "0"),
        ("50", "-50.00", "-1", "1", "1"),
        ("400", "300.00", "1.333333", "1.333333", "1.777778"),
    ],
)
def test_a_total_of_nothing_has_no_leverage_and_no_weights(
    price: str, total: str, leverage: str | None, weight: str, hhi: str
) -> None:
    market = Market().open("P").update("P", day(0), buy("A", "1", "100")).prices(day(0), A=price)
    found = analytics(market)
    assert picked(found, "total_value leverage largest_weight top_five_weight hhi") == [
        total,
        leverage,
        weight,
        weight,
        hhi,
    ]
    assert found["total_return"] is None, "nothing has ever come in from outside"


def test_without_positions() -> None:
    found = analytics(Market().open("P", "5"))
    assert picked(found, "leverage position_count largest_weight top_five_weight hhi") == ["0"] * 5
    assert picked(found, "as_of gross_exposure unrealized_pnl") == ["2024-12-30T00:00:00Z", "0.00", "0.00"]


def test_a_position_without_a_price_is_worth_nothing_and_counts() -> None:
    found = analytics(Market().open("P", "5").update("P", day(0), move_in("A", "3", "0")))
    assert picked(found, "position_count long_exposure largest_weight total_value") == ["1", "0.00", "0", "5.00"]


def test_the_five_largest_of_seven_shorts_among_them() -> None:
    market = Market().open("P", "100")
    for number, name in enumerate("ABCDEFG", 1):
        market.update("P", day(0), (buy if number % 2 else short)(name, str(number), "1"))
    # cash 100 - (1 + 3 + 5 + 7) + (2 + 4 + 6) = 96, total 100
    found = analytics(market)
    assert picked(found, "total_value largest_weight top_five_weight hhi") == ["100.00", "0.07", "0.25", "0.014"]


def test_concentration_is_rounded_once_from_the_exact_value() -> None:
    """The sum of three weights of 30 million is 0.1234575 exactly; each of them alone has no end."""
    market = Market().open("P", "30000000")
    market.update("P", day(0), *(buy(name, size, "1") for name, size in zip("ABC", ("1", "1", "3703723"), strict=True)))
    assert analytics(market)["top_five_weight"] == "0.123458"


def test_the_returns_of_three_days_over_the_end_of_a_year() -> None:
    found = analytics(ten_up_ten_down(), rate="0.02")
    assert picked(found, "daily_return mtd_return ytd_return total_return") == ["-0.1", "-0.1", "-0.1", "-0.01"]
    # 0.1 and -0.1: mean 0, variance of the sample 0.02, times 252 is 5.04
    assert picked(found, "volatility sharpe_ratio max_drawdown") == ["2.244994", "-0.008909", "-0.1"]
    found = analytics(ten_up_ten_down().prices(day(3), A="10.89"))
    assert picked(found, "daily_return mtd_return ytd_return total_return") == ["0.1", "-0.01", "-0.01", "0.089"]
    assert found["max_drawdown"] == "-0.1"


def test_figures_are_null_while_the_series_is_too_short() -> None:
    names = "daily_return mtd_return ytd_return volatility sharpe_ratio max_drawdown"
    market = Market().open("P").update("P", day(0), deposit("100"), buy("A", "10", "10"))
    assert picked(analytics(market), names) == [None] * 6
    assert picked(analytics(market.prices(day(1), A="11")), names) == ["0.1", "0.1", "0.1", None, None, "0"]
    market.prices(day(2), A="12.1")
    assert picked(analytics(market), names) == ["0.1", "0.1", "0.1", "0", None, "0"], "no deviation, no ratio"


def test_a_piece_that_starts_at_nothing_makes_the_returns_over_it_null() -> None:
    market = ten_up_ten_down().update("P", day(2), sell("A", "10", "9.9"), withdrawal("99"), deposit("50"))
    found = analytics(market)
    assert picked(found, "daily_return mtd_return ytd_return total_return max_drawdown") == [None] * 5
    found = analytics(market.update("P", day(3), fee("5")))
    assert picked(found, "daily_return mtd_return total_return") == ["-0.1", None, None]


def test_performance_to_the_byte_the_open_day_last() -> None:
    market = ten_up_ten_down().update("P", day(2), deposit("0.005"))
    assert performance_json(market.track("P"), EVER, ZERO).decode() == (
        '{"portfolio_id":"P","as_of":"2025-01-01T12:00:00Z","daily_return":-0.1,"ytd_return":-0.1,"mtd_return":-0.1,'
        '"since_inception":-0.01,"series":[{"date":"2024-12-30","total_value":100.00,"net_flow":100.00,"return":null},'
        '{"date":"2024-12-31","total_value":110.00,"net_flow":0.00,"return":0.1},'
        '{"date":"2025-01-01","total_value":99.00,"net_flow":0.00,"return":-0.1}]}'
    )


def test_a_portfolio_without_updates_has_no_series() -> None:
    found = performance(Market().open("P", "5"))
    assert found["series"] == []
    assert found["daily_return"] is None


D30, D31, D1 = "2024-12-30", "2024-12-31", "2025-01-01"


@pytest.mark.parametrize(
    ("first", "last", "dates"),
    [
        (None, None, [D30, D31, D1]),
        (D31, None, [D31, D1]),
        (None, D31, [D30, D31]),
        (D31, D31, [D31]),
        (D1, D1, [D1]),
        ("2025-01-02", None, []),
        (None, "2024-12-29", []),
        (D1, D30, []),
    ],
)
async def test_performance_from_and_to_a_day_both_included(
    first: str | None, last: str | None, dates: list[str]
) -> None:
    behind = Behind()
    await behind.log.append(ten_up_ten_down().events, by())
    queries = behind.queries().analytics
    span = [None if each is None else date.fromisoformat(each) for each in (first, last)]
    found = json.loads((await queries.performance("P", *span)).body, parse_float=str)
    assert [each["date"] for each in found["series"]] == dates
    assert found["since_inception"] == "-0.01", "the returns are those of now, whatever the span"


async def test_answers_are_made_anew_once_an_event_or_a_price_has_overtaken_them() -> None:
    behind, market = Behind(), ten_up_ten_down()
    queries = behind.queries().analytics
    position = (await behind.log.append(market.events, by())).position
    first = await queries.analytics("P", at_least=position)
    assert first.body == analytics_json(market.track("P"), ZERO)
    assert await queries.analytics("P", at_least=position) is first
    for number in range(2):
        known = len(market.events)
        market = market.update("P", day(2), fee("1")) if number else market.prices(day(2), A="30", Z="1")
        position = (await behind.log.append(market.events[known:], by())).position
        assert (await queries.analytics("P", at_least=position)).body == analytics_json(market.track("P"), ZERO)
    last = await queries.analytics("P")
    position = (await behind.log.append(market.prices(day(9), Z="2").events[-1:], by())).position
    assert await queries.analytics("P", at_least=position) is last, "nobody holds Z"


async def test_where_the_series_is_behind_facts_are_waited_for_and_prices_only_where_somebody_asks() -> None:
    behind, market = Behind(), ten_up_ten_down()
    states = behind.queries().states
    known = [*market.events]
    queries = Analytics(Tracks(FoldedViews(known, (RETURNS_PROJECTOR,)), AtOnce()), states)
    head = (await behind.log.append(market.prices(day(3), A="20").events, by())).position
    old = await queries.analytics("P")
    assert old.body == analytics_json(ten_up_ten_down().track("P"), ZERO)
    with pytest.raises(NotYet):
        await queries.analytics("P", at_least=head, wait=0)
    known.append(market.events[-1])
    assert (await queries.analytics("P")).body == analytics_json(market.track("P"), ZERO) != old.body
    await behind.log.append(market.update("P", day(3), fee("1")).events[head:], by())
    with pytest.raises(NotYet):
        await queries.analytics("P", wait=0)


async def test_what_is_not_there_and_what_is_not_there_yet() -> None:
    behind = Behind()
    queries = behind.queries().analytics
    await behind.log.append(Market().open("P").events, by())
    for unknown in ("Q", "portfolio/P", "a b", "", "\0", "\ud800"):
        with pytest.raises(NotFound):
            await queries.analytics(unknown)
        with pytest.raises(NotFound):
            await queries.performance(unknown, None, None)
    with pytest.raises(NotYet):
        await queries.analytics("P", at_least=2, wait=0)
    with pytest.raises(NotYet):
        await queries.performance("P", None, None, at_least=2, wait=0)
