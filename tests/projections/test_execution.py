"""The view of executions: recorded ones under the id of their first event, failed ones until they are recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from domain.base import Event
from domain.errors import Broken
from domain.execution import Booking
from projections.execution import EXECUTION_PROJECTOR
from projections.projector import Folding
from projections.rebuild import rebuild, verify
from read_side.adapters.postgres_builder import PostgresBuilder
from read_side.execution import COUNT_KEY, EXECUTIONS, CountRow, ExecutionRow, ExecutionsRow, FailedRow
from tests.domain.executions import NOW, reported
from tests.projections.executing import Desk, random_desk
from tests.projections.logs import append, content, process
from tests.projections.quoting import recorded
from tests.projections.running import running


def rows_of(events: list[Event]) -> dict[str, ExecutionsRow]:
    rows = EXECUTION_PROJECTOR.fold({}, recorded(events))
    return {key: row for key, row in rows.items() if row is not None}


def of(desk: Desk, execution_id: int, ordinal: int) -> ExecutionRow:
    """The row of the execution as it was recorded, as the aggregate says."""
    return replace(ExecutionRow.of(desk.executions[execution_id], execution_id, execution_id), ordinal=ordinal)


def test_a_recorded_execution_is_as_the_aggregate_says() -> None:
    desk = Desk()
    execution_id = desk.record(7, "ACC-9", order_id="O-1")
    execution = desk.executions[execution_id]
    counted = CountRow(total=1, position=execution_id)
    assert rows_of(desk.events) == {"7": of(desk, execution_id, 1), COUNT_KEY: counted}
    row = rows_of(desk.events)["7"]
    assert isinstance(row, ExecutionRow)
    assert (row.execution_id, row.service_id, row.portfolio_id, row.order_id) == (execution_id, 7, "ACC-9", "O-1")
    assert (row.report, row.trade_date.isoformat()) == (execution.report, "2025-06-17")
    assert (row.version, row.booking, row.ready_at, row.parked_of) == (1, Booking.NONE, execution_id, None)


def test_what_happens_later_finds_its_row_and_leaves_the_id() -> None:
    desk = Desk()
    other, execution_id = desk.record(1), desk.record(2)
    told = []
    steps: list[Callable[[], None]] = [
        lambda: desk.park(execution_id, "portfolio ACC-1 does not exist"),
        lambda: desk.park(execution_id, "portfolio ACC-1 is SUSPENDED"),
        lambda: desk.book(execution_id),
        lambda: desk.send_again(execution_id, 4),
        lambda: desk.send_again(execution_id, 5),
    ]
    for happens in steps:
        happens()
        row = rows_of(desk.events)["2"]
        assert isinstance(row, ExecutionRow)
        assert (row.execution_id, row.position) == (execution_id, len(desk.events))
        told.append((row.version, row.booking, row.booking_reason, row.parked_of, row.resent_at))
    assert told == [
        (2, "PARKED", "portfolio ACC-1 does not exist", "ACC-1", 0),
        (3, "PARKED", "portfolio ACC-1 is SUSPENDED", "ACC-1", 0),
        (4, "BOOKED", None, None, 0),
        (5, "BOOKED", None, None, execution_id + 4),
        (6, "BOOKED", None, None, execution_id + 5),
    ]
    assert rows_of(desk.events)["1"] == of(desk, other, 1)


def test_executions_are_numbered_and_counted_in_the_order_of_their_ids() -> None:
    desk = Desk()
    ids = []
    for service_id in (9, 4, 7):
        desk.fail(service_id)
        ids.append(desk.record(service_id))
        desk.leave(service_id)
    desk.book(ids[-1])
    rows = rows_of(desk.events)
    numbered = [row for row in rows.values() if isinstance(row, ExecutionRow)]
    assert [(row.service_id, row.ordinal) for row in numbered] == [(9, 1), (4, 2), (7, 3)]
    assert rows[COUNT_KEY] == CountRow(total=3, position=ids[-1])


def test_a_failed_one_counts_its_attempts_until_it_is_recorded() -> None:
    desk = Desk()
    desk.fail(7, "no answer")
    desk.fail(8)
    desk.fail(7, "503", ticker="NEW")
    row = rows_of(desk.events)["failed/7"]
    assert isinstance(row, FailedRow)
    assert (row.service_id, row.attempts, row.reason, row.tried) == (7, 2, "503", len(desk.events))
    assert row.report == reported(execution_service_id=7, ticker="NEW").report()
    assert (row.failed_at - NOW).total_seconds() == len(desk.events) - 1
    desk.leave(7)
    desk.record(7)
    assert set(rows_of(desk.events)) == {"7", "failed/8", COUNT_KEY}


def test_what_has_not_begun_stops_the_view() -> None:
    desk = Desk()
    execution_id = desk.record(1)
    desk.fail(2)
    beginning = len(desk.events)
    desk.book(execution_id)
    desk.send_again(execution_id, 1)
    desk.fail(2)
    for event in desk.events[beginning:]:
        with pytest.raises(Broken, match=r"(execution/1|failed-execution/2) has not begun"):
            EXECUTION_PROJECTOR.fold({}, recorded([event]))


def test_nothing_is_read_that_was_not_named() -> None:
    desk = Desk()
    desk.record(1)
    desk.fail(1)
    kinds = rows_of(desk.events)
    for each in recorded(random_desk(1, 300).events):
        read: list[str] = []

        def known(key: str, read: list[str] = read) -> Any:
            read.append(key)
            return kinds.get(key) or kinds["failed/1" if key.startswith("failed/") else "1"]

        assert Folding(EXECUTION_PROJECTOR, [each]).advance(known) == ()
        assert set(read) == set(EXECUTION_PROJECTOR.reads([each]))


@pytest.mark.parametrize("seed", range(5))
def test_pages_of_any_size_make_the_same_rows(seed: int) -> None:
    log = recorded(random_desk(seed, 200).events)
    made = []
    for size in (1, 7, 2_000):
        rows: dict[str, Any] = {}
        for first in range(0, len(log), size):
            bodies = {key: EXECUTIONS.encode(row) for key, row in rows.items() if row is not None}
            read = {key: EXECUTIONS.decode(body) for key, body in bodies.items()}
            rows = {**read, **EXECUTION_PROJECTOR.fold(read, log[first : first + size])}
        made.append({key: EXECUTIONS.encode(row) for key, row in rows.items() if row is not None})
    assert made[0] == made[1] == made[2]


def test_random_rows_are_as_their_aggregates() -> None:
    desk = random_desk(2, 400)
    rows = rows_of(desk.events)
    assert len(rows) == len(desk.executions) + len(desk.failed) + 1
    for execution_id, execution in desk.executions.items():
        row = rows[str(execution.service_id)]
        assert isinstance(row, ExecutionRow)
        assert (row.version, row.booking, row.booking_reason) == (
            execution.version,
            execution.booking,
            execution.booking_reason,
        )
        assert (row.execution_id, row.resent_at > 0) == (execution_id, execution.resent_for > 0)
        assert EXECUTIONS.decode(EXECUTIONS.encode(row)) == row


@pytest.mark.parametrize("page_size", [1, 7, 2_000])
async def test_incremental_is_rebuilt_byte_for_byte(database_url: str, page_size: int) -> None:
    events = random_desk(3, 150).events
    head = await append(database_url, *events)
    async with process(database_url) as one:
        async with running(one, projector=EXECUTION_PROJECTOR, page_size=page_size):
            await one.store.wait_for(EXECUTIONS, head, 60)
        incremental = await content(database_url, EXECUTIONS)
        assert len(incremental) == len(rows_of(events))
        compared = await verify(EXECUTION_PROJECTOR, one.history, PostgresBuilder(database_url))
        assert (compared.position, compared.differences) == (head, [])
        rebuilt = await rebuild(EXECUTION_PROJECTOR, one.history, PostgresBuilder(database_url))
        assert rebuilt.switched
    assert await content(database_url, EXECUTIONS) == incremental
