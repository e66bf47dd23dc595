"""A security has a ticker and a name for people; the same again is no event, and all faults are named at once."""

from __future__ import annotations

import pytest

from domain.base import fold
from domain.codec import decode, encode
from domain.errors import Invalid
from domain.securities import Security, SecurityNamed, SecurityRenamed
from tests.domain.given import given
from tests.domain.portfolios import NOW

ID = "60AABBCCDDEEFF0011223344"


def named() -> Security:
    return Security.called(ID, "AAPL", "Apple Inc.", NOW)


def test_a_security_is_named_under_its_id() -> None:
    security = Security.called(ID, " AAPL ", "\tApple Inc.\n", NOW)
    (event,) = security.collect_events()
    assert isinstance(event, SecurityNamed)
    assert (event.originator_id, event.originator_version) == (f"security/{ID}", 1)
    assert (event.ticker, event.name, event.timestamp) == ("AAPL", "Apple Inc.", NOW)
    assert security.security_id == ID


@pytest.mark.parametrize(
    ("ticker", "name"), [("AAPL", "Apple"), ("APPL", "Apple Inc."), ("aapl", "Apple Inc."), ("7203", "株式会社")]
)
def test_another_ticker_or_name_is_an_event(ticker: str, name: str) -> None:
    given(named()).when(lambda security: security.rename(ticker, name, NOW)).then(
        (SecurityRenamed, {"ticker": ticker, "name": name, "timestamp": NOW})
    )


def test_the_same_names_again_change_nothing() -> None:
    given(named()).when(lambda security: security.rename("AAPL", "Apple Inc.", NOW)).then()
    given(named()).when(lambda security: security.rename(" AAPL", "Apple Inc. ", NOW)).then()


@pytest.mark.parametrize(
    ("security_id", "ticker", "name", "pointers"),
    [
        ("", "A", "n", ["/security_id"]),
        ("x" * 25, "A", "n", ["/security_id"]),
        ("..", "A", "n", ["/security_id"]),
        ("CASH", "A", "n", ["/security_id"]),
        (ID, " ", "n", ["/ticker"]),
        (ID, "x" * 21, "n", ["/ticker"]),
        (ID, "A", "", ["/name"]),
        (ID, "A", "x" * 201, ["/name"]),
        ("a b", "", " ", ["/security_id", "/ticker", "/name"]),
    ],
)
def test_bad_names_are_refused_with_every_fault(security_id: str, ticker: str, name: str, pointers: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        Security.called(security_id, ticker, name, NOW)
    assert [fault.pointer for fault in refused.value.faults] == pointers


def test_a_bad_rename_names_every_fault_and_changes_nothing() -> None:
    security = named()
    security.collect_events()
    with pytest.raises(Invalid) as refused:
        security.rename("", "x" * 201, NOW)
    assert [fault.pointer for fault in refused.value.faults] == ["/ticker", "/name"]
    assert (security.ticker, security.name, security.collect_events()) == ("AAPL", "Apple Inc.", [])


def test_the_longest_names_are_taken() -> None:
    security = Security.called("x" * 24, "t" * 20, "é" * 200, NOW)
    assert (len(security.ticker), len(security.name)) == (20, 200)


def test_it_loads_as_it_was() -> None:
    security = named()
    security.rename("APPL", "Apple", NOW)
    events = security.collect_events()
    stored = [decode(event.TOPIC, encode(event), security.id, event.originator_version) for event in events]
    assert fold(stored) == security
