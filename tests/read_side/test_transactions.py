"""Transactions as they are shown, found and paged through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, cast

import psycopg
import pytest

from domain.base import Event
from domain.errors import Invalid, NotFound, NotYet
from domain.portfolio import TransactionType
from projections.transactions import TRANSACTION_PROJECTOR
from read_side.adapters import postgres_tables
from read_side.portfolio import PORTFOLIOS, Portfolios
from read_side.store import Found, R, Search, SearchableViewStore, View
from read_side.transactions import TRANSACTIONS, TransactionRow, Transactions, list_json
from tests.projections.logs import Process, append, opened, process
from tests.projections.quoting import recorded
from tests.projections.running import running
from tests.projections.trading import NOW, every_type, random_trades


class Spy:
    """A store that only hears what is searched for."""

    def __init__(self, store: SearchableViewStore) -> None:
        self._store = store
        self.asked: list[Search] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def search(self, view: View[R], search: Search) -> Found[R]:
        self.asked.append(search)
        raise NotImplementedError


def row(quantity: str, value: str, realized: str | None) -> TransactionRow:
    return TransactionRow(
        position=42,
        portfolio_id="ACC-1",
        instrument_id="CASH",
        transaction_type=TransactionType.DEP,
        quantity=Decimal(quantity),
        price=Decimal("1E+1"),
        transaction_value=Decimal(value),
        transaction_date=datetime(2025, 6, 21, 10, 0, 0, 120000, tzinfo=UTC),
        realized_pnl=None if realized is None else Decimal(realized),
    )


@pytest.mark.parametrize(
    ("quantity", "value", "realized", "shown"),
    [
        ("123456789012345.1234567890123456", "123456789012345.1234567890123456", None,
         "123456789012345.1234567890123456 123456789012345.12 null"),
        ("0.0000000000000001", "0.0000000000000001", None, "0.0000000000000001 0.00 null"),
        ("500.50000000", "0.015", "0", "500.5 0.02 0.00"),
        ("1E+3", "1E+3", "-0.004", "1000 1000.00 0.00"),
        ("1", "2.1428571428571428571428571428571428571428571428571", "-1250.005", "1 2.14 -1250.00"),
    ],
)  # fmt: skip
def test_a_transaction_is_exact_to_the_byte(quantity: str, value: str, realized: str | None, shown: str) -> None:
    figures = shown.split()
    assert list_json([row(quantity, value, realized)], None).decode() == (
        '{"items":[{"portfolio_id":"ACC-1","instrument_id":"CASH","transaction_type":"DEP",'
        f'"quantity":{figures[0]},"price":10,"transaction_value":{figures[1]},'
        f'"transaction_date":"2025-06-21T10:00:00.12Z","realized_pnl":{figures[2]},"position":42}}],"next":null}}'
    )


def test_a_list_may_be_empty_and_go_on() -> None:
    assert list_json([], "abc") == b'{"items":[],"next":"abc"}'


@asynccontextmanager
async def projected(database_url: str, *events: Event) -> AsyncIterator[tuple[Transactions, int]]:
    """Append the events and run both projections; yield the queries and the position reached."""
    head = await append(database_url, *events)
    async with process(database_url) as one, running(one), running(one, projector=TRANSACTION_PROJECTOR):
        yield queries_of(one), head


def queries_of(one: Process) -> Transactions:
    return Transactions(one.store, one.signals, Portfolios(one.store, one.signals))


def expected(events: list[Event], portfolio_id: str) -> list[TransactionRow]:
    rows = TRANSACTION_PROJECTOR.fold({}, recorded(events)).values()
    return [row for row in reversed(list(rows)) if row is not None and row.portfolio_id == portfolio_id]


async def every_page(queries: Transactions, portfolio_id: str, limit: int, **asked: Any) -> list[TransactionRow]:
    rows: list[TransactionRow] = []
    cursor = None
    while True:
        found = await queries.of_portfolio(portfolio_id, limit=limit, cursor=cursor, wait=60, **asked)
        assert len(found.rows) <= limit
        rows += found.rows
        cursor = found.next
        if cursor is None:
            return rows
        assert len(found.rows) == limit


async def test_pages_hold_every_transaction_of_the_portfolio_once_newest_first(database_url: str) -> None:
    events = random_trades(seed=7, count=400, portfolios=4)
    async with projected(database_url, *events) as (queries, head):
        for portfolio_id in ("ACC-0", "ACC-3"):
            all_of_it = expected(events, portfolio_id)
            assert len(all_of_it) > 60
            for limit in (1, 7, 1_000):
                assert await every_page(queries, portfolio_id, limit, at_least=head) == all_of_it


async def test_every_condition_narrows_and_all_hold_together(database_url: str) -> None:
    events = random_trades(seed=8, count=400, portfolios=3)
    rows = expected(events, "ACC-1")
    dates = sorted(row.transaction_date for row in rows)
    early, late = dates[len(dates) // 4], dates[len(dates) // 2]
    async with projected(database_url, *events) as (queries, head):
        for kind in (None, *TransactionType):
            for instrument_id in (None, "CASH", "AAPL", "NONE"):
                for earliest, latest in ((None, None), (early, None), (None, late), (early, late), (late, late)):
                    found = await every_page(
                        queries, "ACC-1", 10, transaction_type=kind, instrument_id=instrument_id,
                        earliest=earliest, latest=latest, at_least=head,
                    )  # fmt: skip
                    assert found == [
                        row
                        for row in rows
                        if kind in (None, row.transaction_type)
                        and instrument_id in (None, row.instrument_id)
                        and (earliest is None or row.transaction_date >= earliest)
                        and (latest is None or row.transaction_date <= latest)
                    ]


async def test_both_ends_of_a_time_are_included_in_every_offset(database_url: str) -> None:
    async with projected(database_url, *every_type()) as (queries, head):
        third = NOW + timedelta(minutes=2)
        for at in (third, third.astimezone(timezone(timedelta(hours=5, minutes=30)))):
            found = await queries.of_portfolio("ACC-1", earliest=at, latest=at, at_least=head, wait=60)
            assert [row.transaction_type for row in found.rows] == [TransactionType.BUY]
        tick = timedelta(microseconds=1)
        found = await queries.of_portfolio("ACC-1", earliest=third - tick, latest=third - tick, at_least=head)
        assert found.rows == []


async def test_a_portfolio_without_transactions_is_an_empty_list_and_an_unknown_one_is_not_found(
    database_url: str,
) -> None:
    async with projected(database_url, opened("A", "0"), opened("B", "1")) as (queries, head):
        found = await queries.of_portfolio("A", at_least=head, wait=60)
        assert (found.rows, found.next) == ([], None)
        assert len((await queries.of_portfolio("B", at_least=head, wait=60)).rows) == 1
        assert (await queries.of_portfolio("B", instrument_id="AAPL", at_least=head, wait=60)).rows == []
        for missing in ("C", "", "..", "a/b", "\0", "\ud800", "x" * 101):
            with pytest.raises(NotFound):
                await queries.of_portfolio(missing, at_least=head, wait=60)


async def test_either_view_behind_is_waited_for_and_never_an_unknown_portfolio(database_url: str) -> None:
    async with process(database_url) as one:
        for view in (PORTFOLIOS, TRANSACTIONS):
            await one.store.prepare(view)
        queries = queries_of(one)
        head = await append(database_url, opened("A", "0"))
        with pytest.raises(NotFound):
            await queries.of_portfolio("A")
        with pytest.raises(NotYet) as behind:
            await queries.of_portfolio("A", at_least=head, wait=0.01)
        assert behind.value.view == "transactions"
        async with running(one, projector=TRANSACTION_PROJECTOR):
            await one.store.wait_for(TRANSACTIONS, head, 60)
            with pytest.raises(NotYet) as behind:
                await queries.of_portfolio("A", at_least=head, wait=0.01)
            assert behind.value.view == "portfolios"
            async with running(one):
                assert (await queries.of_portfolio("A", at_least=head, wait=60)).rows == []


async def test_the_cursor_of_another_portfolio_is_refused(database_url: str) -> None:
    async with projected(database_url, *every_type("A"), *every_type("B")) as (queries, head):
        found = await queries.of_portfolio("A", limit=3, at_least=head, wait=60)
        for cursor in (found.next, "W10", "WyItcG9ydGZvbGlvX2lkIiwiXHUwMDAwIiwiQS8xIl0"):
            with pytest.raises(Invalid):
                await queries.of_portfolio("B", cursor=cursor, at_least=head, wait=60)


ROWS_OF_A_LARGE_VIEW = """
insert into rm_transactions.transactions
select p || '/' || lpad(n::text, 19, '0'), '\\x7b7d', n, p, i, t, '2025-01-01Z'::timestamptz + n * interval '1 minute'
from generate_series(1, 20000) n,
     lateral (select 'P' || greatest(n * 7919 % 1000 - 991, 0) as p, 'I' || n % 50 as i, 'T' || n % 10 as t) made
