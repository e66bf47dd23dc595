"""What each kind of trade and move does to cash, quantity, cost and profit, and when it is refused."""

from decimal import Decimal
from fractions import Fraction

import pytest

from domain.portfolio import (
    Holding,
    PositionUpdate,
    SharesBought,
    SharesCovered,
    SharesMovedIn,
    SharesMovedOut,
    SharesSold,
    SharesSoldShort,
)
from domain.values import plain
from tests.domain.given import given
from tests.domain.portfolios import (
    LARGEST,
    LEAST,
    NOW,
    asked,
    buy,
    cover,
    holding,
    move_in,
    move_out,
    opened,
    refusal,
    sell,
    short,
    update,
)


def numbers(**figures: str) -> dict[str, Decimal]:
    return {name: Decimal(figure) for name, figure in figures.items()}


# --- buying and selling ----------------------------------------------------------------------------------------------


def test_buying_pays_and_holds_at_cost() -> None:
    first = numbers(quantity="500", price="147.75", amount="73875", held="500", cost="73875", cash="26125")
    second = numbers(quantity="100", price="150", amount="15000", held="600", cost="88875", cash="11125")
    given(opened("100000")).when(update(buy("AAPL", "500", "147.75"), buy("AAPL", "100", "150"))).then(
        (SharesBought, {"instrument_id": "AAPL", "timestamp": NOW, **first}),
        (SharesBought, {"instrument_id": "AAPL", "timestamp": NOW, **second}),
    )


def test_buying_may_overdraw() -> None:
    portfolio = holding(buy("AAPL", "1", "0.01"))
    assert portfolio.cash == Decimal("-0.01")


def test_selling_receives_and_realises_against_average_cost() -> None:
    # 600 cost 88875, so 200 of them cost 29625; they bring 32000.
    sold = numbers(quantity="200", price="160", amount="32000", held="400", cost="59250", cash="32000", realized="2375")
    given(holding(buy("AAPL", "500", "147.75"), buy("AAPL", "100", "150"), cash="88875")).when(
        update(sell("AAPL", "200", "160"))
    ).then((SharesSold, sold))


def test_selling_below_cost_is_a_negative_profit() -> None:
    given(holding(buy("AAPL", "10", "100"))).when(update(sell("AAPL", "4", "99.5"))).then(
        (SharesSold, numbers(realized="-2", held="6", cost="600", cash="-602"))
    )


def test_what_closes_a_position_takes_exactly_the_rest() -> None:
    """3 shares for 10: a third of it has no end, yet profits add up to 15 - 10 and nothing of the cost is left."""
    portfolio = holding(buy("AAPL", "2", "2"), buy("AAPL", "1", "6"))
    portfolio.collect_events()
    portfolio.update([sell("AAPL", "1", "5"), sell("AAPL", "1", "5"), sell("AAPL", "1", "5")], NOW, now=NOW)
    sales = [event for event in portfolio.collect_events() if isinstance(event, SharesSold)]
    assert [plain(sale.cost)[:30] for sale in sales] == ["6." + "6" * 28, "3." + "3" * 28, "0"]
    assert sum(Fraction(sale.realized) for sale in sales) == 15 - 10
    assert not portfolio.positions


def test_a_closed_position_leaves_nothing_and_the_next_one_starts_anew() -> None:
    portfolio = holding(buy("AAPL", "3", "7"), sell("AAPL", "3", "9"), buy("AAPL", "1", "20"))
    assert portfolio.positions == {"AAPL": Holding(Decimal(1), Decimal(20), NOW)}


def test_instruments_are_told_apart_by_case() -> None:
    portfolio = holding(buy("AAPL", "1", "1"), buy("aapl", "2", "1"))
    assert {name: held.quantity for name, held in portfolio.positions.items()} == {"AAPL": 1, "aapl": 2}


def test_the_largest_trade_is_exact() -> None:
    portfolio = holding(buy("X", LARGEST, LARGEST))
    assert str(portfolio.cash) == "-999999999999999999999980000000.0000000000000001"
    assert portfolio.positions["X"].cost == portfolio.cash.copy_negate()


# --- shorts ----------------------------------------------------------------------------------------------------------


def test_going_short_receives_and_its_cost_is_minus_the_proceeds() -> None:
    given(opened("1")).when(update(short("TSLA", "100", "50"), short("TSLA", "50", "56"))).then(
        (SharesSoldShort, numbers(quantity="100", price="50", amount="5000", held="-100", cost="-5000", cash="5001")),
        (SharesSoldShort, numbers(quantity="50", price="56", amount="2800", held="-150", cost="-7800", cash="7801")),
    )


def test_covering_pays_and_realises_against_average_proceeds() -> None:
    # 150 brought 7800, so 60 of them brought 3120; they cost 2700 (a profit) or 3300 (a loss).
    short_of_150 = [short("TSLA", "100", "50"), short("TSLA", "50", "56")]
    given(holding(*short_of_150)).when(update(cover("TSLA", "60", "45"), cover("TSLA", "60", "55"))).then(
        (SharesCovered, numbers(amount="2700", held="-90", cost="-4680", cash="5100", realized="420")),
        (SharesCovered, numbers(amount="3300", held="-30", cost="-1560", cash="1800", realized="-180")),
    )


