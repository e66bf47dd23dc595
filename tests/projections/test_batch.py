"""The view of batches: each as its aggregate is, what it rejected, and which one took over a cancelled one."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from domain.base import Event
from domain.batch import BatchStatus, Stage, Window
from domain.errors import Broken
from projections.batch import BATCH_PROJECTOR
from projections.projector import Folding
from projections.rebuild import rebuild, verify
from read_side.adapters.postgres_builder import PostgresBuilder
from read_side.batch import BATCHES, BatchRow, RejectionRow
from tests.projections.executing import SHA256, Desk, random_desk
from tests.projections.logs import append, content, process
from tests.projections.quoting import recorded
from tests.projections.running import running


def rows_of(events: list[Event]) -> dict[str, BatchRow | RejectionRow]:
    rows = BATCH_PROJECTOR.fold({}, recorded(events))
    return {key: row for key, row in rows.items() if row is not None}


def the_batch(desk: Desk, number: int) -> BatchRow:
    row = rows_of(desk.events)[str(number)]
    assert isinstance(row, BatchRow)
    return row


def as_the_aggregate(row: BatchRow, desk: Desk) -> bool:
    """Whether the row says what its batch says; which one took it over that one alone knows."""
    return replace(row, taken_by=None, position=0) == BatchRow.of(desk.batches[row.number])


def test_a_batch_is_as_the_aggregate_says_at_every_step() -> None:
    desk = Desk()
    desk.record(1)
    number = desk.start(count=17)
    begun = the_batch(desk, number)
    assert (begun.from_position, begun.to_position, begun.windows) == (0, 2, (Window(0, 2),))
    assert (begun.status, begun.count, begun.version, begun.sha256) == (BatchStatus.RUNNING, 17, 1, None)
    assert as_the_aggregate(begun, desk)
    desk.attempt(number)
    handed = the_batch(desk, number)
    assert (handed.status, handed.attempts, handed.sha256, handed.version) == (BatchStatus.RUNNING, 1, SHA256, 3)
    assert as_the_aggregate(handed, desk)
    desk.fails(number, "exit code 1")
    failed = the_batch(desk, number)
    assert (failed.status, failed.stage, failed.reason) == (BatchStatus.FAILED, Stage.CLI, "exit code 1")
    assert (failed.exit_code, failed.output) == (1, "no\n")
    assert as_the_aggregate(failed, desk)
    desk.attempt(number)
    again = the_batch(desk, number)
    assert (again.status, again.attempts, again.exit_code, again.output) == (BatchStatus.RUNNING, 2, None, "")
    assert (again.stage, again.reason) == (None, None)
    assert as_the_aggregate(again, desk)
    desk.sends(number)
    sent = the_batch(desk, number)
    assert (sent.status, sent.stage, sent.reason, sent.rejected_count) == (BatchStatus.SENT, None, None, 0)
    assert (sent.exit_code, sent.output) == (0, "ok\n")
    assert as_the_aggregate(sent, desk)


def test_what_was_rejected_stands_beside_its_batch() -> None:
    desk = Desk()
    ids = [desk.record(service_id) for service_id in range(1, 1_400)]
    number = desk.start()
    desk.sends(number, {each: ("unknown", "closed")[each % 2] for each in ids[:1_200]})
    rows = rows_of(desk.events)
    batch = rows.pop(str(number))
    assert isinstance(batch, BatchRow)
    assert (batch.status, batch.rejected_count) == (BatchStatus.PARTIAL, 1_200)
    assert as_the_aggregate(batch, desk)
    assert set(rows) == {f"rejected/{number}/{each}" for each in ids[:1_200]}
    for row in rows.values():
        assert isinstance(row, RejectionRow)
        assert (row.batch, row.reason) == (number, ("unknown", "closed")[row.execution_id % 2])


def test_a_cancelled_batch_knows_who_took_it_over_and_keeps_its_version() -> None:
    desk = Desk()
    desk.record(1)
    first = desk.start(by_cli=False)
    desk.fails(first)
    desk.cancel(first)
    cancelled = the_batch(desk, first)
    assert (cancelled.status, cancelled.taken_by, cancelled.by_cli) == (BatchStatus.CANCELLED, None, False)
    own = len(desk.events)
    second = desk.start()
    taken, taking = the_batch(desk, first), the_batch(desk, second)
    assert taken == replace(cancelled, taken_by=second, position=taking.position)
    assert (taking.returned, taking.windows) == ((first,), (Window(0, 2), Window(2, own)))
    assert (taking.from_position, taking.to_position, taking.by_cli) == (2, own, True)
    desk.fails(second)
    desk.cancel(second)
    third = desk.start()
    assert (the_batch(desk, first).taken_by, the_batch(desk, second).taken_by) == (second, third)
    assert the_batch(desk, third).taken_by is None
    assert as_the_aggregate(the_batch(desk, first), desk)


def test_what_has_not_begun_stops_the_view() -> None:
    desk = Desk()
    number = desk.start()
    beginning = len(desk.events)
    desk.attempt(number)
    desk.fails(number)
    desk.cancel(number)
    second = desk.start()
    desk.sends(second, {1: "unknown"})
    handled = [event for event in desk.events[beginning:] if type(event) in BATCH_PROJECTOR.handles]
    assert len(handled) == 7
    for event in handled:
        with pytest.raises(Broken, match=r"has not begun"):
            BATCH_PROJECTOR.fold({}, recorded([event]))


def test_nothing_is_read_that_was_not_named() -> None:
    desk = Desk()
    row = the_batch(desk, desk.start())
    for each in recorded(random_desk(1, 300).events):
        read: list[str] = []

        def known(key: str, read: list[str] = read) -> BatchRow:
            read.append(key)
            return row

        assert Folding(BATCH_PROJECTOR, [each]).advance(known) == ()
        assert set(read) == set(BATCH_PROJECTOR.reads([each]))


@pytest.mark.parametrize("seed", range(5))
def test_pages_of_any_size_make_the_same_rows(seed: int) -> None:
    log = recorded(random_desk(seed, 300).events)
    made = []
    for size in (1, 7, 2_000):
        rows: dict[str, Any] = {}
        for first in range(0, len(log), size):
            bodies = {key: BATCHES.encode(row) for key, row in rows.items() if row is not None}
            read = {key: BATCHES.decode(body) for key, body in bodies.items()}
            rows = {**read, **BATCH_PROJECTOR.fold(read, log[first : first + size])}
        made.append({key: BATCHES.encode(row) for key, row in rows.items() if row is not None})
    assert made[0] == made[1] == made[2]


def test_random_rows_are_as_their_aggregates() -> None:
    desk = random_desk(2, 600)
    rows = rows_of(desk.events)
    batches = [row for row in rows.values() if isinstance(row, BatchRow)]
    assert {row.status for row in batches} >= {BatchStatus.SENT, BatchStatus.PARTIAL, BatchStatus.CANCELLED}
    assert all(as_the_aggregate(row, desk) for row in batches)
    rejected = {(row.batch, row.execution_id): row.reason for row in rows.values() if isinstance(row, RejectionRow)}
    assert rejected == {
        (number, each): reason for number, batch in desk.batches.items() for each, reason in batch.rejected.items()
    }
    ends = [0, *(row.to_position for row in sorted(batches, key=lambda row: row.number))]
    assert [row.from_position for row in sorted(batches, key=lambda row: row.number)] == ends[:-1]


@pytest.mark.parametrize("page_size", [1, 7, 2_000])
async def test_incremental_is_rebuilt_byte_for_byte(database_url: str, page_size: int) -> None:
    events = random_desk(3, 200).events
    head = await append(database_url, *events)
    async with process(database_url) as one:
        async with running(one, projector=BATCH_PROJECTOR, page_size=page_size):
            await one.store.wait_for(BATCHES, head, 60)
        incremental = await content(database_url, BATCHES)
        assert len(incremental) == len(rows_of(events))
        compared = await verify(BATCH_PROJECTOR, one.history, PostgresBuilder(database_url))
        assert (compared.position, compared.differences) == (head, [])
        rebuilt = await rebuild(BATCH_PROJECTOR, one.history, PostgresBuilder(database_url))
        assert rebuilt.switched
    assert await content(database_url, BATCHES) == incremental
