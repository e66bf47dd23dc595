"""Every event ever released loads for ever: one stored sample per stored name, never edited, only added."""

import importlib
import json
import pkgutil
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import domain
from domain.asset_allocation import Action, AssetTransaction, Basis, Share
from domain.base import Event
from domain.codec import decode, encode
from domain.errors import Broken
from domain.portfolio import Status
from tests.domain.golden_executions import EXECUTIONS
from tests.domain.golden_models import MODELS
from tests.domain.golden_rebalances import REBALANCES

GOLDEN = Path(__file__).parent.parent / "golden" / "events"
SAMPLES = sorted(GOLDEN.glob("*.json"))

EXPECTED: dict[str, dict[str, Any]] = {
    "portfolio.opened.v1": {
        "portfolio_name": "Growth & Income – Ünïcode",
        "cash": Decimal("1000000.5"),
        "timestamp": datetime(2025, 6, 21, 10, 0, 0, 123456, tzinfo=UTC),
    },
    "portfolio.cash-deposited.v1": {
        "amount": Decimal("0.0000000000000001"),
        "cash": Decimal("1000000.5000000000000001"),
        "timestamp": datetime(2025, 6, 21, 10, 0, tzinfo=UTC),
    },
    "portfolio.cash-withdrawn.v1": {
        "amount": Decimal("2000000"),
        "cash": Decimal("-999999.4999999999999999"),
        "timestamp": datetime(2025, 6, 21, 10, 0, 1, tzinfo=UTC),
    },
    "portfolio.status-changed.v1": {
        "status": Status.LIQUIDATING,
        "timestamp": datetime(2025, 6, 21, 10, 0, 2, 500000, tzinfo=UTC),
    },
    "portfolio.fee-charged.v1": {
        "amount": Decimal("0.00000001"),
        "cash": Decimal("-999999999999999.9999999999999999"),
        "timestamp": datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC),
    },
    "portfolio.dividend-received.v1": {
        "instrument_id": "BRK.B",
        "quantity": Decimal("411522632921810.70329218"),
        "price": Decimal("0.00000003"),
        "amount": Decimal("12345678.9876543210987654"),
        "cash": Decimal("13345679.4876543210987654"),
        "timestamp": datetime(2025, 6, 21, 10, 0, 3, tzinfo=UTC),
    },
    "portfolio.shares-bought.v1": {
        "instrument_id": "BTC-USD:spot_1.x",
        "quantity": Decimal("999999999999999.99999999"),
        "price": Decimal("999999999999999.99999999"),
        "amount": Decimal("999999999999999999999980000000.0000000000000001"),
        "held": Decimal("1000000000000499.99999999"),
        "cost": Decimal("999999999999999999999980073874.3333333333333334"),
        "cash": Decimal("-999999999999999999999980000000.0000000000000001"),
        "timestamp": datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC),
    },
    "portfolio.shares-sold.v1": {
        "instrument_id": "AAPL",
        "quantity": Decimal("0.5"),
        "price": Decimal("150.25"),
        "amount": Decimal("75.125"),
        "held": Decimal("0.66666667"),
        "cost": Decimal("98.500000000000000000000000000000000000000000000067"),
        "cash": Decimal("1000075.625"),
        "realized": Decimal("1.250000000000000000000000000000000000000000000067"),
        "timestamp": datetime(2025, 6, 21, 10, 0, 4, tzinfo=UTC),
    },
    "portfolio.shares-sold-short.v1": {
        "instrument_id": "x",
        "quantity": Decimal(1000),
        "price": Decimal("0.01234567"),
        "amount": Decimal("12.34567"),
        "held": Decimal(-1000),
        "cost": Decimal("-12.34567"),
        "cash": Decimal("12.34567"),
        "timestamp": datetime(2025, 6, 21, 10, 0, 5, tzinfo=UTC),
    },
    "portfolio.shares-covered.v1": {
        "instrument_id": "x",
        "quantity": Decimal(1000),
        "price": Decimal(1),
        "amount": Decimal(1000),
        "held": Decimal(0),
        "cost": Decimal(0),
        "cash": Decimal("-987.65433"),
        "realized": Decimal("-987.65433"),
        "timestamp": datetime(2025, 6, 21, 10, 0, 6, tzinfo=UTC),
    },
    "portfolio.shares-moved-in.v1": {
        "instrument_id": "60AABBCCDDEEFF0011223344",
        "quantity": Decimal("250.00000001"),
        "price": Decimal(0),
        "amount": Decimal(0),
        "held": Decimal("250.00000001"),
        "cost": Decimal(0),
        "timestamp": datetime(2025, 6, 21, 10, 0, 7, tzinfo=UTC),
    },
    "portfolio.shares-moved-out.v1": {
        "instrument_id": "AAPL",
        "quantity": Decimal(1),
        "price": Decimal("3.33333333"),
        "amount": Decimal("3.3333333333333333333333333333333333333333333333333"),
        "held": Decimal(2),
        "cost": Decimal("6.6666666666666666666666666666666666666666666666667"),
        "timestamp": datetime(2025, 6, 21, 10, 0, 8, tzinfo=UTC),
    },
    "portfolio.allocation-set.v1": {
        "allocation": (
            Share("stöcks ☂", Decimal("33.3")),
            Share("bonds", Decimal("66.69999999")),
            Share('"gold"/\\', Decimal("0.00000001")),
        ),
        "timestamp": datetime(2025, 6, 21, 10, 0, 11, tzinfo=UTC),
    },
    "portfolio.rebalance-requested.v1": {
        "basis": Basis.MARKET,
        "current": (Share("stocks", Decimal(60)), Share("bonds", Decimal(40))),
        "allocation": (Share("bonds", Decimal("29.2")), Share("stocks", Decimal("70.8"))),
        "allocation_hash": "326cc3121e9b8a0325cd57874a2ee438fff24512d85a829fdd1b7a3f659eb4a9",
        "timestamp": datetime(2025, 6, 21, 10, 0, 12, tzinfo=UTC),
    },
    "portfolio.rebalance-booked.v1": {
        "request_version": 6,
        "transactions": (
            AssetTransaction(Action.SELL, "stocks", Decimal("10.8")),
            AssetTransaction(Action.BUY, "bonds", Decimal("10.8")),
        ),
        "allocation": (Share("stocks", Decimal(60)), Share("bonds", Decimal(40))),
        "timestamp": datetime(2025, 6, 21, 10, 0, 13, tzinfo=UTC),
    },
    "prices.uploaded.v1": {
        "prices": {
            "AAPL": Decimal("150.25"),
            "BRK.A": Decimal("999999999999999.99999999"),
            "PENNY:x": Decimal("0.00000001"),
        },
        "timestamp": datetime(2025, 6, 20, 20, 0, 0, 1, tzinfo=UTC),
    },
    "security.named.v1": {
        "ticker": "GLE.PA",
        "name": 'Société Générale – "Ünïcode" ☂ & Søns',
        "timestamp": datetime(2025, 6, 21, 10, 0, 9, tzinfo=UTC),
    },
    "security.renamed.v1": {
        "ticker": "7203",
        "name": "株式会社",
        "timestamp": datetime(2025, 6, 21, 10, 0, 10, tzinfo=UTC),
    },
    **EXECUTIONS,
    **MODELS,
    **REBALANCES,
}