def test_covering_all_leaves_nothing() -> None:
    portfolio = holding(short("TSLA", "3", "10"), cover("TSLA", "1", "11"), cover("TSLA", "2", "8"))
    assert not portfolio.positions
    assert portfolio.cash == 3


# --- moves without cash ----------------------------------------------------------------------------------------------


def test_moving_in_adds_shares_at_their_cost_without_cash() -> None:
    given(holding(buy("AAPL", "1", "10"), cash="10")).when(update(move_in("AAPL", "4", "20"))).then(
        (SharesMovedIn, numbers(quantity="4", price="20", amount="80", held="5", cost="90"))
    )


def test_shares_may_come_in_for_nothing() -> None:
    portfolio = holding(move_in("GIFT", "3", "0"), cash="7")
    assert portfolio.positions == {"GIFT": Holding(Decimal(3), Decimal(0), NOW)}
    assert portfolio.cash == 7


@pytest.mark.parametrize("price", [None, "0", "999"])
def test_moving_out_takes_shares_at_average_cost_without_cash_or_profit(price: str | None) -> None:
    # 5 cost 90, so 2 of them 36, whatever price is told.
    portfolio = holding(buy("AAPL", "1", "10"), move_in("AAPL", "4", "20"), cash="10")
    given(portfolio).when(update(move_out("AAPL", "2", price))).then(
        (SharesMovedOut, numbers(quantity="2", amount="36", price="18", held="3", cost="54"))
    )
    assert portfolio.cash == 0


def test_moving_all_out_takes_exactly_the_rest() -> None:
    portfolio = holding(buy("AAPL", "2", "2"), buy("AAPL", "1", "6"))
    portfolio.collect_events()
    portfolio.update([move_out("AAPL", "1"), move_out("AAPL", "2")], NOW, now=NOW)
    first, second = (event for event in portfolio.collect_events() if isinstance(event, SharesMovedOut))
    assert second.held == second.cost == 0
    assert Fraction(first.amount) + Fraction(second.amount) == 10
    assert first.price == second.price == Decimal("3.33333333")
    assert not portfolio.positions


def test_moves_without_cash_do_not_touch_the_time_of_the_cash() -> None:
    portfolio = opened("1")
    later = NOW.replace(minute=1)
    portfolio.update([move_in("AAPL", "1", "1"), move_out("AAPL", "1")], later, now=later)
    assert (portfolio.cash_updated, portfolio.last_updated) == (NOW, later)


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "there", "asked_for", "left"),
    [
        ("SELL", [buy("AAPL", "2.5", "10")], "2.50000001", "2.5"),
        ("SELL", [], "1.25", "0"),
        ("SELL", [short("AAPL", "7.5", "10")], "1.25", "0"),
        ("OUT", [buy("AAPL", "2.5", "10")], "2.50000001", "2.5"),
        ("OUT", [], "1.25", "0"),
        ("OUT", [short("AAPL", "7.5", "10")], "1.25", "0"),
        ("COVER", [short("AAPL", "2.5", "10")], "2.50000001", "2.5"),
        ("COVER", [], "1.25", "0"),
        ("COVER", [buy("AAPL", "7.5", "10")], "1.25", "0"),
        ("SELL", [buy("AAPL", "5", "10"), sell("AAPL", "5", "11")], "0.00000001", "0"),
        ("SELL", [buy("OTHER", "5", "10")], "3", "0"),
    ],
)
def test_more_than_is_there_is_refused_with_both_figures(
    kind: str, there: list[PositionUpdate], asked_for: str, left: str
) -> None:
    message = refusal(holding(*there), update(asked(kind, asked_for, "10", "AAPL")))
    assert kind in message
    assert "AAPL" in message
    assert {asked_for, left} <= set(message.replace(":", " ").split())


@pytest.mark.parametrize("increase", [buy("AAPL", "1.25", "9"), move_in("AAPL", "1.25", "9")])
def test_a_short_does_not_become_long_in_one_step(increase: PositionUpdate) -> None:
    portfolio = holding(short("AAPL", "7.5", "10"))
    assert "7.5" in refusal(portfolio, update(increase))
    portfolio.update([cover("AAPL", "7.5", "1"), increase], NOW, now=NOW)
    assert portfolio.positions["AAPL"].quantity == Decimal("1.25")
    assert portfolio.positions["AAPL"].cost == Decimal("11.25")


def test_a_long_position_does_not_become_short_in_one_step() -> None:
    portfolio = holding(buy("AAPL", "7.5", "10"))
    assert "7.5" in refusal(portfolio, update(short("AAPL", "1.25", "9")))
    assert "7.5" in refusal(portfolio, update(sell("AAPL", "8", "9")))
    portfolio.update([sell("AAPL", "7.5", "1"), short("AAPL", "1.25", "9")], NOW, now=NOW)
    assert portfolio.positions["AAPL"] == Holding(Decimal("-1.25"), Decimal("-11.25"), NOW)


def test_a_figure_in_a_refusal_is_plain() -> None:
    portfolio = holding(buy("AAPL", "1E+3", "1"))
    message = refusal(portfolio, update(sell("AAPL", "2E+3", "1")))
    assert "2000" in message
    assert "1000" in message
    assert LEAST in refusal(opened(), update(sell("AAPL", "1E-8", "1")))
