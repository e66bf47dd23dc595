"""The view of prices: which price is the latest, and that every one that ever was stays to be found."""

from __future__ import annotations

from decimal import Decimal

import pytest

from domain.base import Event
from projections.prices import PRICE_PROJECTOR
from projections.rebuild import rebuild, verify
from read_side.adapters.postgres_builder import PostgresBuilder
from read_side.prices import PRICES, PriceRow, past_key
from tests.projections.logs import append, content, process
from tests.projections.quoting import bought, hour, known_after, moved_in, random_quotes, recorded, uploaded
from tests.projections.running import running


def rows_of(*events: Event) -> dict[str, PriceRow]:
    rows = PRICE_PROJECTOR.fold({}, recorded(events))
    assert all(row is not None and row.key == key for key, row in rows.items())
    return {key: row for key, row in rows.items() if row is not None}


def prices_of(*events: Event) -> dict[str, str]:
    return {key: str(row.price) for key, row in rows_of(*events).items()}


def test_the_latest_stands_under_the_id_and_the_past_one_under_its_position() -> None:
    rows = rows_of(uploaded(1, {"A": "1"}), uploaded(2, {"A": "2"}, hour(1)))
    assert rows == {
        "A": PriceRow(
            key="A", instrument_id="A", price=Decimal(2), as_of=hour(1), recorded=2, position=2,
            state="latest", listed=2,
        ),
        "A@0000000000000000001": PriceRow(
            key="A@0000000000000000001", instrument_id="A", price=Decimal(1), as_of=hour(0), recorded=1, position=2,
            state="past", listed=None,
        ),
    }  # fmt: skip


def test_an_older_price_leaves_no_trace_and_of_equal_times_the_later_recorded_wins() -> None:
    assert prices_of(uploaded(1, {"A": "1"}, hour(1)), uploaded(2, {"A": "2"})) == {"A": "1"}
    assert prices_of(uploaded(1, {"A": "1"}), uploaded(2, {"A": "2"})) == {"A": "2", past_key("A", 1): "1"}


def test_a_trade_is_a_price_at_its_time() -> None:
    events = uploaded(1, {"A": "1", "B": "1"}, hour(1)), bought(2, "A", "2", hour(2)), bought(3, "B", "3", hour(0))
    assert prices_of(*events) == {"A": "2", past_key("A", 1): "1", "B": "1"}


def test_shares_moved_in_are_a_price_only_where_none_is_known() -> None:
    assert prices_of(moved_in(2, "A", "7"), moved_in(3, "A", "8", hour(1))) == {"A": "7"}
    assert prices_of(moved_in(2, "A", "0")) == {}
    assert prices_of(moved_in(2, "A", "7", hour(1)), uploaded(1, {"A": "1"})) == {"A": "7"}


@pytest.mark.parametrize("seed", range(5))
def test_the_latest_rows_are_what_the_events_leave_one_by_one(seed: int) -> None:
    events = random_quotes(seed, 200)
    rows = rows_of(*events)
    latest = {row.instrument_id: (row.price, row.as_of) for row in rows.values() if row.state == "latest"}
    assert latest == {name: (price.price, price.as_of) for name, price in known_after(events).items()}
    for row in rows.values():
        assert row.key == (row.instrument_id if row.listed else past_key(row.instrument_id, row.recorded))


def test_pages_of_any_size_make_the_same_rows() -> None:
    events = recorded(random_quotes(7, 300))
    made = []
    for size in (1, 7, 2_000):
        rows: dict[str, PriceRow] = {}
        for first in range(0, len(events), size):
            changed = PRICE_PROJECTOR.fold(rows, events[first : first + size])
            rows.update((key, row) for key, row in changed.items() if row is not None)
        made.append({key: PRICES.encode(row) for key, row in rows.items()})
    assert made[0] == made[1] == made[2]
    assert all(PRICES.encode(PRICES.decode(body)) == body for body in made[0].values())


@pytest.mark.parametrize("page_size", [1, 7, 2_000])
async def test_incremental_is_rebuilt_byte_for_byte(database_url: str, page_size: int) -> None:
    head = await append(database_url, *random_quotes(3, 150))
    async with process(database_url) as one:
        async with running(one, projector=PRICE_PROJECTOR, page_size=page_size):
            await one.store.wait_for(PRICES, head, 60)
        incremental = await content(database_url, PRICES)
        builder = PostgresBuilder(database_url)
        compared = await verify(PRICE_PROJECTOR, one.history, builder)
        assert (compared.position, compared.differences, compared.switched) == (head, [], False)
        await rebuild(PRICE_PROJECTOR, one.history, builder)
    assert await content(database_url, PRICES) == incremental


async def test_ten_thousand_prices_are_one_event(database_url: str) -> None:
    upload = {f"I{number}": str(number + 1) for number in range(10_000)}
    head = await append(database_url, uploaded(1, upload), uploaded(2, upload, hour(1)))
    async with process(database_url) as one, running(one, projector=PRICE_PROJECTOR):
        await one.store.wait_for(PRICES, head, 60)
        assert len(await content(database_url, PRICES)) == 20_000
