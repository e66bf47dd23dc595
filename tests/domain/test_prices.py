"""Which of two prices counts, which events carry one, and what an upload of prices takes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.base import Event, fold
from domain.codec import decode, encode
from domain.errors import Invalid
from domain.portfolio import PositionUpdate, Status
from domain.prices import MAX_PRICES, QUOTING, Book, Price, PricesUploaded, PriceUpload, quotes, wins, with_quotes
from tests.domain.portfolios import (
    LARGEST,
    NOW,
    buy,
    cover,
    deposit,
    dividend,
    fee,
    holding,
    move_in,
    move_out,
    sell,
    short,
    withdrawal,
)

UPLOAD = UUID("6f2f2a3e-0000-4000-8000-000000000001")
LATER, EARLIER = NOW + timedelta(seconds=1), NOW - timedelta(seconds=1)


def uploaded(at: datetime = NOW, **prices: str) -> Event:
    exact = {instrument_id: Decimal(price) for instrument_id, price in prices.items()}
    (event,) = PriceUpload.of(UPLOAD, exact, at, now=at).collect_events()
    return event


def traded(*updates: PositionUpdate, at: datetime = NOW) -> Event:
    """Return the last event of these updates."""
    portfolio = holding()
    portfolio.update(updates, at, now=at)
    return portfolio.collect_events()[-1]


def known(*events: Event, book: Book | None = None) -> dict[str, tuple[str, datetime]]:
    return shown(with_quotes(book or {}, events))


def shown(book: Book) -> dict[str, tuple[str, datetime]]:
    """Return what a book knows of X, Y and Z."""
    found = {name: book.get(name) for name in "XYZ"}
    return {name: (str(price.price), price.as_of) for name, price in found.items() if price is not None}


# --- what carries a price --------------------------------------------------------------------------------------------

TRADES = [
    [buy("X", "2", "3.5")],
    [buy("X", "2", "1"), sell("X", "1", "3.5")],
    [short("X", "2", "3.5")],
    [short("X", "2", "1"), cover("X", "1", "3.5")],
]


@pytest.mark.parametrize("updates", TRADES, ids=["BUY", "SELL", "SHORT", "COVER"])
def test_a_trade_is_a_price_at_its_time(updates: list[PositionUpdate]) -> None:
    event = traded(*updates, at=EARLIER)
    assert type(event) in QUOTING
    assert known(event) == {"X": ("3.5", EARLIER)}
    assert known(event, book={"X": Price(Decimal(9), EARLIER)}) == {"X": ("3.5", EARLIER)}


def test_an_upload_is_a_price_of_each_at_its_time() -> None:
    assert known(uploaded(X="1.5", Y="2.5")) == {"X": ("1.5", NOW), "Y": ("2.5", NOW)}
    assert PricesUploaded in QUOTING


@pytest.mark.parametrize(
    "updates",
    [
        [deposit("3")],
        [withdrawal("3")],
        [fee("3")],
        [dividend("X", "1", "3")],
        [move_in("X", "1", "2"), move_out("X", "1", "3")],
        [move_in("X", "1", "0")],
    ],
    ids=["DEP", "WD", "FEE", "DIVIDEND", "OUT", "IN at 0"],
)
def test_nothing_else_carries_one(updates: list[PositionUpdate]) -> None:
    event = traded(*updates)
    assert list(quotes(event)) == []
    assert known(event) == {}


def test_opening_and_status_carry_none() -> None:
    portfolio = holding(cash="5", status=Status.SUSPENDED)
    assert known(*portfolio.collect_events()) == {}


# --- which one counts ------------------------------------------------------------------------------------------------


def test_a_later_time_wins_whichever_is_recorded_first() -> None:
    assert known(uploaded(NOW, X="1"), uploaded(LATER, X="2")) == {"X": ("2", LATER)}
    assert known(uploaded(LATER, X="2"), uploaded(NOW, X="1")) == {"X": ("2", LATER)}
    assert known(uploaded(LATER, X="2"), traded(buy("X", "1", "1"))) == {"X": ("2", LATER)}


def test_at_equal_times_the_later_recorded_wins() -> None:
    assert known(uploaded(X="1"), traded(buy("X", "1", "2"))) == {"X": ("2", NOW)}
    assert known(traded(buy("X", "1", "2")), uploaded(X="1")) == {"X": ("1", NOW)}


def test_shares_moved_in_are_a_price_only_where_none_is_known() -> None:
    moved = traded(move_in("X", "1", "7"), at=LATER)
    assert known(moved) == {"X": ("7", LATER)}
    assert known(uploaded(EARLIER, X="1"), moved) == {"X": ("1", EARLIER)}
    assert known(moved, traded(move_in("X", "1", "8"), at=LATER)) == {"X": ("7", LATER)}
    assert known(moved, uploaded(LATER, X="1")) == {"X": ("1", LATER)}


def test_shares_moved_in_for_nothing_are_no_price_but_a_later_move_is() -> None:
    assert known(traded(move_in("X", "1", "0")), traded(move_in("X", "1", "7"), at=EARLIER)) == {"X": ("7", EARLIER)}


def test_wins_says_the_same_of_one_quote() -> None:
    (quote,) = quotes(uploaded(X="1"))
    (first,) = quotes(traded(move_in("X", "1", "7")))
    assert wins(quote, None)
    assert wins(first, None)
    assert wins(quote, Price(Decimal(9), NOW))
    assert not wins(quote, Price(Decimal(9), LATER))
    assert not wins(first, Price(Decimal(9), EARLIER))


def test_the_book_given_stays_as_it_is() -> None:
    before = {"X": Price(Decimal(1), NOW), "Y": Price(Decimal(2), NOW)}
    given_book = dict(before)
    after = with_quotes(given_book, [uploaded(LATER, X="5", Z="6")])
    assert given_book == before
    assert shown(after) == {"X": ("5", LATER), "Y": ("2", NOW), "Z": ("6", LATER)}


Given = tuple[str, str, int, int]
given_prices = st.tuples(
    st.sampled_from(["upload", "BUY", "SHORT", "IN"]), st.sampled_from("XY"), st.integers(-2, 2), st.integers(0, 9)
)


def event_of(one: Given) -> Event:
    kind, name, second, price = one
    at = NOW + timedelta(seconds=second)
    if kind == "IN":
        return traded(move_in(name, "1", str(price)), at=at)
    if kind == "upload":
        return uploaded(at, **{name: str(price + 1)})
    return traded((buy if kind == "BUY" else short)(name, "1", str(price + 1)), at=at)


def expected(everything: Sequence[Given], name: str) -> tuple[int, int] | None:
    """Return second and price that count after all this, by the definition: the last of the latest."""
    real = [
        (second, price if kind == "IN" else price + 1, kind == "IN")
        for kind, about, second, price in everything
        if about == name and (kind != "IN" or price)
    ]
    counting = [(second, price) for place, (second, price, moved_in) in enumerate(real) if place == 0 or not moved_in]
    return max(reversed(counting), key=lambda one: one[0]) if counting else None


@settings(max_examples=150, deadline=None)
@given(st.lists(given_prices, max_size=10), st.integers(0, 10))
def test_any_order_of_any_prices(everything: list[Given], cut: int) -> None:
    events = [event_of(one) for one in everything]
    book = with_quotes({}, events)
    assert shown(with_quotes(with_quotes({}, events[:cut]), events[cut:])) == shown(book)
    for name in "XY":
        best, price = expected(everything, name), book.get(name)
        if best is None:
            assert price is None
        else:
            assert price == Price(Decimal(best[1]), NOW + timedelta(seconds=best[0]))


# --- uploads ---------------------------------------------------------------------------------------------------------


def faults(prices: dict[str, Decimal], as_of: datetime = NOW) -> list[str]:
    with pytest.raises(Invalid) as refused:
        PriceUpload.of(UPLOAD, prices, as_of, now=NOW)
    return [fault.pointer for fault in refused.value.faults]


def test_an_upload_is_one_event_of_its_own_stream_and_loads_as_it_was() -> None:
    upload = PriceUpload.of(UPLOAD, {"AAPL": Decimal("150.25"), "B": Decimal(LARGEST)}, NOW, now=NOW)
    (event,) = upload.collect_events()
    assert isinstance(event, PricesUploaded)
    assert (event.originator_id, event.originator_version, event.timestamp) == (f"prices/{UPLOAD}", 1, NOW)
    assert event.prices == {"AAPL": Decimal("150.25"), "B": Decimal(LARGEST)}
    assert fold([decode(event.TOPIC, encode(event), upload.id, 1)]) == upload


def test_one_to_ten_thousand_prices() -> None:
    many = {f"I{number}": Decimal(1) for number in range(MAX_PRICES)}
    assert MAX_PRICES == 10_000
    assert len(PriceUpload.of(UPLOAD, many, NOW, now=NOW).prices) == 10_000
    assert faults({}) == ["/prices"]
    assert faults(many | {"ONE-MORE": Decimal(1)}) == ["/prices"]


@pytest.mark.parametrize("price", ["0", "-1", "0.000000001", "1000000000000000"])
def test_prices_are_positive_and_within_bounds(price: str) -> None:
    assert faults({"X": Decimal(price)}) == ["/prices/X"]


@pytest.mark.parametrize("instrument_id", ["CASH", "", ".", "..", "x" * 25, "a b", "é"])
def test_instruments_have_ids_and_cash_has_no_price(instrument_id: str) -> None:
    assert faults({instrument_id: Decimal(1)}) == [f"/prices/{instrument_id}"]


def test_a_fault_is_pointed_at_by_a_json_pointer() -> None:
    assert faults({"a/b": Decimal(1), "~": Decimal(1)}) == ["/prices/a~1b", "/prices/~0"]


def test_the_time_is_at_most_five_minutes_ahead() -> None:
    ahead = NOW + timedelta(minutes=5)
    assert PriceUpload.of(UPLOAD, {"X": Decimal(1)}, ahead, now=NOW).prices == {"X": 1}
    assert faults({"X": Decimal(1)}, ahead + timedelta(microseconds=1)) == ["/as_of"]


def test_all_faults_are_named_at_once() -> None:
    bad = {"OK": Decimal(1), "CASH": Decimal(1), "X": Decimal(0), "Y": Decimal("1E-9")}
    assert faults(bad, NOW + timedelta(days=1)) == ["/prices/CASH", "/prices/X", "/prices/Y", "/as_of"]
