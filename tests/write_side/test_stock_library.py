"""The stock ``eventsourcing`` library reads and writes our log, so a log of ours is never ours alone."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from eventsourcing.persistence import IntegrityError
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

from domain.base import fold
from domain.codec import EventMapper
from domain.portfolio import CashDeposited, Portfolio
from tests.write_side.stores import event_store


def recorder(database_url: str) -> tuple[PostgresDatastore, PostgresApplicationRecorder]:
    parts = urlsplit(database_url)
    query = parse_qs(parts.query)
    datastore = PostgresDatastore(
        parts.path.lstrip("/"),
        query["host"][0],
        "5432",
        parts.username or "",
        "",
        schema="es",
        originator_id_type="text",
    )
    return datastore, PostgresApplicationRecorder(datastore, events_table_name="stored_events")


async def test_the_stock_library_reads_and_writes_our_log(database_url: str) -> None:
    async with event_store(database_url) as one:
        await one.open("A", "10")
        await one.move("A", "1", "-0.5")
        datastore, stock = recorder(database_url)
        mapper: Any = EventMapper(transcoder=None)  # type: ignore[arg-type]
        with datastore:
            events = [mapper.to_domain_event(stored) for stored in stock.select_events("portfolio/A")]
            assert fold(events) == await one.store.load(Portfolio, "A")
            notifications = stock.select_notifications(start=None, limit=10)
            assert [notification.id for notification in notifications] == [1, 2, 3] == list(range(1, 4))
            assert stock.max_notification_id() == 3

            deposit = CashDeposited(
                originator_id="portfolio/A",
                originator_version=4,
                timestamp=datetime(2025, 6, 21, tzinfo=UTC),
                amount=Decimal(5),
                cash=Decimal("15.5"),
            )
            stored = mapper.to_stored_event(deposit)
            assert stock.insert_events([stored]) == [4]
            with pytest.raises(IntegrityError):
                stock.insert_events([stored])
        # Our own store was behind by that event: it finds out and goes on.
        done = await one.move("A", "1")
        assert (done.position, done.version) == (5, 5)
        assert await one.cash("A") == Decimal("16.5")
        assert [recorded.position for recorded in await one.log.page(0, 10)] == [1, 2, 3, 4, 5]
