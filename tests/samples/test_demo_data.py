"""The data of the demo: the shipped files are what the script makes, and everything in them can happen."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from itertools import pairwise

import pytest

from samples.demo.make import FOLDER, make
from tests.samples.expected import rows
from tests.samples.rebalanced import rebalanced

FIRST, LAST = date(2026, 8, 2), date(2026, 10, 30)
CASH = {"BUY": -1, "COVER": -1, "SELL": 1, "SHORT": 1, "DIVIDEND": 1, "DEP": 1, "WD": -1, "FEE": -1, "IN": 0, "OUT": 0}
SHARES = {"BUY": 1, "COVER": 1, "IN": 1, "SELL": -1, "SHORT": -1, "OUT": -1}
OVERDRAWN = {"riverside-endowment"}


def moments(name: str, column: str) -> Iterator[datetime]:
    for row in rows(name):
        assert re.fullmatch(r"2026-\d\d-\d\dT\d\d:\d\d:\d\dZ", row[column])
        yield datetime.fromisoformat(row[column])


def test_the_files_are_what_the_script_makes() -> None:
    made = make()
    assert {path.name for path in FOLDER.iterdir() if path.suffix in {".csv", ".json"}} == set(made)
    for name, content in made.items():
        assert (FOLDER / name).read_bytes() == content, f"{name} is another one: run python -m samples.demo.make"
    assert sum(map(len, made.values())) < 1_500_000


def test_forty_securities_have_ids_of_24_characters_and_names() -> None:
    securities = rows("securities")
    assert len(securities) == 40
    assert all(re.fullmatch("[A-Za-z0-9]{24}", row["security_id"]) for row in securities)
    for column in ("security_id", "ticker", "name"):
        assert len({row[column] for row in securities}) == 40
        assert all(row[column] for row in securities)


def test_every_security_has_a_price_at_the_end_of_each_day_of_trading() -> None:
    days = Counter(moments("prices", "as_of"))
    assert set(days.values()) == {40}
    assert list(days) == sorted(days)
    assert len(days) == 64
    for at in days:
        assert at.weekday() < 5
        assert FIRST <= at.date() <= LAST
        assert at.time() == time(20)
    assert max(days).date() == LAST
    prices = defaultdict(list)
    for row in rows("prices"):
        prices[row["instrument_id"]].append(Decimal(row["price"]))
    assert set(prices) == {row["security_id"] for row in rows("securities")}
    for series in prices.values():
        changes = [abs(later / earlier - 1) for earlier, later in pairwise(series)]
        assert max(changes) < Decimal("0.15")
        assert all(price > 1 and price.as_tuple().exponent == -2 for price in series)


def test_transactions_come_in_order_on_days_of_trading() -> None:
    trading = {at.date() for at in moments("prices", "as_of")}
    times = list(moments("transactions", "timestamp"))
    assert times == sorted(times)
    assert {at.date() for at in times} <= trading
    for at, row in zip(times, rows("transactions"), strict=True):
        if row["transaction_type"] in {"BUY", "SELL", "SHORT", "COVER"}:
            assert time(14, 30) <= at.time() <= time(19)
        else:
            assert time(13) <= at.time() < time(13, 30)
    assert 1_500 <= len(times) <= 3_000
    assert {row["transaction_type"] for row in rows("transactions")} == set(CASH)


def test_portfolios_are_of_every_status() -> None:
    portfolios = rows("portfolios")
    assert len({row["portfolio_id"] for row in portfolios}) == 20
    assert Counter(row["status"] for row in portfolios) == {"ACTIVE": 17, "SUSPENDED": 1, "LIQUIDATING": 1, "CLOSED": 1}
    for row in portfolios:
        assert re.fullmatch("[a-z0-9-]+", row["portfolio_id"])
        assert Decimal(500_000) <= Decimal(row["cash_balance"]) <= Decimal(20_000_000)
        assert bool(row["status_on"]) == (row["status"] != "ACTIVE")


def test_models_are_what_the_demo_says_of_them() -> None:
    models = json.loads((FOLDER / "models.json").read_text(), parse_float=Decimal)
    securities = {row["security_id"] for row in rows("securities")}
    portfolios = {row["portfolio_id"] for row in rows("portfolios") if row["status"] == "ACTIVE"}
    followers = [portfolio_id for model in models for portfolio_id in model["portfolios"]]
    assert len(models) == len({model["name"] for model in models}) == 2
    assert len(followers) == len(set(followers))
    assert portfolios.issuperset(followers)
    for model in models:
        assert securities.issuperset(position["security_id"] for position in model["positions"])
        assert sum(position["target"] for position in model["positions"]) <= 95
    of_all = {one.name: one for each in rebalanced().values() for one in each}
    assert [name for name, one in of_all.items() if one.impossible] == ["Momentum"]
    drifted = [row for one in of_all.values() for row in one.rows.values() if not row.low <= row.weight <= row.high]
    assert drifted
    for one in of_all.values():
        assert one.impossible or one.cash_after >= 0


@pytest.mark.parametrize("portfolio", rows("portfolios"), ids=lambda row: row["portfolio_id"])
def test_a_portfolio_never_sells_what_it_has_not_and_pays_with_what_it_has(portfolio: dict[str, str]) -> None:
    name, cash = portfolio["portfolio_id"], Decimal(portfolio["cash_balance"])
    held: dict[str, Decimal] = defaultdict(Decimal)
    lowest = cash
    for row in rows("transactions"):
        if row["portfolio_id"] != name:
            continue
        kind, instrument, quantity = row["transaction_type"], row["instrument_id"], Decimal(row["quantity"])
        assert quantity > 0
        changed = portfolio["status_on"] and row["timestamp"][:10] >= portfolio["status_on"]
        if changed:
            refused = {"SUSPENDED": {"BUY", "SELL", "SHORT", "COVER"}, "LIQUIDATING": {"BUY", "SHORT", "IN", "DEP"}}
            assert kind not in refused.get(portfolio["status"], CASH)
        before = held[instrument]
        if kind in SHARES:
            held[instrument] += SHARES[kind] * quantity
            assert held[instrument] >= 0 or kind in {"SHORT", "COVER"}, row
            assert held[instrument] <= 0 or kind not in {"SHORT", "COVER"}, row
        if kind == "DIVIDEND":
            assert before == quantity
        assert bool(instrument) == (kind not in {"DEP", "WD", "FEE"})
        assert bool(row["price"]) == (kind not in {"DEP", "WD", "FEE", "OUT"})
        cash += CASH[kind] * quantity * Decimal(row["price"] or 1)
        lowest = min(lowest, cash)
    assert (lowest < 0) == (name in OVERDRAWN)
    assert (cash < 0) == (name in OVERDRAWN)
    if portfolio["status"] == "CLOSED":
        assert cash == 0
        assert not any(held.values())
    else:
        assert any(held.values())
