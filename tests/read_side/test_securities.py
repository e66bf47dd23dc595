"""Securities as they are shown and found by their names."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from domain.base import Event
from domain.errors import Invalid, NotFound, NotYet
from domain.securities import Security
from projections.securities import SECURITY_PROJECTOR
from read_side.securities import SECURITIES, Securities, list_json, security_json
from tests.projections.logs import append, process
from tests.projections.running import running

NOW = datetime(2025, 6, 21, 10, 0, tzinfo=UTC)


def named(security_id: str, *names: str) -> list[Event]:
    security = Security.called(security_id, security_id, names[0], NOW)
    for name in names[1:]:
        security.rename(security_id, name, NOW)
    return list(security.collect_events())


def test_what_is_shown_is_exact_to_the_byte() -> None:
    security = Security.called("BRK.B", "BRK B", 'Größe "B"', NOW)
    shown = '{"security_id":"BRK.B","ticker":"BRK B","name":"Größe \\"B\\""}'
    assert security_json(security).decode() == shown
    assert list_json([security], None).decode() == f'{{"items":[{shown}],"next":null}}'


async def test_securities_are_found_by_id_ticker_and_name(database_url: str) -> None:
    async with process(database_url) as one, running(one, projector=SECURITY_PROJECTOR):
        queries = Securities(one.store, one.signals)
        head = await append(
            database_url,
            *named("AAPL", "Apple Computer", "Apple Inc."),
            *named("MSFT", "Microsoft"),
            *named("X", "Größe"),
        )
        row = await queries.by_id("AAPL", at_least=head, wait=60)
        assert (row.name, row.version, row.named) == ("Apple Inc.", 2, 1)
        rows = await queries.by_ids(["X", "MSFT", "NONE", "\0", "X"])
        assert {key: row.name for key, row in rows.items()} == {"X": "Größe", "MSFT": "Microsoft"}
        assert await queries.by_ids([]) == {}
        for text, found in [("ms", ["MSFT"]), ("GRÖSSE", ["X"]), ("computer", []), (None, ["X", "MSFT", "AAPL"])]:
            assert [row.security_id for row in (await queries.search(text)).rows] == found, text
        page = await queries.search(limit=2)
        assert [row.security_id for row in page.rows] == ["X", "MSFT"]
        assert [row.security_id for row in (await queries.search(limit=2, cursor=page.next)).rows] == ["AAPL"]


async def test_what_is_behind_or_unknown_says_so(database_url: str) -> None:
    async with process(database_url) as one:
        await one.store.prepare(SECURITIES)
        queries = Securities(one.store, one.signals)
        for missing in ("A", "", "..", "a/b", "\0", "\ud800", "x" * 25):
            with pytest.raises(NotFound):
                await queries.by_id(missing)
        with pytest.raises(Invalid):
            await queries.search(cursor="oops")
        for ask in (queries.by_id, queries.search, queries.by_ids):
            with pytest.raises(NotYet):
                await ask("A", at_least=1, wait=0.01)
