"""Executions are recorded once each, in one append with those whose portfolio is not known yet (contract "001")."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from domain.execution import (
    Execution,
    ExecutionLookUpFailed,
    ExecutionLookUpFailedAgain,
    ExecutionRecorded,
    FailedExecution,
    FailedExecutionRecorded,
)
from tests.domain.executions import NOW, recorded, reported
from tests.write_side.reporting import AskedLog, Desk, in_memory, several, told
from write_side.execution.ports import Owner

EXISTS = "execution already exists"
WRONG = (
    "validation failed: destination: is required; securityId: 'short' is not 24 of A-Z a-z 0-9; "
    "quantity: 0 is not greater than 0"
)


@pytest.fixture
def log() -> AskedLog:
    return AskedLog()


@pytest.fixture
def desk(log: AskedLog) -> Desk:
    return in_memory(log)[0]


def kinds(log: AskedLog) -> list[type]:
    return [type(event) for event in log.events]


async def test_closed_executions_are_recorded_in_one_append(desk: Desk, log: AskedLog) -> None:
    outcome = await desk.report(*several(11, 12, 13))
    assert told(outcome) == [(11, "created", None, 1), (12, "created", None, 2), (13, "created", None, 3)]
    streams = [f"{kind}/{each}" for each in (11, 12, 13) for kind in ("execution", "failed-execution")]
    assert (outcome.done.position, len(log.contexts), log.questions) == (3, 1, [streams, streams])


async def test_where_nobody_is_looked_up_the_log_is_asked_once(desk: Desk, log: AskedLog) -> None:
    await desk.report(*several(11, 12, portfolio_id="ACC-9"))
    assert len(log.questions) == 1


async def test_an_id_is_the_position_of_the_event(desk: Desk, log: AskedLog) -> None:
    desk.owners.known = {12: "answered 500"}
    await desk.report(*several(1))
    outcome = await desk.report(*several(11, 12, 13))
    ids = {each: id_ for each, _, _, id_ in told(outcome) if id_ is not None}
    assert ids == {11: 2, 13: 4}
    for service_id, position in ids.items():
        [event] = await log.at([position])
        assert (type(event.event), event.stream) == (ExecutionRecorded, f"execution/{service_id}")


async def test_what_is_recorded_is_what_was_reported(desk: Desk) -> None:
    desk.owners.known[4711] = Owner("ACC-7", "42")
    sent = datetime(2025, 1, 15, 4, 59, tzinfo=UTC)
    await desk.report(reported(sent=sent, average_price=Decimal("57.123456789"), quantity_filled=None))
    execution = await desk.store.load(Execution, "4711")
    assert execution is not None
    assert (execution.portfolio_id, execution.order_id, str(execution.trade_date)) == ("ACC-7", "42", "2025-01-14")
    report = execution.report
    assert (str(report.average_price), str(report.quantity_filled), report.sent) == ("57.12345679", "0", sent)
    assert execution.recorded_at == NOW


async def test_a_row_with_a_portfolio_needs_no_look_up_and_its_own_order_counts(desk: Desk) -> None:
    desk.owners.known[12] = Owner("ACC-7", "42")
    await desk.report(
        reported(execution_service_id=11, portfolio_id="ACC-9"), reported(execution_service_id=12, order_id="mine")
    )
    assert desk.owners.asked == [12]
    found = await desk.store.load_many(Execution, ["11", "12"])
    assert [(each.portfolio_id, each.order_id) for each in found.values()] == [("ACC-9", None), ("ACC-7", "mine")]


async def test_open_and_known_ones_are_skipped_without_a_look_up(desk: Desk, log: AskedLog) -> None:
    await desk.report(*several(11))
    desk.owners.asked.clear()
    rows = [*several(12, is_open=True), *several(11, quantity=Decimal(7))]
    outcome = await desk.report(*rows)
    assert told(outcome) == [(12, "skipped", "execution is still open", None), (11, "skipped", EXISTS, 1)]
    assert (outcome.done.position, len(log.contexts), desk.owners.asked) == (1, 1, [])


async def test_a_row_is_validated_before_anything_else(desk: Desk, log: AskedLog) -> None:
    await desk.report(*several(11))
    outcome = await desk.report(
        *several(11, is_open=True, security_id="short", quantity=Decimal(0), destination=None),
        reported(execution_service_id=None),
        *several(-5),
        *several(12),
    )
    assert told(outcome) == [
        (
            11,
            "error",
            WRONG,
            None,
        ),
        (0, "error", "validation failed: executionServiceId: is required", None),
        (-5, "error", "validation failed: executionServiceId: -5 is not an integer from 1 to 9007199254740991", None),
        (12, "created", None, 2),
    ]
    assert len(log.events) == 2


async def test_a_row_that_fails_is_kept_and_taken_up_by_the_same_row_again(desk: Desk, log: AskedLog) -> None:
    desk.owners.known[11] = "answered 500"
    await desk.report(*several(11))
    again = await desk.report(*several(11, quantity=Decimal(7)))
    assert told(again) == [(11, "error", "failed to get portfolio ID: answered 500", None)]
    kept = await desk.store.load(FailedExecution, "11")
    assert kept is not None
    assert kept.report is not None
    assert (kept.reason, str(kept.report.quantity), kept.recorded) == ("answered 500", "7", False)
    del desk.owners.known[11]
    assert told(await desk.report(*several(11, 12))) == [(11, "created", None, 3), (12, "created", None, 5)]
    assert kinds(log) == [
        ExecutionLookUpFailed,
        ExecutionLookUpFailedAgain,
        ExecutionRecorded,
        FailedExecutionRecorded,
        ExecutionRecorded,
    ]
    assert told(await desk.report(*several(11))) == [(11, "skipped", EXISTS, 3)]


def time_is_over_at(last: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return what lets the minute of a request be over once this execution is asked for; no other time counts."""
    loop = asyncio.get_running_loop()
    now = loop.time

    def hear(service_id: int) -> None:
        if service_id == last:
            monkeypatch.setattr(loop, "time", lambda: now() + 60)

    return hear


