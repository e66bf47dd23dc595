"""States, positions and weights: never older than the facts and the prices they are asked at, whoever rendered them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.base import Event
from domain.errors import NotFound, NotYet
from domain.valuation import value
from projections.portfolio import PORTFOLIO_PROJECTOR
from projections.prices import PRICE_PROJECTOR
from read_side import states as states_module
from read_side import valuing
from read_side.portfolio import PortfolioRow, Portfolios
from read_side.price_table import PriceTable
from read_side.prices import Prices
from read_side.rendered import Rendered, Stamp
from read_side.rendering import positions_json, state_json, weights_json
from read_side.signals import Signals
from read_side.states import States
from read_side.valuing import Valuer
from tests.api.folded import FoldedViews
from tests.api.memory_log import MemoryLog
from tests.domain.portfolios import buy, deposit, sell, short
from tests.projections.market import PORTFOLIOS, Market, day, random_market
from tests.projections.quoting import known_after, recorded
from tests.write_side.stores import by

RENDER = {"state": state_json, "positions": positions_json, "weights": weights_json}
HELD = Market().open("P", "100").update("P", day(1), buy("A", "2", "10"), short("B", "1", "5"))


@dataclass
class Shelf:
    """Rendered bytes shared between processes, in memory; looking up takes as long as the test wants."""

    kept: dict[tuple[str, str], Rendered] = field(default_factory=dict)
    puts: list[tuple[str, str]] = field(default_factory=list)
    meanwhile: list[Callable[[], None]] = field(default_factory=list)

    async def get(self, what: str, portfolio_id: str) -> Rendered | None:
        found = self.kept.get((what, portfolio_id))
        await asyncio.sleep(0)
        while self.meanwhile:
            self.meanwhile.pop()()
        return found

    def put(self, what: str, portfolio_id: str, rendered: Rendered) -> None:
        self.puts.append((what, portfolio_id))
        known = self.kept.get((what, portfolio_id))
        if known is None or known.stamp < rendered.stamp:
            self.kept[what, portfolio_id] = rendered


@dataclass
class World:
    """A log, and the processes that answer from it; the first one appends."""

    log: MemoryLog
    shelf: Shelf
    states: list[States]
    tables: list[PriceTable]

    async def append(self, *events: Event) -> int:
        return (await self.log.append(events, by())).position

    def append_now(self, *events: Event) -> None:
        """Append while others wait; the tables are told at once."""
        base = len(self.log.events)
        self.log.events += events
        self.log.times += [self.log.clock() for _ in events]
        for told in [*self.log.committed, *(table.heard for table in self.tables)]:
            told(base, events)

    def expected(self, what: str, portfolio_id: str) -> bytes:
        return RENDER[what](value(row_of(self.log.events, portfolio_id), known_after(self.log.events)))


def row_of(events: Sequence[Event], portfolio_id: str) -> PortfolioRow:
    row = PORTFOLIO_PROJECTOR.fold({}, recorded(events))[portfolio_id]
    assert row is not None
    return row


@asynccontextmanager
async def world(processes: int = 1) -> AsyncIterator[World]:
    log, shelf, tables, states = MemoryLog(), Shelf(), list[PriceTable](), list[States]()
    views = FoldedViews(log.events, (PORTFOLIO_PROJECTOR, PRICE_PROJECTOR))
    for number in range(processes):
        signals = Signals()
        table = PriceTable(log, Prices(views, signals), signals)
        await table.start()
        log.committed.append(lambda base, events, signals=signals: signals.hear_head(base + len(events)))  # type: ignore[misc]
        if number == 0:
            log.committed.append(table.heard)
        tables.append(table)
        states.append(States(Portfolios(views, signals), table, signals, shelf))
    try:
        yield World(log, shelf, states, tables)
    finally:
        for table in tables:
            await table.close()


async def ask(states: States, what: str, portfolio_id: str, at_least: int = 0, wait: float = 60) -> Rendered:
    rendered: Rendered = await getattr(states, what)(portfolio_id, at_least=at_least, wait=wait)
    return rendered


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30))
async def test_every_process_answers_with_the_facts_and_prices_of_the_position_asked_for(seed: int, steps: int) -> None:
    random, events = Random(seed), random_market(seed, steps).events
    async with world(processes=3) as one:
        while len(one.log.events) < len(events):
            head = await one.append(*events[len(one.log.events) :][: random.randint(1, 3)])
            opened = {event.originator_id for event in events[:head]}
            for portfolio_id in PORTFOLIOS:
                if f"portfolio/{portfolio_id}" in opened:
                    for what in random.sample(list(RENDER), 2):
                        found = await ask(random.choice(one.states), what, portfolio_id, head)
                        assert found.body == one.expected(what, portfolio_id)
                        assert found.version == row_of(events[:head], portfolio_id).version


async def test_what_has_not_changed_is_not_made_again() -> None:
    async with world(processes=2) as one:
        head = await one.append(*HELD.events)
        for what in RENDER:
            first = await ask(one.states[0], what, "P", head)
            assert await ask(one.states[0], what, "P", head) is first
            assert await ask(one.states[1], what, "P", head) is first, "what another process has rendered is used"
        assert len(one.shelf.puts) == 3
        head = await one.append(*Market().prices(day(2), Z="1").prices(day(0), A="1").events)
        assert await ask(one.states[0], "state", "P", head) is one.shelf.kept["state", "P"], "no price of what is held"
        assert len(one.shelf.puts) == 3


@pytest.mark.parametrize("what", RENDER)
async def test_a_price_that_arrives_while_the_shared_copy_is_looked_up_is_in_the_answer(what: str) -> None:
    async with world(processes=2) as one:
        head = await one.append(*HELD.events)
        await ask(one.states[0], what, "P", head)
        await one.tables[1].reach(head, 60)
        one.shelf.meanwhile.append(lambda: one.append_now(*Market().prices(day(2), A="77").events))
        found = await ask(one.states[1], what, "P", head)
        assert found.body == one.expected(what, "P")
        assert found.stamp == Stamp(3, head + 1)
        assert one.shelf.kept[what, "P"] == found


async def test_a_price_that_arrives_while_the_facts_are_looked_up_is_in_the_answer() -> None:
    async with world() as one:
        head = await one.append(*HELD.events)
        await ask(one.states[0], "state", "P", head)
        looking = asyncio.create_task(ask(one.states[0], "state", "P", head))
        await asyncio.sleep(0)
        one.append_now(*Market().prices(day(2), A="77").events)
        assert (await looking).body == one.expected("state", "P")


async def test_prices_are_never_older_than_the_facts_even_where_nobody_asks_for_a_position() -> None:
    async with world(processes=2) as one:
        await one.append(*HELD.events)
        found = await ask(one.states[1], "state", "P")
        assert found.body == one.expected("state", "P")
        assert found.stamp == Stamp(3, 3)


@pytest.mark.parametrize("stamp", [Stamp(2, 3), Stamp(3, 0), Stamp(3, 99), Stamp(4, 3), Stamp(4, 0)])
async def test_bytes_of_another_stamp_older_or_younger_are_not_used(stamp: Stamp) -> None:
    async with world() as one:
        head = await one.append(*HELD.events)
        one.shelf.kept["state", "P"] = Rendered(b"another", stamp)
        found = await ask(one.states[0], "state", "P", head)
        assert (found.body, found.stamp) == (one.expected("state", "P"), Stamp(3, 3))


async def test_the_last_position_sold_leaves_cash_alone_whatever_its_price_does() -> None:
    async with world() as one:
        market = Market().open("P", "100").update("P", day(1), buy("A", "1", "10"), sell("A", "1", "12"))
        head = await one.append(*market.events)
        first = await ask(one.states[0], "state", "P", head)
        assert first.stamp == Stamp(3, 0)
        head = await one.append(*Market().prices(day(5), A="99").events)
        assert await ask(one.states[0], "state", "P", head) is first


async def test_prices_are_waited_for_as_facts_are() -> None:
    async with world(processes=2) as one:
        head = await one.append(*HELD.events)
        for states in one.states:
            with pytest.raises(NotYet):
                await ask(states, "state", "P", head + 1, 0.05)
            with pytest.raises(NotFound):
                await ask(states, "state", "Q", head)
        one.log.events += Market().prices(day(2), A="77").events
        one.log.times.append(one.log.clock())
        with pytest.raises(NotYet):
            await ask(one.states[0], "state", "P", head + 2, 0.05)
        assert (await ask(one.states[0], "state", "P", head + 1)).body == one.expected("state", "P")


async def test_with_little_memory_the_answers_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states_module, "_KEPT", 3_000)
    monkeypatch.setattr(valuing, "_KEPT", 3)
    events = random_market(11, 40).events
    async with world() as one:
        for event in events:
            head = await one.append(event)
            for name in {each.originator_id.removeprefix("portfolio/") for each in events[:head]} & {*PORTFOLIOS}:
                assert (await ask(one.states[0], "state", name, head)).body == one.expected("state", name)
            known = one.states[0]._known.values()
            assert one.states[0]._bytes == sum(len(rendered.body) + 600 for rendered in known) <= 3_000


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60))
def test_a_valuer_with_a_memory_answers_as_one_without(seed: int, steps: int) -> None:
    events, valuer = random_market(seed, steps).events, Valuer()
    for count in range(1, len(events) + 1, 2):
        rows, book = PORTFOLIO_PROJECTOR.fold({}, recorded(events[:count])), known_after(events[:count])
        for row in rows.values():
            assert row is not None
            valued, shown = valuer.value(row, book)
            assert valued == value(row, book)
            for render in RENDER.values():
                assert render(valued, shown) == render(value(row, book))


async def test_a_change_of_cash_alone_is_seen() -> None:
    async with world() as one:
        market = Market().open("P", "1")
        await one.append(*market.events)
        first = await ask(one.states[0], "weights", "P", 1)
        head = await one.append(*market.update("P", day(1), deposit("5")).events[1:])
        second = await ask(one.states[0], "state", "P", head)
        assert second.body == one.expected("state", "P")
        assert (await ask(one.states[0], "weights", "P", head)).body == first.body == b'{"CASH":1}'
