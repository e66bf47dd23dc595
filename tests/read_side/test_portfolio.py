"""Portfolios as they are shown and found."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from msgspec.structs import replace

from domain.errors import NotFound, NotYet
from domain.portfolio import Holding, Status
from domain.prices import Price
from domain.valuation import value
from read_side.portfolio import PORTFOLIOS, PortfolioRow, Portfolios
from read_side.rendering import list_json, positions_json, state_json, weights_json
from read_side.store import Checkpoint
from tests.projections.logs import append, deposited, opened, process
from tests.projections.running import running

NOW = datetime(2025, 6, 21, 10, 0, 0, 120000, tzinfo=UTC)


def row(cash: str, portfolio_id: str = "ACC-1") -> PortfolioRow:
    return PortfolioRow(
        position=1,
        portfolio_id=portfolio_id,
        portfolio_name="Größe",
        status=Status.ACTIVE,
        cash=Decimal(cash),
        cash_updated=NOW,
        last_updated=NOW,
        version=1,
        opened=1,
    )


def shown(cash: str, total: str, weight: str, overdrawn: str) -> str:
    return (
        f'{{"portfolio_id":"ACC-1","total_value":{total},"cash_balance":{total},"positions":[{{"instrument_id":"CASH",'
        f'"position_type":"CASH","quantity":{total},"market_value":{total},"weight":{weight},"unrealized_pnl":0.00,'
        f'"cost_basis":{total},"last_updated":"2025-06-21T10:00:00.12Z"}}],"weights":{{"CASH":{weight}}},'
        '"last_updated":"2025-06-21T10:00:00.12Z","status":"ACTIVE","portfolio_name":"Größe",'
        f'"overdrawn":{overdrawn}}}'
    )


@pytest.mark.parametrize(
    ("cash", "total", "weight", "overdrawn"),
    [
        ("1000000", "1000000.00", "1", "false"),
        ("0", "0.00", "0", "false"),
        ("-0.004", "0.00", "1", "true"),
        ("0.005", "0.00", "1", "false"),
        ("0.015", "0.02", "1", "false"),
        ("-12.5", "-12.50", "1", "true"),
        ("999999999999999999999999999.995", "1000000000000000000000000000.00", "1", "false"),
        ("1E+3", "1000.00", "1", "false"),
    ],
)
def test_the_state_is_exact_to_the_byte(cash: str, total: str, weight: str, overdrawn: str) -> None:
    assert state_json(value(row(cash), {})).decode() == shown(cash, total, weight, overdrawn)


def test_a_quantity_is_shown_as_it_is_and_money_with_cents() -> None:
    held = {"AAPL": Holding(Decimal("500.50000000"), Decimal("73948.875"), NOW)}
    valued = value(replace(row("-5000"), positions=held), {"AAPL": Price(Decimal("150.2500"), NOW)})
    assert positions_json(valued).decode() == (
        '[{"instrument_id":"AAPL","position_type":"LONG","quantity":500.5,"market_value":75200.12,"weight":1.071225,'
        '"unrealized_pnl":1251.25,"cost_basis":73948.88,"last_updated":"2025-06-21T10:00:00.12Z"},'
        '{"instrument_id":"CASH","position_type":"CASH","quantity":-5000.00,"market_value":-5000.00,'
        '"weight":-0.071225,"unrealized_pnl":0.00,"cost_basis":-5000.00,"last_updated":"2025-06-21T10:00:00.12Z"}]'
    )
    assert weights_json(valued) == b'{"AAPL":1.071225,"CASH":-0.071225}'


def test_a_list_shows_id_name_and_status() -> None:
    assert list_json([row("1")], None).decode() == (
        '{"items":[{"portfolio_id":"ACC-1","portfolio_name":"Größe","status":"ACTIVE"}],"next":null}'
    )
    assert list_json([], "abc") == b'{"items":[],"next":"abc"}'


async def test_a_client_reads_its_own_writes(database_url: str) -> None:
    async with process(database_url) as one, running(one):
        queries = Portfolios(one.store, one.signals)
        position = await append(database_url, opened("A", "1"))
        found_row = await queries.by_id("A", at_least=position, wait=60)
        assert (found_row.version, found_row.cash) == (1, Decimal(1))
        position = await append(database_url, deposited("A", 2, "2.50"))
        found_row = await queries.by_id("A", at_least=position, wait=60)
        assert (found_row.version, found_row.cash) == (2, Decimal("2.50"))
        found = await queries.search("a", Status.ACTIVE, at_least=position, wait=60)
        assert [(row.portfolio_id, row.version) for row in found.rows] == [("A", 2)]
        assert (await queries.in_status(Status.CLOSED)).rows == []


async def test_what_is_behind_or_unknown_says_so(database_url: str) -> None:
    async with process(database_url) as one:
        await one.store.prepare(PORTFOLIOS)
        queries = Portfolios(one.store, one.signals)
        for missing in ("A", "", "..", "a/b", "\0", "\ud800", "x" * 101):
            with pytest.raises(NotFound):
                await queries.by_id(missing)
        for ask in (queries.by_id, queries.search):
            with pytest.raises(NotYet):
                await ask("A", at_least=1, wait=0.01)


async def test_a_checkpoint_taken_back_by_a_crash_is_waited_for_again(database_url: str) -> None:
    """A projector's commits are not waited for: after a crash the view may stand lower than was heard of."""
    async with process(database_url) as one:
        await one.store.prepare(PORTFOLIOS)
        queries = Portfolios(one.store, one.signals)
        position = await append(database_url, opened("A", "1"))
        one.signals.correct(PORTFOLIOS.name, await one.store.checkpoint(PORTFOLIOS))
        one.signals.hear_checkpoint(PORTFOLIOS.name, Checkpoint(position, 1))
        with pytest.raises(NotYet):
            await queries.by_id("A", at_least=position, wait=0.05)
        async with running(one):
            assert (await queries.by_id("A", at_least=position, wait=60)).version == 1
