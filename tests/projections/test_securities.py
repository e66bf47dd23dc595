"""The view of securities: the names of each as its last event gave them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from domain.base import Event
from domain.errors import Broken
from domain.securities import Security
from projections.securities import SECURITY_PROJECTOR
from read_side.securities import SecurityRow
from tests.projections.quoting import recorded

NOW = datetime(2025, 6, 21, 10, 0, tzinfo=UTC)


def named() -> list[Event]:
    security = Security.called("AAPL", "AAPL", "Apple Computer", NOW)
    security.rename("AAPL", "Apple Inc.", NOW)
    return list(security.collect_events())


def test_a_row_has_the_last_names_and_where_the_first_were_given() -> None:
    other = list(Security.called("MSFT", "MSFT", "Microsoft", NOW).collect_events())
    [first, second] = named()
    rows = SECURITY_PROJECTOR.fold({}, recorded([first, *other, second]))
    assert rows["AAPL"] == SecurityRow(
        security_id="AAPL", ticker="AAPL", name="Apple Inc.", version=2, named=1, position=3
    )
    assert rows["MSFT"] == SecurityRow(
        security_id="MSFT", ticker="MSFT", name="Microsoft", version=1, named=2, position=2
    )


def test_a_stream_without_its_beginning_stops_the_view() -> None:
    with pytest.raises(Broken, match="before its first one"):
        SECURITY_PROJECTOR.fold({}, recorded(named()[1:]))