def stored_names(cls: type[Event] = Event) -> set[str]:
    names = {cls.TOPIC} if "TOPIC" in vars(cls) else set()
    return names.union(*(stored_names(sub) for sub in cls.__subclasses__() if sub.__module__.startswith("domain.")))


def test_every_event_class_has_a_sample_and_every_sample_an_expectation() -> None:
    for module in pkgutil.walk_packages(domain.__path__, "domain."):
        importlib.import_module(module.name)
    assert stored_names() == {path.stem for path in SAMPLES}
    assert {path.stem for path in SAMPLES} == set(EXPECTED)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_released_event_loads(path: Path) -> None:
    event = decode(path.stem, path.read_bytes().strip(), "portfolio/ACC-1", 7)
    assert {name: getattr(event, name) for name in EXPECTED[path.stem]} == EXPECTED[path.stem]
    assert (event.originator_id, event.originator_version) == ("portfolio/ACC-1", 7)
    assert json.loads(encode(event)).keys() >= json.loads(path.read_bytes()).keys()
    assert decode(path.stem, encode(event), "portfolio/ACC-1", 7) == event


def test_an_event_that_cannot_be_read_is_named() -> None:
    with pytest.raises(Broken, match=r"event 3 of portfolio/X \(portfolio\.cash-deposited\.v1\)"):
        decode("portfolio.cash-deposited.v1", b'{"amount":"1"}', "portfolio/X", 3)
    with pytest.raises(Broken, match="no-such"):
        decode("no-such.v1", b"{}", "portfolio/X", 3)


def test_an_old_version_is_brought_up_to_date() -> None:
    class Renamed(Event):
        TOPIC = "test.renamed.v1"
        class_version = 3
        amount: Decimal
        currency: str

        @staticmethod
        def upcast_v1_v2(state: dict[str, Any]) -> None:
            state["amount"] = state.pop("sum")

        @staticmethod
        def upcast_v2_v3(state: dict[str, Any]) -> None:
            state["currency"] = "USD"

    old = decode(Renamed.TOPIC, b'{"sum":"1.50","timestamp":"2025-06-21T10:00:00Z"}', "test/1", 1)
    assert isinstance(old, Renamed)
    assert (old.amount, old.currency) == (Decimal("1.50"), "USD")
    assert decode(Renamed.TOPIC, encode(old), "test/1", 1) == old


def test_an_event_of_a_newer_program_is_not_read_as_an_old_one() -> None:
    newer = b'{"amount":"1","cash":"1","class_version":2,"currency":"EUR","timestamp":"2025-06-21T10:00:00Z"}'
    with pytest.raises(Broken, match="version 2 of the event, this program knows version 1"):
        decode("portfolio.cash-deposited.v1", newer, "portfolio/X", 3)
