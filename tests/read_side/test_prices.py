"""Prices as they are listed, loaded whole while they move, and known at any position of the log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import pytest

from domain.base import Event, Recorded
from domain.errors import Invalid, NotYet
from domain.prices import Price, quotes, wins
from projections.prices import PRICE_PROJECTOR
from read_side.prices import PRICES, PriceRow, Prices, list_json, upload_json
from read_side.signals import Signals
from read_side.store import Checkpoint, Found, SearchableViewStore, View
from tests.projections.logs import Process, append, process
from tests.projections.quoting import CONFUSABLE, NOW, hour, known_after, moved_in, random_quotes, recorded, uploaded
from tests.projections.running import running


@asynccontextmanager
async def priced(database_url: str, *events: Event) -> AsyncIterator[tuple[Process, Prices, int]]:
    """Run a projection of prices that has taken these events; give the queries and the head of the log."""
    async with process(database_url) as one, running(one, projector=PRICE_PROJECTOR):
        head = await append(database_url, *events) if events else 0
        await one.store.wait_for(PRICES, head, 60)
        yield one, Prices(one.store, one.signals), head


def shown(rows: Iterable[PriceRow]) -> list[tuple[str, str, int]]:
    return [(row.instrument_id, str(row.price), row.recorded) for row in rows]


def test_what_is_shown_is_exact_to_the_byte() -> None:
    row = next(iter(PRICE_PROJECTOR.fold({}, recorded([uploaded(1, {"A": "150.2500"})])).values()))
    assert row is not None
    assert list_json([row], None) == (
        b'{"items":[{"instrument_id":"A","price":150.25,"as_of":"2025-06-21T10:00:00Z"}],"next":null}'
    )
    assert upload_json(NOW, 3) == b'{"as_of":"2025-06-21T10:00:00Z","count":3}'


async def test_the_latest_are_listed_the_last_recorded_first_page_by_page(database_url: str) -> None:
    events = uploaded(1, {"A": "1", "B": "1", "C": "1"}), uploaded(2, {"B": "2"}, hour(1)), uploaded(3, {"C": "3"})
    async with priced(database_url, *events) as (_, prices, head):
        first = await prices.list_latest(limit=2, at_least=head, wait=60)
        assert shown(first.rows) == [("C", "3", 3), ("B", "2", 2)]
        second = await prices.list_latest(limit=2, cursor=first.next)
        assert (shown(second.rows), second.next) == ([("A", "1", 1)], None)
        assert shown((await prices.list_latest(instrument_id="B")).rows) == [("B", "2", 2)]
        assert shown((await prices.list_latest(instrument_id="NONE")).rows) == []
        for wrong in ({"cursor": "oops"}, {"cursor": first.next, "instrument_id": "A"}):
            with pytest.raises(Invalid):
                await prices.list_latest(**wrong)
        for ask in (prices.list_latest(at_least=head + 1, wait=0.01), prices.at("A", head + 1, wait=0.01)):
            with pytest.raises(NotYet):
                await ask


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_prices_of_every_position_are_those_that_were_known_then(database_url: str, seed: int) -> None:
    events = random_quotes(seed, 60)
    async with priced(database_url, *events) as (_, prices, head):
        for position in range(head + 1):
            known = await prices.at(CONFUSABLE, position, wait=60)
            assert known == known_after(events[:position]), position
        assert await prices.at((), head) == {}
        assert await prices.at(["NONE"], head) == {}


def followed(rows: dict[str, PriceRow], events: list[Recorded], position: int) -> dict[str, Price]:
    """Return the prices of one who has these rows and follows the log from the position."""
    known = {name: Price(row.price, row.as_of) for name, row in rows.items()}
    at = {name: row.recorded for name, row in rows.items()}
    for each in events:
        for quote in quotes(each.event) if each.position > position else ():
            name = quote.instrument_id
            if each.position > at.get(name, 0) and wins(quote, known.get(name)):
                known[name], at[name] = quote.price, each.position
    return known


@dataclass
class Moving:
    """A store of views in which something happens after the first page of a search."""

    one: Process
    then: list[Event]

    async def search(self, view: View[Any], search: Any) -> Found[Any]:
        found = await self.one.store.search(view, search)
        if self.then:
            then, self.then = self.then, []
            await self.one.store.wait_for(PRICES, await append(self.one.database_url, *then), 60)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.one.store, name)


async def test_prices_that_move_while_all_are_loaded_are_true_for_who_follows(database_url: str) -> None:
    """Y is loaded from a later page; shares that are moved in before its next price must not count as its first."""
    many = {f"I{number:04}": "1" for number in range(2_500)}
    before = [uploaded(1, many), uploaded(2, {"Y": "5"}, hour(1))]
    then: list[Event] = [
        moved_in(2, "Y", "9", hour(8)),
        uploaded(3, {"Y": "6", "I0001": "2", "I2400": "2", "NEW": "1"}, hour(2)),
        uploaded(4, {"I0001": "3", "I2400": "3"}, hour(2)),
        uploaded(5, {"I0002": "4"}, hour(-1)),
    ]
    opening = random_quotes(0, 0)
    async with priced(database_url, *opening, *before) as (one, _, head):
        prices = Prices(cast(SearchableViewStore, Moving(one, then)), one.signals)
        rows, position = await prices.latest()
        assert position == head
        assert len(rows) >= len(many) + 1
        truth = known_after([*opening, *before, *then])
        assert followed(rows, await one.history.page(0, 100), position) == truth
        rows, position = await prices.latest()
        assert position == head + len(then)
        assert {name: Price(row.price, row.as_of) for name, row in rows.items()} == truth


@dataclass
class SetBack:
    """A store whose second page is read after a crash that has taken the view back."""

    rows: list[PriceRow]
    answers: list[tuple[int, int]]
    """Checkpoint and row of each answer; a row beyond the first has no next page."""

    async def wait_for(self, view: View[Any], position: int, wait: float) -> None:
        return None

    async def search(self, view: View[Any], search: Any) -> Found[PriceRow]:
        position, number = self.answers.pop(0)
        return Found([self.rows[number]], None if number else "next", Checkpoint(position, 1))


async def test_a_view_that_was_taken_back_is_loaded_anew() -> None:
    made = PRICE_PROJECTOR.fold({}, recorded([uploaded(1, {"A": "1"}), uploaded(2, {"B": "2"})]))
    store = SetBack([row for row in made.values() if row], [(9, 0), (5, 1), (5, 0), (7, 1)])
    rows, position = await Prices(cast(SearchableViewStore, store), Signals()).latest()
    assert (set(rows), position) == ({"A", "B"}, 5)
