"""Random lives of portfolios keep their books like a plain model in fractions, and load again as they were."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from decimal import getcontext
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.base import Event, fold
from domain.codec import decode, decode_snapshot, encode, encode_snapshot
from domain.portfolio import (
    Portfolio,
    SharesBought,
    SharesCovered,
    SharesMovedIn,
    SharesMovedOut,
    SharesSold,
    SharesSoldShort,
)
from domain.prices import Price
from domain.valuation import value
from tests.domain.lives import Life, Step, lived, lives
from tests.domain.portfolios import LARGEST, LEAST, NOW, buy, holding, move_in, move_out, sell

DIGITS = Fraction(1, 10**28)
"""A division keeps at least so many significant digits."""

UNSEEN = Fraction(1, 10**40)
"""Nobody sees a cost this small."""


def same_books(life: Life) -> None:
    """Cash and quantities are exact; cost and profit are right to 28 digits of what was divided."""
    live, model = life.live, life.model
    assert Fraction(live.cash) == model.cash
    assert live.status == model.status
    held = {name: account for name, account in model.accounts.items() if account.quantity}
    assert {name: Fraction(position.quantity) for name, position in live.positions.items()} == {
        name: account.quantity for name, account in held.items()
    }
    for name, position in live.positions.items():
        assert abs(Fraction(position.cost) - held[name].cost) <= DIGITS * abs(held[name].cost) + UNSEEN, name


@settings(max_examples=120, deadline=None)
@given(lives)
def test_the_books_are_those_of_the_model(steps: list[Step]) -> None:
    life = Life()
    for step in steps:
        life.step(step)
        same_books(life)


@settings(max_examples=25, deadline=None)
@given(lives)
def test_the_ambient_decimal_context_of_a_bare_thread_does_not_matter(steps: list[Step]) -> None:
    seen: list[int | Life] = []
    thread = threading.Thread(target=lambda: seen.extend((getcontext().prec, lived(steps))))
    thread.start()
    thread.join()
    digits, life = seen
    assert digits == 28
    assert isinstance(life, Life)
    same_books(life)
    assert [encode(event) for event in life.events] == [encode(event) for event in lived(steps).events]


# --- what every single event keeps -----------------------------------------------------------------------------------


def figures(events: Sequence[Event]) -> Iterator[tuple[Event, Fraction, Fraction, Fraction]]:
    """Return each event of shares with the changes it made to cash, to the quantity and to the cost."""
    held: dict[str, tuple[Fraction, Fraction]] = {}
    cash = [Fraction()]
    for event in events:
        cash = [cash[-1], Fraction(getattr(event, "cash", cash[-1]))]
        match event:
            case (
                SharesBought() | SharesSold() | SharesSoldShort() | SharesCovered() | SharesMovedIn() | SharesMovedOut()
            ):
                quantity, cost = held.get(event.instrument_id, (Fraction(), Fraction()))
                held[event.instrument_id] = (Fraction(event.held), Fraction(event.cost))
                yield event, cash[1] - cash[0], Fraction(event.held) - quantity, Fraction(event.cost) - cost
            case _:
                pass


@settings(max_examples=100, deadline=None)
@given(lives)
def test_a_trade_moves_value_between_cash_and_shares_and_makes_none(steps: list[Step]) -> None:
    for event, cash, quantity, _ in figures(lived(steps).events):
        if isinstance(event, SharesMovedIn | SharesMovedOut):
            assert cash == 0
        else:
            assert cash + quantity * Fraction(event.price) == 0  # type: ignore[attr-defined]


@settings(max_examples=100, deadline=None)
@given(lives)
def test_the_parts_of_a_cost_add_up_and_what_closes_takes_exactly_the_rest(steps: list[Step]) -> None:
    for event, cash, _, cost in figures(lived(steps).events):
        match event:
            case SharesSold(realized=realized) | SharesCovered(realized=realized):
                assert Fraction(realized) == cash + cost
            case SharesMovedOut(amount=amount):
                assert Fraction(amount) == -cost
            case SharesBought() | SharesSoldShort():
                assert cost == -cash
            case SharesMovedIn(quantity=quantity, price=price):
                assert cost == Fraction(quantity) * Fraction(price)
            case _:
                pytest.fail(f"{event} moves no shares")
        if not event.held:
            assert event.cost == 0


@settings(max_examples=100, deadline=None)
@given(lives)
def test_profit_is_that_of_the_model(steps: list[Step]) -> None:
    life = lived(steps)
    realized: dict[str, Fraction] = {}
    divided: dict[str, Fraction] = {}
    for event, _, _, cost in figures(life.events):
        if isinstance(event, SharesSold | SharesCovered):
            name = event.instrument_id
            realized[name] = realized.get(name, Fraction()) + Fraction(event.realized)
            divided[name] = divided.get(name, Fraction()) + abs(cost)
    for name, profit in realized.items():
        assert abs(profit - life.model.accounts[name].realized) <= DIGITS * divided[name] + UNSEEN, name


def test_the_cost_of_the_least_that_is_left_keeps_28_digits() -> None:
    """What is left of a huge position is not the small difference of two rounded numbers."""
    bought = ("883147235407104.97040284", "138509408654189.52694799")
    more = ("106561880834653.96015599", "25247704084818.96191251")
    held = Fraction(bought[0]) + Fraction(more[0])
    but_the_least = f"{int((held - Fraction(LEAST)) * 10**8)}E-8"
    left = holding(buy("X", *bought), buy("X", *more), sell("X", but_the_least, "1")).positions["X"]
    cost = Fraction(bought[0]) * Fraction(bought[1]) + Fraction(more[0]) * Fraction(more[1])
    assert Fraction(left.quantity) == Fraction(LEAST)
    exact = cost * Fraction(LEAST) / held
    assert abs(Fraction(left.cost) - exact) <= DIGITS * exact


def test_no_cost_is_so_small_that_it_cannot_be_added_or_valued() -> None:
    """Shares that cost nothing come and go: each time a smaller part of the cost of one is left."""
    portfolio = holding(move_in("X", LEAST, LEAST))
    for _ in range(40):
        portfolio.update([move_in("X", LARGEST, "0"), move_out("X", LARGEST)], NOW, now=NOW)
    assert str(value(portfolio, {"X": Price(portfolio.positions["X"].quantity, NOW)}).total_value) == "0.00"
    portfolio.update([buy("X", LARGEST, LARGEST)], NOW, now=NOW)
    assert portfolio.positions["X"].cost >= portfolio.cash.copy_negate()


# --- loading ---------------------------------------------------------------------------------------------------------


def stored(life: Life) -> list[Event]:
    return [decode(event.TOPIC, encode(event), life.live.id, event.originator_version) for event in life.events]


@settings(max_examples=60, deadline=None)
@given(lives, st.integers(0, 1000))
def test_replay_and_snapshot_equal_the_live_portfolio(steps: list[Step], where: int) -> None:
    life = lived(steps)
    events = stored(life)
    assert events == life.events
    assert fold(events) == life.live
    cut = 1 + where % len(events)
    half: Portfolio | None = fold(events[:cut])
    assert half is not None
    restored = decode_snapshot(Portfolio, encode_snapshot(half), life.live.id, half.version)
    assert restored == half
    assert fold(events[cut:], restored) == life.live


@settings(max_examples=60, deadline=None)
@given(lives)
def test_versions_follow_each_other_without_a_gap(steps: list[Step]) -> None:
    life = lived(steps)
    versions = [event.originator_version for event in life.events]
    assert versions[0] == 1
    assert all(later == earlier + 1 for earlier, later in pairwise(versions))
    assert versions[-1] == life.live.version