async def test_look_ups_go_on_at_once_and_time_bounds_them_together(monkeypatch: pytest.MonkeyPatch) -> None:
    desk, log = in_memory(time_limit=60)
    desk.owners.slow = {12, 13}
    with monkeypatch.context() as patched:
        desk.owners.hears = time_is_over_at(14, patched)
        outcome = await desk.report(*several(11, 12, 13, 14))
    late = "failed to get portfolio ID: no answer within the 60 s of a request"
    assert told(outcome) == [
        (11, "created", None, 1),
        (12, "error", late, None),
        (13, "error", late, None),
        (14, "created", None, 4),
    ]
    assert kinds(log) == [ExecutionRecorded, ExecutionLookUpFailed, ExecutionLookUpFailed, ExecutionRecorded]


async def test_failed_ones_are_retried_and_told_like_reported_ones(desk: Desk, log: AskedLog) -> None:
    desk.owners.known = {11: "away", 12: "away", 13: "away"}
    await desk.report(*several(11, 12, 13))
    desk.owners.known = {12: "still away"}
    outcome = await desk.retry()
    assert told(outcome) == [
        (11, "created", None, 4),
        (12, "error", "failed to get portfolio ID: still away", None),
        (13, "created", None, 7),
    ]
    assert kinds(log)[3:] == [
        ExecutionRecorded,
        FailedExecutionRecorded,
        ExecutionLookUpFailedAgain,
        ExecutionRecorded,
        FailedExecutionRecorded,
    ]
    desk.owners.known = {}
    assert told(await desk.retry()) == [(12, "created", None, 9)]
    nothing = await desk.retry()
    assert (told(nothing), nothing.done.position) == ([], 10)


async def test_those_that_a_retry_does_not_reach_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    desk, log = in_memory(time_limit=60)
    desk.owners.known = {11: "away", 12: "away"}
    await desk.report(*several(11, 12))
    desk.owners.slow = {12}
    with monkeypatch.context() as patched:
        desk.owners.hears = time_is_over_at(12, patched)
        outcome = await desk.retry()
    assert [each[:2] for each in told(outcome)] == [(11, "error"), (12, "error")]
    assert [(type(event), event.originator_id) for event in log.events[2:]] == [
        (ExecutionLookUpFailedAgain, "failed-execution/11")
    ]


async def test_one_that_was_recorded_before_its_retry_is_skipped(desk: Desk, log: AskedLog) -> None:
    desk.owners.known = {11: "away"}
    await desk.report(*several(11))
    [left] = (await desk.store.load_many(FailedExecution, ["11"])).values()

    def others(service_id: int) -> None:
        left.leave(NOW)
        log.events += [*recorded(execution_service_id=11).collect_events(), *left.collect_events()]
        log.times += [NOW, NOW]

    desk.owners.hears, desk.owners.known = others, {11: "still away"}
    assert told(await desk.retry()) == [(11, "skipped", EXISTS, 2)]
    assert len(log.events) == 3


@pytest.mark.parametrize("failed", [False, True])
async def test_a_conflict_asks_the_log_again_and_not_the_trade_service(desk: Desk, log: AskedLog, failed: bool) -> None:
    def others(service_id: int) -> None:
        if service_id == 12:
            log.events += recorded(execution_service_id=12).collect_events()
            log.times.append(NOW)

    desk.owners.hears = others
    if failed:
        desk.owners.known = {13: "away"}
        await desk.report(*several(13))
        desk.owners.known, desk.owners.asked = {}, []
    outcome = await desk.report(*several(11, 12, 13))
    base = 1 if failed else 0
    assert told(outcome) == [
        (11, "created", None, base + 2),
        (12, "skipped", EXISTS, base + 1),
        (13, "created", None, base + 3),
    ]
    assert desk.owners.asked == [11, 12, 13]
    assert sum(isinstance(event, ExecutionRecorded) for event in log.events) == 3