"""
"""Of P0 nearly all, of P1 to P8 twenty each."""


async def test_a_page_reads_no_more_rows_than_it_shows(database_url: str) -> None:
    """Whatever the portfolio has of all rows, and however deep the page is."""
    async with process(database_url) as one:
        await one.store.prepare(TRANSACTIONS)
        spy = Spy(one.store)
        queries = Transactions(cast(SearchableViewStore, spy), one.signals, Portfolios(one.store, one.signals))
        for portfolio_id in ("P0", "P4", "P8"):
            with pytest.raises(NotImplementedError):
                await queries.of_portfolio(portfolio_id)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(ROWS_OF_A_LARGE_VIEW)
        await connection.execute("analyze rm_transactions.transactions")
        for search in spy.asked:
            portfolio_id = search.equals["portfolio_id"]
            for after in (None, 19_000, 10_000, 3_000):
                last = None if after is None else (portfolio_id, f"{portfolio_id}/{after:019d}")
                statement, arguments = postgres_tables.search(TRANSACTIONS, search, last)
                cursor = await connection.execute(f"explain (analyze, buffers, format json) {statement}", arguments)
                [([plan],)] = await cursor.fetchall()
                pages = plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]
                assert pages <= search.limit + 20, (portfolio_id, after, plan)
