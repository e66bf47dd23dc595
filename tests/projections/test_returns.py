"""The view of returns: a function of the log alone, and when days end, what flows, and who holds what."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import Broken
from domain.portfolio import Status
from domain.returns import Closed
from domain.values import DIVIDE
from projections.rebuild import rebuild, verify
from projections.returns import RETURNS_PROJECTOR
from read_side.adapters.postgres_builder import PostgresBuilder
from read_side.returns import (
    RETURNS,
    ClosedDays,
    Holders,
    PortfolioReturns,
    days_key,
    holders_key,
    month_of,
    portfolio_key,
    price_key,
)
from tests.domain.portfolios import buy, cover, deposit, dividend, fee, move_in, move_out, sell, short, withdrawal
from tests.projections.logs import append, content, deposited, process
from tests.projections.market import Market, day, folded, markets, random_market
from tests.projections.quoting import recorded
from tests.projections.running import running


def closed(market: Market, portfolio_id: str = "P") -> list[tuple[date, str, str]]:
    """Return the closed days of the portfolio: date, value at the close, external flows."""
    return [(one.date, str(one.total_value), str(one.net_flow)) for one in market.track(portfolio_id).days]


def row(market: Market, portfolio_id: str = "P") -> PortfolioReturns:
    return market.track(portfolio_id).row


def open_day(market: Market, portfolio_id: str = "P") -> date:
    return market.track(portfolio_id).as_of.date()


def growths(market: Market, portfolio_id: str = "P") -> list[Decimal | None]:
    return [one.growth for one in market.track(portfolio_id).days]


def holders(market: Market, instrument_id: str) -> tuple[str, ...]:
    found = market.rows().get(holders_key(instrument_id))
    return found.portfolio_ids if isinstance(found, Holders) else ()


def on(number: int) -> date:
    return day(number).date()


def one_share(at: float = 1) -> Market:
    """P has 100 of cash on day 0 and buys one A at 10 in the morning of day 1, which is then worth 12."""
    market = Market().open("P", "100").update("P", day(0), deposit("1"))
    return market.update("P", day(1, 8 + at), buy("A", "1", "10")).prices(day(1, 10 + at), A="12")


@settings(max_examples=120, deadline=None)
@given(markets, st.sampled_from([1, 7, 2_000]), st.booleans())
def test_pages_of_any_size_with_rows_known_or_looked_up_make_the_same_bytes(
    market: Market, size: int, remembers: bool
) -> None:
    events = recorded(market.events)
    at_once = {key: RETURNS.encode(row) for key, row in market.rows().items()}
    assert folded(events, size, remembers=remembers) == at_once


@settings(max_examples=30, deadline=None)
@given(markets, st.integers(0, 80))
def test_whatever_was_made_before_a_page_is_stored_can_be_made_again(market: Market, cut: int) -> None:
    """A page that was lost after it was folded leaves nothing: rows are never changed in place."""
    events = recorded(market.events)
    rows = dict(RETURNS_PROJECTOR.fold({}, events[:cut]))
    before = {key: RETURNS.encode(row) for key, row in rows.items() if row is not None}
    known = {key: row for key, row in rows.items() if row is not None}
    first = RETURNS_PROJECTOR.fold(known, events[cut:])
    assert {key: RETURNS.encode(row) for key, row in known.items()} == before
    assert RETURNS_PROJECTOR.fold(known, events[cut:]) == first


@pytest.mark.parametrize("page_size", [1, 7, 2_000])
async def test_incremental_is_rebuilt_byte_for_byte(database_url: str, page_size: int) -> None:
    head = await append(database_url, *random_market(7, 150).events)
    async with process(database_url) as one:
        async with running(one, projector=RETURNS_PROJECTOR, page_size=page_size):
            await one.store.wait_for(RETURNS, head, 60)
        incremental = await content(database_url, RETURNS)
        builder = PostgresBuilder(database_url)
        compared = await verify(RETURNS_PROJECTOR, one.history, builder)
        assert (compared.position, compared.differences) == (head, [])
        assert (await rebuild(RETURNS_PROJECTOR, one.history, builder)).switched
    assert await content(database_url, RETURNS) == incremental


def test_prices_at_the_border_of_the_day_close_it_with_the_old_ones() -> None:
    market = one_share().prices(day(2, 0) - timedelta(microseconds=1), A="15")
    assert closed(market) == [(on(0), "101", "101")]
    market.prices(day(2, 0), A="20")
    assert closed(market)[1:] == [(on(1), "106", "0")]
    assert (open_day(market), market.track("P").as_of) == (on(2), day(2, 0))


def test_a_trade_of_one_closes_the_day_of_all_other_holders_at_the_prices_before_it() -> None:
    market = one_share().open("Q", "100").update("Q", day(1), buy("A", "2", "12"))
    market.open("R", "5").update("R", day(1), deposit("1")).update("Q", day(3), sell("A", "2", "30"))
    assert closed(market)[1:] == [(on(1), "103", "0")]
    assert closed(market, "Q") == [(on(1), "100", "100")]
    assert closed(market, "R") == []
    assert [open_day(market, each) for each in "PQR"] == [on(3), on(3), on(1)]


def test_an_upload_closes_the_day_of_everyone_who_holds_one_of_its_instruments_once() -> None:
    market = one_share().update("P", day(1), buy("B", "1", "5")).open("Q", "9").update("Q", day(1), buy("B", "1", "5"))
    market.prices(day(4), A="1", B="2", C="3")
    assert (closed(market)[1:], closed(market, "Q")) == ([(on(1), "103", "0")], [(on(1), "9", "9")])


@pytest.mark.parametrize("at", [day(1, 10.5), day(0), day(-700)])
def test_a_price_of_an_earlier_time_than_the_one_known_changes_nothing(at: datetime) -> None:
    market = one_share()
    before = market.rows()
    assert market.prices(at, A="1000").rows() == before


def test_a_price_of_the_same_time_counts_and_one_of_an_instrument_not_held_changes_no_portfolio() -> None:
    market = one_share()
    before = row(market)
    market.prices(day(1, 11), A="13").prices(day(9), B="4")
    assert row(market) == before
    assert market.track("P").book["A"].price == 13


def test_a_later_price_on_the_day_of_the_one_known_does_not_touch_its_holders() -> None:
    market = one_share()
    before = row(market)
    assert row(market.prices(day(1, 23), A="14")) == before
    assert market.track("P").as_of == day(1, 23)


def test_an_event_dated_earlier_counts_on_the_open_day_and_nothing_closed_is_restated() -> None:
    market = one_share().prices(day(5), A="20")
    before = closed(market)
    market.update("P", day(0), deposit("7")).update("P", day(-300), fee("1"))
    assert closed(market) == before
    assert row(market).returns.net_flow == 7
    assert closed(market.prices(day(6), A="1"))[-1] == (on(5), "117", "7")


def test_a_purchase_of_what_has_a_price_of_a_later_day_first_closes_the_open_day() -> None:
    market = Market().open("P", "100").prices(day(3), A="50").update("P", day(1), deposit("1"))
    market.update("P", day(2), buy("A", "1", "10"))
    assert closed(market) == [(on(1), "101", "101")]
    assert (open_day(market), row(market).clock) == (on(3), day(3))


@pytest.mark.parametrize("there", ["sell", "cover", "out"])
def test_the_clock_keeps_the_time_of_a_price_whose_position_has_gone(there: str) -> None:
    first, last = {
        "sell": (buy("A", "1", "10"), sell("A", "1", "11")),
        "cover": (short("A", "1", "10"), cover("A", "1", "11")),
        "out": (move_in("A", "1", "10"), move_out("A", "1")),
    }[there]
    market = Market().open("P", "100").update("P", day(1, 1), first).prices(day(1, 20), A="12")
    market.update("P", day(1, 3), last)
    assert (row(market).clock, market.track("P").book) == (day(1, 20), {})


def test_the_opening_does_not_move_the_clock_and_its_cash_falls_on_the_first_day() -> None:
    market = Market().open("P", "100", at=day(0))
    assert (row(market).clock, row(market).months, market.track("P").as_of) == (None, (), day(0))
    market.update("P", day(4), deposit("3")).update("P", day(5), fee("1"))
    assert closed(market) == [(on(4), "103", "103")]
    assert row(market).months == (month_of(on(4)),)


def test_a_status_and_a_dividend_of_what_is_not_held_close_what_their_time_closes() -> None:
    market = one_share().prices(day(7), Z="9").become("P", day(3), Status.SUSPENDED)
    assert len(closed(market)) == 1, "a status is no update"
    market.update("P", day(2), dividend("Z", "1", "0.5"))
    assert closed(market)[1:] == [(on(1), "103", "0")]
    assert open_day(market) == on(2), "the price of the payer, which is not held, does not move the clock"


def test_flows_are_valued_just_before_each() -> None:
    """100 becomes 110 (+10 %), another 110 comes, 220 become 242 (+10 %), 142 go, 100 become 90 (-10 %)."""
    market = Market().open("P", "0").update("P", day(0), deposit("100"), buy("A", "10", "10"))
    market.prices(day(1), A="11").update("P", day(1), deposit("110"), buy("A", "10", "11"))
    market.prices(day(1, 13), A="12.1").update("P", day(1, 13), sell("A", "12", "12.1"), withdrawal("142"))
    # 3.2 of cash and 8 A at 12.1 are left: 100.
    market.prices(day(1, 14), A="10.85").prices(day(2), A="1")
    assert closed(market) == [(on(0), "100", "100"), (on(1), "90.00", "-32")]
    assert growths(market) == [None, Decimal("1.089")]


def test_shares_moved_in_and_out_are_flows_at_market_value_and_profit_or_income_is_none() -> None:
    market = Market().open("P", "0").prices(day(0), A="20").update("P", day(0), move_in("A", "5", "1"))
    market.update("P", day(0), dividend("A", "5", "2"), fee("1"), move_out("A", "2"))
    assert closed(market.prices(day(1), A="1")) == [(on(0), "69", "60")]


def test_shares_without_a_known_price_come_in_at_their_cost_and_free_ones_at_nothing() -> None:
    market = Market().open("P").update("P", day(0), move_in("A", "5", "3"), move_in("B", "5", "0"))
    assert row(market).returns.net_flow == 15
    assert market.track("P").book["A"].price == 3
    market.update("P", day(0), move_out("B", "1"), move_in("A", "1", "100"))
    assert row(market).returns.net_flow == 18
    assert closed(market.prices(day(1), B="8")) == [(on(0), "18", "18")]


def test_who_holds_what_is_known_in_the_order_in_which_they_came_to() -> None:
    market = Market()
    for each in "PQR":
        market.open(each, "100").update(each, day(0), buy("A", "2", "1"))
    assert holders(market, "A") == ("P", "Q", "R")
    market.update("Q", day(0), sell("A", "1", "1"))
    assert holders(market, "A") == ("P", "Q", "R")
    market.update("Q", day(0), sell("A", "1", "1"))
    assert holders(market, "A") == ("P", "R")
    market.update("Q", day(0), short("A", "1", "1"))
    assert holders(market, "A") == ("P", "R", "Q")
    market.update("Q", day(0), cover("A", "1", "1"), move_in("A", "1", "1"), dividend("A", "1", "1"))
    assert holders(market, "A") == ("P", "R", "Q")
    for each in "PRQ":
        held = market.portfolios[each].positions["A"].quantity
        market.update(each, day(0), move_out("A", str(held)))
    assert holders(market, "A") == ()
    assert holders_key("A") not in market.rows()


def test_prices_do_not_reach_who_has_sold_until_it_buys_again() -> None:
    market = one_share().update("P", day(1), sell("A", "1", "12")).prices(day(4), A="99")
    assert (len(closed(market)), open_day(market)) == (1, on(1))
    market.update("P", day(2), buy("A", "1", "12"))
    assert (closed(market)[1:], open_day(market)) == ([(on(1), "103", "0")], on(4))
    assert closed(market.prices(day(6), A="1"))[2:] == [(on(4), "190", "0")]


def test_closed_days_stand_in_rows_of_their_month_with_the_position_that_closed_them() -> None:
    market = one_share().prices(day(3), A="13").prices(day(40), A="14")
    rows = market.rows()
    months = {key: value for key, value in rows.items() if isinstance(value, ClosedDays)}
    assert list(months) == ["days/P/2024-12", "days/P/2025-01"]
    assert [one.date for one in months["days/P/2024-12"].days] == [on(0), on(1)]
    [third] = months["days/P/2025-01"].days
    assert third == Closed(on(3), Decimal(104), Decimal(0), DIVIDE.divide(Decimal(104), Decimal(103)))
    assert [value.position for value in months.values()] == [5, 6]
    assert days_key("P", month_of(on(3))) == "days/P/2025-01"
    assert rows[portfolio_key("P")].position == 6
    assert rows[price_key("A")].position == 6


@pytest.mark.parametrize("events", [[deposited("P", 2, "1")], one_share().events[1:]])
def test_an_event_of_a_portfolio_that_was_never_opened_is_broken(events: list[Any]) -> None:
    with pytest.raises(Broken, match="never opened"):
        RETURNS_PROJECTOR.fold({}, recorded(events))
