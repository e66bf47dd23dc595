"""Random series of flows and closes have the returns that their definition gives when the whole list is looked at."""

from __future__ import annotations

import threading
from datetime import date, timedelta
from decimal import Decimal, getcontext
from fractions import Fraction
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.returns import Closed, Measured, Returns, close, measure, with_flow
from tests.domain import series_model as model
from tests.domain.series_model import Day

CLOSE = Fraction(1, 10**28)
CLOSE_RATIO = Fraction(1, 10**10)
RATES = [Decimal(0), Decimal("0.02"), Decimal("-0.005")]


def amount(random: Random) -> Fraction:
    """Return a value: mostly near 100, now and then 0, negative, tiny or huge."""
    match random.randrange(20):
        case 0:
            return Fraction(0)
        case 1:
            return Fraction(-random.randint(1, 10**6), 100)
        case 2:
            return Fraction(random.randint(1, 10**9), 10**16)
        case 3:
            return Fraction(random.randint(1, 10**40), 10**12)
        case _:
            return Fraction(random.randint(90 * 10**8, 110 * 10**8), 10**8)


def series(seed: int, length: int) -> list[Day]:
    """Return that many days, some of them far apart; a shorter series of the same seed is its beginning."""
    random = Random(seed)
    sound = bool(random.randrange(2))
    days, day = [], date(2024, 12, 20)
    for _ in range(length):
        day += timedelta(days=random.choice([1, 1, 1, 1, 2, 3, 15, 40, 366]))
        flows = []
        for _ in range(random.choice([0, 0, 0, 1, 1, 2, 3])):
            before = abs(amount(random)) + 1 if sound else amount(random)
            flow = random.choice([Fraction(0), -before, amount(random), amount(random) - 100])
            flows.append((before, abs(flow) if sound else flow))
        days.append(Day(day, abs(amount(random)) + 1 if sound else amount(random), flows))
    return days


all_series = st.builds(series, st.integers(0, 10**9), st.integers(1, 40))


def exact(number: Fraction) -> Decimal:
    return Decimal(f"{int(number * 10**16)}E-16")


def lived(days: list[Day]) -> tuple[list[Closed], Returns]:
    """Return the closed days and the returns on the open day, which is the last one."""
    returns, closed = Returns(), []
    for number, day in enumerate(days):
        for before, flow in day.flows:
            returns = with_flow(returns, exact(flow), exact(before))
        if number + 1 < len(days):
            done, returns = close(returns, day.date, exact(day.value), days[number + 1].date)
            closed.append(done)
    return closed, returns


def measured(days: list[Day], rate: Decimal = RATES[0]) -> Measured:
    return measure(lived(days)[1], exact(days[-1].value), rate)


def same(figure: Decimal | None, expected: Fraction | None, scale: Fraction = Fraction(1)) -> bool:
    """Whether both are undefined, or equal to 28 digits of the scale."""
    if figure is None or expected is None:
        return figure is None and expected is None
    return abs(Fraction(figure) - expected) <= CLOSE * max(scale, abs(expected), Fraction(1))


@settings(max_examples=250, deadline=None)
@given(all_series)
def test_returns_of_the_day_month_year_and_since_inception(days: list[Day]) -> None:
    now = measured(days)
    assert same(now.daily, model.period_return(days, "daily"))
    assert same(now.month_to_date, model.period_return(days, "month_to_date"))
    assert same(now.year_to_date, model.period_return(days, "year_to_date"))
    assert same(now.since_inception, model.since_inception(days))


@settings(max_examples=150, deadline=None)
@given(all_series)
def test_the_closed_days(days: list[Day]) -> None:
    closed, _ = lived(days)
    assert len(closed) == len(days) - 1
    for count, done in enumerate(closed, 1):
        day = days[count - 1]
        assert (done.date, Fraction(done.total_value)) == (day.date, day.value)
        assert Fraction(done.net_flow) == sum((flow for _, flow in day.flows), Fraction())
        expected = model.period_return(days[:count], "daily")
        assert same(done.growth, None if expected is None else expected + 1)


@settings(max_examples=200, deadline=None)
@given(all_series)
def test_the_deepest_fall(days: list[Day]) -> None:
    assert same(measured(days).max_drawdown, model.max_drawdown(days))


@settings(max_examples=200, deadline=None)
@given(all_series, st.sampled_from(RATES))
def test_volatility_and_sharpe_ratio(days: list[Day], rate: Decimal) -> None:
    """Compared by their squares, which have no roots; their precision is that of the largest return."""
    now, returns = measured(days, rate), model.daily_returns(days)
    variance = model.yearly_variance(returns)
    if now.volatility is None or variance is None:
        assert (now.volatility, variance, now.sharpe_ratio) == (None, None, None)
        return
    assert now.volatility >= 0
    assert same(exact_square(now.volatility), variance, max(one * one for one in returns))
    if not variance:
        assert now.sharpe_ratio is None
    elif variance > CLOSE * max([Fraction(1), *(one * one for one in returns)]):
        assert now.sharpe_ratio is not None
        excess = model.mean(returns) * 252 - Fraction(rate)
        assert abs(Fraction(now.sharpe_ratio) ** 2 * variance - excess**2) <= Fraction(1, 10**10) * max(
            excess**2, variance
        )
        assert (now.sharpe_ratio > 0) is (excess > 0)


def exact_square(number: Decimal) -> Decimal:
    _, digits, exponent = number.as_tuple()
    whole = int("".join(map(str, digits)))
    return Decimal(f"{whole * whole}E{2 * int(exponent)}")


@settings(max_examples=100, deadline=None)
@given(all_series)
def test_measuring_changes_nothing_and_any_value_can_be_tried(days: list[Day]) -> None:
    _, returns = lived(days)
    first = measure(returns, exact(days[-1].value))
    measure(returns, Decimal(-1))
    measure(returns, Decimal(0))
    assert measure(returns, exact(days[-1].value)) == first


@settings(max_examples=25, deadline=None)
@given(all_series)
def test_the_ambient_decimal_context_of_a_bare_thread_does_not_matter(days: list[Day]) -> None:
    seen: list[int | Measured] = []
    thread = threading.Thread(target=lambda: seen.extend((getcontext().prec, measured(days))))
    thread.start()
    thread.join()
    assert seen == [28, measured(days)]
