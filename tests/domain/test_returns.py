"""Time-weighted returns, worked by hand: what counts as a start, which pieces are linked, and what is undefined."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from itertools import pairwise

import pytest

from domain.returns import Closed, Measured, Returns, close, measure, with_flow
from domain.values import plain, ratio

JUNE_20, JUNE_21, JUNE_22, JUNE_23 = (date(2025, 6, day) for day in (20, 21, 22, 23))
Flow = tuple[str, str]
"""What the portfolio was worth just before, and what came in."""


Day = tuple[date, list[Flow], str]
"""A day, its flows and what the portfolio was worth at its close, or on the last day now."""


def lived(*days: Day) -> tuple[list[Closed], Measured]:
    """Return the closed days and the measure of the last one, at its value; each day has its flows and its value."""
    returns, closed = Returns(), []
    following: list[date | None] = [later[0] for _, later in pairwise(days)]
    for (today, flows, worth), tomorrow in zip(days, [*following, None], strict=True):
        for before, flow in flows:
            returns = with_flow(returns, Decimal(flow), Decimal(before))
        if tomorrow is not None:
            day, returns = close(returns, today, Decimal(worth), tomorrow)
            closed.append(day)
    return closed, measure(returns, Decimal(days[-1][2]))


def written(figure: Decimal | None) -> str | None:
    return None if figure is None else plain(figure)


def main_figures(measured: Measured) -> list[str | None]:
    """Return the returns of the day, the month, the year and since inception."""
    four = (measured.daily, measured.month_to_date, measured.year_to_date, measured.since_inception)
    return [written(figure) for figure in four]


# --- the plain case --------------------------------------------------------------------------------------------------


def test_opening_cash_alone_has_no_return_yet() -> None:
    _, measured = lived((JUNE_20, [("0", "100")], "100"))
    assert main_figures(measured) == [None, None, None, "0"]
    assert (measured.volatility, measured.sharpe_ratio, measured.max_drawdown) == (None, None, None)


def test_a_portfolio_without_flows_has_no_returns_at_all() -> None:
    closed, measured = lived((JUNE_20, [], "0"), (JUNE_21, [], "-5"), (JUNE_22, [], "5"))
    assert [day.growth for day in closed] == [None, None]
    assert main_figures(measured) == [None] * 4
    assert (measured.volatility, measured.sharpe_ratio, measured.max_drawdown) == (None, None, None)


def test_each_day_is_measured_against_the_close_of_the_day_before() -> None:
    # 100 -> 110 (first day: null) -> 99: 99 / 110 - 1 = -0.1; month, year, inception: 99 / 100 - 1 = -0.01
    closed, measured = lived((JUNE_20, [("0", "100")], "110"), (JUNE_21, [], "99"))
    assert closed == [Closed(JUNE_20, Decimal(110), Decimal(100), None)]
    assert main_figures(measured) == ["-0.1", "-0.01", "-0.01", "-0.01"]


def test_the_closed_day_keeps_its_growth_value_and_flow() -> None:
    # Day 2: 110 -> 121 before a deposit of 9 (1.1), then 130 -> 143 (1.1): 1.1 * 1.1 = 1.21
    closed, _ = lived((JUNE_20, [("0", "100")], "110"), (JUNE_21, [("121", "9")], "143"), (JUNE_22, [], "143"))
    assert closed[1] == Closed(JUNE_21, Decimal(143), Decimal(9), Decimal("1.21"))


def test_days_without_a_row_are_a_gap_that_the_next_day_spans() -> None:
    # Friday 100 -> Monday 120: +20 %, measured against the last close there is.
    _, measured = lived((JUNE_20, [("0", "100")], "100"), (JUNE_23, [], "120"))
    assert main_figures(measured) == ["0.2", "0.2", "0.2", "0.2"]


# --- flows -----------------------------------------------------------------------------------------------------------


def test_a_deposit_alone_is_no_performance() -> None:
    # 100 -> 100 before the flow, 1100 after it and at the end: 1 * 1 - 1 = 0
    _, measured = lived((JUNE_20, [("0", "100")], "100"), (JUNE_21, [("100", "1000")], "1100"))
    assert main_figures(measured) == ["0", "0", "0", "0"]


def test_several_flows_a_day_are_linked() -> None:
    # 100 -> 150 (1.5), +50 = 200 -> 160 (0.8), -60 = 100 -> 125 (1.25): 1.5 * 0.8 * 1.25 = 1.5
    flows = [("150", "50"), ("160", "-60")]
    closed, measured = lived((JUNE_20, [("0", "100")], "100"), (JUNE_21, flows, "125"), (JUNE_22, [], "125"))
    assert closed[1] == Closed(JUNE_21, Decimal(125), Decimal(-10), Decimal("1.5"))
    assert main_figures(measured) == ["0", "0.5", "0.5", "0.5"]


def test_flows_on_the_first_day_link_since_inception() -> None:
    # start 100 -> 120 (1.2), +80 = 200 -> 150 (0.75): 0.9; day 2: 150 -> 165 (1.1): 0.99
    _, measured = lived((JUNE_20, [("0", "100"), ("120", "80")], "150"), (JUNE_21, [], "165"))
    assert main_figures(measured) == ["0.1", "-0.01", "-0.01", "-0.01"]


def test_the_start_is_just_after_the_first_flow_even_if_there_were_days_before_it() -> None:
    # A day of -10 (bought on credit), the next opens at -10, gets 110 and is 100: then 100 -> 150.
    closed, measured = lived((JUNE_20, [], "-10"), (JUNE_21, [("-10", "110")], "150"))
    assert closed == [Closed(JUNE_20, Decimal(-10), Decimal(0), None)]
    assert main_figures(measured) == ["0.5", "0.5", "0.5", "0.5"]
    assert written(measured.max_drawdown) == "0"


def test_shares_moved_in_and_out_are_flows_at_market_value() -> None:
    # Shares worth 300 come in: 300 -> 330 (1.1); shares worth 110 go out: 220 -> 198 (0.9): 0.99
    _, measured = lived((JUNE_20, [("0", "300")], "300"), (JUNE_21, [("330", "-110")], "198"))
    assert main_figures(measured) == ["-0.01", "-0.01", "-0.01", "-0.01"]


def test_opening_cash_counts_on_the_first_day_and_a_deposit_the_same_day_is_linked() -> None:
    closed, measured = lived((JUNE_20, [("0", "50"), ("50", "50")], "100"), (JUNE_21, [], "101"))
    assert closed[0].net_flow == 100
    assert main_figures(measured) == ["0.01", "0.01", "0.01", "0.01"]


# --- what is undefined -----------------------------------------------------------------------------------------------


def test_a_day_that_starts_at_zero_has_no_return_and_the_next_one_has() -> None:
    # All is paid out on day 2, a deposit comes on day 3: its first piece starts at 0. Day 4 starts at 10.
    everything: list[Day] = [
        (JUNE_20, [("0", "100")], "100"),
        (JUNE_21, [("100", "-100")], "0"),
        (JUNE_22, [("0", "10")], "10"),
        (JUNE_23, [], "11"),
    ]
    closed, measured = lived(*everything)
    assert [day.growth for day in closed] == [None, None, None]
    assert main_figures(measured) == ["0.1", None, None, None]
    assert measured.max_drawdown is None
    # The months after the gap are measured again.
    _, measured = lived(*everything, (date(2025, 7, 1), [], "22"))
    assert main_figures(measured) == ["1", "1", None, None]


def test_a_day_that_ends_at_zero_by_loss_has_lost_all() -> None:
    _, measured = lived((JUNE_20, [("0", "100")], "100"), (JUNE_21, [], "0"))
    assert main_figures(measured) == ["-1", "-1", "-1", "-1"]
    assert written(measured.max_drawdown) == "-1"


def test_what_starts_below_zero_is_undefined() -> None:
    # Overdrawn by withdrawal on the first day: 100 - 150 = -50; every piece from there on is undefined.
    _, measured = lived((JUNE_20, [("0", "100"), ("100", "-150")], "-50"), (JUNE_21, [], "-40"))
    assert main_figures(measured) == [None, None, None, None]
    # From -50 a deposit of 150 makes 100 -> 110, but the day began at -50.
    _, measured = lived((JUNE_20, [("0", "100"), ("100", "-150")], "-50"), (JUNE_21, [("-50", "150")], "110"))
    assert main_figures(measured) == [None, None, None, None]


def test_a_close_below_zero_within_a_piece_spoils_the_day_after_and_not_the_month() -> None:
    # 100 -> -5 (-105 %) -> 50: the day starts at -5, the month at 100.
    _, measured = lived((JUNE_20, [("0", "100")], "100"), (JUNE_21, [], "-5"), (JUNE_22, [], "50"))
    assert main_figures(measured) == [None, "-0.5", "-0.5", "-0.5"]
    assert written(measured.max_drawdown) == "-1.05"


# --- months and years ------------------------------------------------------------------------------------------------


def test_a_month_is_measured_against_the_last_close_of_the_month_before() -> None:
    # June ends at 120; July: 120 -> 132 (day +10 %) -> 126: day 126/132 - 1, month 126/120 - 1 = 0.05, year 0.26
    _, measured = lived(
        (date(2025, 6, 28), [("0", "100")], "120"), (date(2025, 7, 1), [], "132"), (date(2025, 7, 2), [], "126")
    )
    assert main_figures(measured) == ["-0." + "0" + "45" * 24 + "5", "0.05", "0.26", "0.26"]


def test_the_same_month_of_another_year_is_another_month() -> None:
    # June 2024 ends at 110, the next day is in June 2025: 121.
    _, measured = lived((date(2024, 6, 20), [("0", "100")], "110"), (date(2025, 6, 21), [], "121"))
    assert main_figures(measured) == ["0.1", "0.1", "0.1", "0.21"]


def test_a_year_is_measured_against_the_last_close_of_the_year_before() -> None:
    # Dec 30: 100 -> 125; Dec 31: a deposit of 25 at 125 = 150 -> 180 (1.2, inception 1.5);
    # Jan 1: 180 -> 189: day, month and year 0.05; inception 1.5 * 1.05 = 1.575
    _, measured = lived(
        (date(2024, 12, 30), [("0", "100")], "125"),
        (date(2024, 12, 31), [("125", "25")], "180"),
        (date(2025, 1, 1), [], "189"),
    )
    assert main_figures(measured) == ["0.05", "0.05", "0.05", "0.575"]


def test_a_month_that_began_before_the_first_flow_is_measured_from_that_flow() -> None:
    # The flow comes on July 2 after a day without one: 100 -> 104, then 104 -> 130.
    _, measured = lived(
        (date(2025, 6, 30), [], "0"), (date(2025, 7, 2), [("0", "100")], "104"), (date(2025, 7, 3), [], "130")
    )
    assert main_figures(measured) == ["0.25", "0.3", "0.3", "0.3"]


# --- risk ------------------------------------------------------------------------------------------------------------


def test_volatility_is_the_deviation_of_a_sample_times_the_root_of_252_and_sharpe_the_excess_over_it() -> None:
    # Daily returns 0.05, 0.06, 0.01: mean 0.04, deviations 0.01, 0.02, -0.03, their squares 0.0014 over 2 = 0.0007;
    # root of 0.0007 * 252 = root of 0.1764 = 0.42; sharpe = 0.04 * 252 / 0.42 = 24, less a rate of 0.42: 23
    days = [JUNE_20, JUNE_21, JUNE_22, JUNE_23]
    worths = [Decimal(worth) for worth in ("100", "105", "111.3", "112.413")]
    returns = with_flow(Returns(), Decimal(100), Decimal(0))
    for (today, tomorrow), worth in zip(pairwise(days), worths, strict=False):
        _, returns = close(returns, today, worth, tomorrow)
    measured = measure(returns, worths[-1])
    assert (written(measured.volatility), written(measured.sharpe_ratio)) == ("0.42", "24")
    assert written(measure(returns, worths[-1], Decimal("0.42")).sharpe_ratio) == "23"
    # The same once the last day is closed, and a day of 0.04 is open: squares 0.0014 over 3.
    _, returns = close(returns, days[-1], worths[-1], date(2025, 6, 24))
    later = measure(returns, Decimal("116.90952"))
    assert str(ratio(later.volatility or Decimal(0))) == "0.342929"  # root of 0.1176
    assert str(ratio(later.sharpe_ratio or Decimal(0))) == "29.393877"  # 10.08 / root of 0.1176


@pytest.mark.parametrize("days", [1, 2])
def test_one_daily_return_has_no_deviation(days: int) -> None:
    _, measured = lived(*[(JUNE_20, [("0", "100")], "100"), (JUNE_21, [], "110")][:days])
    assert (measured.volatility, measured.sharpe_ratio) == (None, None)


@pytest.mark.parametrize(
    "values",
    [["100", "100", "100", "100"], ["100", "110", "121", "133.1"], ["729", "972", "1296", "1728", "2304", "3072"]],
)
def test_equal_returns_have_a_volatility_of_0_and_so_no_sharpe_ratio(values: list[str]) -> None:
    """Also returns without an end in decimals, of 4 / 3 - 1 or a million thirds each day."""
    days: list[Day] = [(date(2025, 6, 1 + number), [], worth) for number, worth in enumerate(values)]
    first = (days[0][0], [("0", values[0])], values[0])
    _, measured = lived(first, *days[1:])
    assert measured.volatility == 0
    assert measured.sharpe_ratio is None


def test_the_drawdown_is_from_the_highest_close_to_a_later_low() -> None:
    # 100 -> 120 -> 90 (0.75 of the peak: -0.25) -> 130 -> 117 (-0.1)
    july = [date(2025, 7, day) for day in range(1, 6)]
    worths = ["100", "120", "90", "130", "117"]
    days = [(day, [("0", "100")] if day == july[0] else [], worth) for day, worth in zip(july, worths, strict=True)]
    assert written(lived(*days)[1].max_drawdown) == "-0.25"
    assert written(lived(*days[:2])[1].max_drawdown) == "0"


def test_the_start_counts_as_a_height_of_1_and_flows_do_not_deepen_a_fall() -> None:
    # 100 falls to 80 on the first day (-0.2), then 40 are paid out: 40 -> 42 (0.84 of the start)
    _, measured = lived((JUNE_20, [("0", "100")], "80"), (JUNE_21, [("80", "-40")], "42"))
    assert written(measured.max_drawdown) == "-0.2"
