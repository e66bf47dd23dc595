"""The view of transactions: one row for every event that moves something, and never changed again."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import get_args

import msgspec
import pytest

from domain.base import Event
from domain.portfolio import AllocationEvent, PortfolioEvent, StatusChanged, TransactionType
from projections.projector import Folding, Unknown
from projections.rebuild import rebuild, verify
from projections.transactions import TRANSACTION_PROJECTOR, TYPES
from read_side.adapters.postgres_builder import PostgresBuilder
from read_side.transactions import TRANSACTIONS, TransactionRow
from tests.projections.logs import append, content, deposited, opened, process
from tests.projections.quoting import recorded
from tests.projections.running import running
from tests.projections.trading import NOW, every_type, random_trades


def rows_of(*events: Event) -> list[TransactionRow]:
    rows = TRANSACTION_PROJECTOR.fold({}, recorded(events))
    assert all(row is not None and row.key == key for key, row in rows.items())
    return [row for row in rows.values() if row is not None]


def test_every_transaction_is_a_row_with_the_figures_of_its_event() -> None:
    rows = rows_of(*every_type())
    told = [
        (row.transaction_type, row.instrument_id, row.quantity, row.price, row.transaction_value, row.realized_pnl)
        for row in rows
    ]
    assert told == [
        (kind, instrument_id, Decimal(quantity), Decimal(price), Decimal(value), realized and Decimal(realized))
        for kind, instrument_id, quantity, price, value, realized in [
            ("DEP", "CASH", "100000.5", "1", "100000.5", None),
            ("DEP", "CASH", "0.0000000000000001", "1", "0.0000000000000001", None),
            ("BUY", "AAPL", "500", "147.75", "73875", None),
            ("SELL", "AAPL", "200", "150.255", "30051", "501"),
            ("SHORT", "TSLA", "3", "100", "300", None),
            ("COVER", "TSLA", "1", "130.005", "130.005", "-30.005"),
            ("IN", "MSFT", "3", "0", "0", None),
            ("IN", "MSFT", "0.5", "10", "5", None),
            ("OUT", "MSFT", "1.5", "1.42857143", "2.1428571428571428571428571428571428571428571428571", None),
            ("DIVIDEND", "AAPL", "300", "0.24", "72", None),
            ("FEE", "CASH", "12.5", "1", "12.5", None),
            ("WD", "CASH", "1000", "1", "1000", None),
        ]
    ]
    assert [row.transaction_date for row in rows] == [NOW + timedelta(minutes=minute) for minute in range(12)]
    assert [row.position for row in rows] == list(range(1, 13))
    assert {row.portfolio_id for row in rows} == {"ACC-1"}
    assert rows[0].key == "ACC-1/0000000000000000001"


def test_an_opening_without_cash_and_a_status_are_no_transactions() -> None:
    assert rows_of(opened("A", "0"), opened("B", "0.00")) == []
    assert StatusChanged not in TRANSACTION_PROJECTOR.handles
    assert len(rows_of(*every_type())) == len(every_type()) - 1


def test_every_event_of_portfolios_and_every_type_is_thought_of() -> None:
    moving_nothing = {StatusChanged, *get_args(AllocationEvent)}
    assert set(TYPES) | moving_nothing == set(get_args(PortfolioEvent))
    assert set(TYPES.values()) == set(TransactionType)


def test_nothing_is_ever_looked_up() -> None:
    def never(key: str) -> None:
        raise AssertionError(key)

    events = recorded(random_trades(1, 200, 5))
    assert TRANSACTION_PROJECTOR.reads(events) == set()
    try:
        assert not Folding(TRANSACTION_PROJECTOR, events).advance(never)
    except Unknown as unknown:
        pytest.fail(f"{unknown} was read")


def test_keys_of_a_portfolio_sort_by_position_however_large() -> None:
    event, *_ = recorded([deposited("A", 2, "0")])
    made = [TRANSACTION_PROJECTOR.fold({}, [msgspec.structs.replace(event, position=at)]) for at in (9, 10, 10**18 - 1)]
    keys = [key for rows in made for key in rows]
    assert keys == sorted(keys)
    assert len(set(map(len, keys))) == 1


def test_a_row_read_back_has_the_same_bytes() -> None:
    for row in rows_of(*every_type(), *random_trades(2, 300, 5)):
        assert TRANSACTIONS.decode(TRANSACTIONS.encode(row)) == row
        assert TRANSACTIONS.encode(TRANSACTIONS.decode(TRANSACTIONS.encode(row))) == TRANSACTIONS.encode(row)


@pytest.mark.parametrize("page_size", [1, 7, 2_000])
async def test_incremental_is_rebuilt_byte_for_byte(database_url: str, page_size: int) -> None:
    head = await append(database_url, *every_type("A.B"), *random_trades(3, 300, 7))
    async with process(database_url) as one:
        async with running(one, projector=TRANSACTION_PROJECTOR, page_size=page_size):
            await one.store.wait_for(TRANSACTIONS, head, 60)
        incremental = await content(database_url, TRANSACTIONS)
        assert len(incremental) == head - 1 - 4
        compared = await verify(TRANSACTION_PROJECTOR, one.history, PostgresBuilder(database_url))
        assert (compared.position, compared.differences) == (head, [])
        rebuilt = await rebuild(TRANSACTION_PROJECTOR, one.history, PostgresBuilder(database_url))
        assert rebuilt.switched
    assert await content(database_url, TRANSACTIONS) == incremental
