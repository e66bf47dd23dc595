"""For any portfolio at any prices: each figure is the exact one rounded once, and no shortcut changes a figure."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import RuleViolated
from domain.portfolio import Portfolio, PositionUpdate
from domain.prices import Price
from domain.valuation import ValuedPortfolio, value, worth
from tests.domain.portfolios import NOW, buy, deposit, holding, move_in, sell, short, withdrawal
from tests.domain.test_valuation import of, priced

prices = st.integers(1, 10**23 - 1).map(lambda units: Decimal(f"{units}E-8")) | st.sampled_from(
    [Decimal("147.75"), Decimal("0.00000001"), Decimal(1)]
)
moves = st.tuples(st.sampled_from("ABCDEFGH"), st.booleans(), prices, prices, prices | st.none())


@settings(max_examples=150, deadline=None)
@given(st.lists(moves, max_size=8, unique_by=lambda move: move[0]), prices, st.booleans())
def test_every_figure_is_the_exact_one_rounded_once(
    held: list[tuple[str, bool, Decimal, Decimal, Decimal | None]], cash: Decimal, paid_out: bool
) -> None:
    book = {name: Price(price, NOW) for name, _, _, _, price in held if price}
    trades = [(buy if long else short)(name, str(size), str(at)) for name, long, size, at, _ in held]
    portfolio: Portfolio = holding(*trades, (withdrawal if paid_out else deposit)(str(cash)))
    valued = value(portfolio, book)

    exact: dict[str, Fraction] = {}
    for name, long, size, _, price in held:
        exact[name] = Fraction(size) * Fraction(price or 0) * (1 if long else -1)
    costs = {name: Fraction(size) * Fraction(at) * (1 if long else -1) for name, long, size, at, _ in held}
    costs["CASH"] = exact["CASH"] = Fraction(cash) * (-1 if paid_out else 1) - sum(costs.values(), Fraction())
    total = sum(exact.values(), Fraction())

    assert valued.positions.keys() == valued.weights.keys() == exact.keys()
    assert Fraction(valued.total_value) == round(total, 2)
    assert Fraction(worth(portfolio.cash, portfolio.positions, book)) == total
    for name, position in valued.positions.items():
        assert position.instrument_id == name
        assert Fraction(position.market_value) == round(exact[name], 2)
        assert Fraction(position.cost_basis) == round(costs[name], 2)
        assert Fraction(position.unrealized_pnl) == round(exact[name] - costs[name], 2)
        assert Fraction(valued.weights[name]) == (round(exact[name] / total, 6) if total else 0)
        assert not {"-0", "-0.00"} & set(of(valued, name).values())
    if total:
        off = sum((Fraction(weight) for weight in valued.weights.values()), Fraction()) - 1
        assert abs(off) <= len(exact) * Fraction(1, 2 * 10**6)


changes = st.sampled_from(["A", "B", "C"]).flatmap(
    lambda name: st.sampled_from(
        [
            buy(name, "2", "3"),
            sell(name, "1", "4"),
            sell(name, "2", "4"),
            short(name, "2", "3"),
            move_in(name, "1", "0"),
        ]
    )
)


@settings(max_examples=150, deadline=None)
@given(st.lists(changes | st.tuples(st.sampled_from("ABC"), st.integers(1, 3)), max_size=20), st.data())
def test_what_is_taken_over_from_an_earlier_valuation_makes_no_difference(
    story: list[PositionUpdate | tuple[str, int]], data: st.DataObject
) -> None:
    portfolio, book = holding(cash="10"), priced(A="5")
    earlier: list[ValuedPortfolio | None] = [None]
    for number, change in enumerate(story):
        at = NOW + timedelta(seconds=number)
        if isinstance(change, tuple):
            book = book | priced(at, **{change[0]: str(change[1])})
        else:
            twin = portfolio.copy()
            with suppress(RuleViolated):
                twin.update([change], at, now=at)
                portfolio = twin
        before = data.draw(st.sampled_from(earlier))
        valued = value(portfolio, book, before)
        assert valued == value(portfolio, book)
        earlier.append(valued)
