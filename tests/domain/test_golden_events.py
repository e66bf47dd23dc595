"""Every event ever released loads for ever: one stored sample per stored name, never edited, only added."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from domain import portfolio
from domain.base import Created, Event
from domain.codec import decode, encode
from domain.errors import Broken

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
}


def stored_names(cls: type[Event] = Event) -> set[str]:
    names = {cls.TOPIC} if "TOPIC" in vars(cls) else set()
    return names.union(*(stored_names(sub) for sub in cls.__subclasses__() if sub.__module__.startswith("domain.")))


def test_every_event_class_has_a_sample_and_every_sample_an_expectation() -> None:
    assert portfolio.PortfolioOpened in Created.__subclasses__()
    assert stored_names() <= {path.stem for path in SAMPLES}
    assert {path.stem for path in SAMPLES} == set(EXPECTED)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_released_event_loads(path: Path) -> None:
    event = decode(path.stem, path.read_bytes().strip(), "portfolio/ACC-1", 7)
    assert {name: getattr(event, name) for name in EXPECTED[path.stem]} == EXPECTED[path.stem]
    assert (event.originator_id, event.originator_version) == ("portfolio/ACC-1", 7)
    assert json.loads(encode(event)).keys() >= json.loads(path.read_bytes()).keys()


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
