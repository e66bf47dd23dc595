"""What is kept of an execution ends with its recording, whoever was faster; and two rows of a request with one id."""

from __future__ import annotations

import asyncio
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
from write_side.execution import Outcome

EXISTS = "execution already exists"
TWICE = "twice in this request, see the first"
_Figures = ExecutionLookUpFailed | ExecutionLookUpFailedAgain | ExecutionRecorded


@pytest.fixture
def log() -> AskedLog:
    return AskedLog()


@pytest.fixture
def desk(log: AskedLog) -> Desk:
    return in_memory(log)[0]


def kinds(log: AskedLog) -> list[type]:
    return [type(event) for event in log.events]


def kept(service_id: int = 11) -> FailedExecution:
    return FailedExecution.keep(service_id, reported(execution_service_id=service_id).report(), "away", NOW)


async def slow(desk: Desk, service_id: int) -> asyncio.Task[Outcome]:
    """Return a request on this execution that waits for the trade service."""
    desk.owners.slow = {service_id}
    task = asyncio.create_task(desk.report(*several(service_id)))
    await desk.owners.heard.wait()
    return task


# --- two requests on one execution ---


async def test_one_that_was_recorded_during_a_look_up_that_fails_is_not_kept(desk: Desk, log: AskedLog) -> None:
    desk.owners.known = {11: "away"}
    waiting = await slow(desk, 11)
    await desk.report(*several(11, portfolio_id="ACC-9"))
    desk.owners.go.set()
    assert told(await waiting) == [(11, "skipped", EXISTS, 1)]
    assert kinds(log) == [ExecutionRecorded]


async def test_one_that_was_kept_during_a_look_up_that_succeeds_ends_with_it(desk: Desk, log: AskedLog) -> None:
    waiting = await slow(desk, 11)
    log.happened(kept())
    desk.owners.go.set()
    assert told(await waiting) == [(11, "created", None, 2)]
    assert kinds(log) == [ExecutionLookUpFailed, ExecutionRecorded, FailedExecutionRecorded]


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("recorded_first", [False, True])
async def test_what_is_kept_beside_its_execution_ends_with_the_next_request(
    desk: Desk, log: AskedLog, again: bool, recorded_first: bool
) -> None:
    """Two requests can cross so closely that neither sees the other: these are two streams."""
    execution = recorded(execution_service_id=11)
    log.happened(*([execution, kept()] if recorded_first else [kept(), execution]))
    outcome = await (desk.retry() if again else desk.report(*several(11)))
    assert told(outcome) == [(11, "skipped", EXISTS, 1 if recorded_first else 2)]
    assert (kinds(log)[2:], outcome.done.position, desk.owners.asked) == ([FailedExecutionRecorded], 3, [])
    assert await desk.recording.known.failed(10, 3) == []
    assert told(await desk.report(*several(11))) == told(outcome)
    assert (told(await desk.retry()), len(log.events)) == ([], 3)


async def test_ids_are_right_beside_what_ends(desk: Desk, log: AskedLog) -> None:
    log.happened(recorded(execution_service_id=11), kept(), kept(12))
    outcome = await desk.report(*several(10, 11, 12, 13))
    assert told(outcome) == [
        (10, "created", None, 4),
        (11, "skipped", EXISTS, 1),
        (12, "created", None, 6),
        (13, "created", None, 8),
    ]
    for service_id, _, _, position in told(outcome):
        [event] = await log.at([position or 0])
        assert (type(event.event), event.stream) == (ExecutionRecorded, f"execution/{service_id}")


async def test_what_others_have_ended_meanwhile_is_not_ended_again(desk: Desk, log: AskedLog) -> None:
    log.happened(recorded(execution_service_id=11), kept())
    [waiting] = (await desk.store.load_many(FailedExecution, ["11"])).values()
    left = waiting.copy()
    left.leave(NOW)
    log.hears = lambda what: log.happened(left) if what == "failed-execution/11" else None
    assert told(await desk.report(*several(11))) == [(11, "skipped", EXISTS, 1)]
    assert kinds(log) == [ExecutionRecorded, ExecutionLookUpFailed, FailedExecutionRecorded]


async def test_what_others_have_recorded_meanwhile_is_skipped_where_nobody_is_looked_up(
    desk: Desk, log: AskedLog
) -> None:
    execution = recorded(execution_service_id=11)
    log.hears = lambda what: log.happened(execution)
    assert told(await desk.report(*several(11, portfolio_id="ACC-1"))) == [(11, "skipped", EXISTS, 1)]
    assert kinds(log) == [ExecutionRecorded]


@pytest.mark.parametrize("found", [False, True])
async def test_figures_that_are_corrected_during_a_retry_are_those_that_count(
    desk: Desk, log: AskedLog, found: bool
) -> None:
    desk.owners.known = {11: "away"}
    await desk.report(*several(11, quantity=Decimal(3)))
    desk.owners.heard.clear()
    desk.owners.slow = {11}
    retry = asyncio.create_task(desk.retry())
    await desk.owners.heard.wait()
    desk.owners.slow = set()
    await desk.report(*several(11, quantity=Decimal(4)))
    if found:
        del desk.owners.known[11]
    desk.owners.go.set()
    assert told(await retry)[0][1] == ("created" if found else "error")
    quantities = [str(event.report.quantity) for event in log.events if isinstance(event, _Figures)]
    assert quantities == ["3", "4", "4"]


async def test_what_is_read_of_one_that_waits_does_not_grow_with_its_attempts(desk: Desk, log: AskedLog) -> None:
    desk.owners.known = {11: "away"}
    await desk.report(*several(11))
    for _ in range(5):
        log.events_read = 0
        await desk.retry()
        assert log.events_read == 2
    del desk.owners.known[11]
    assert told(await desk.retry()) == [(11, "created", None, 7)]


# --- one request with two rows ---


async def test_the_second_row_with_an_id_is_skipped(desk: Desk, log: AskedLog) -> None:
    rows = [
        *several(11, quantity=Decimal(0)),
        *several(11, is_open=True),
        *several(11, quantity=Decimal(3)),
        *several(11, quantity=Decimal(4)),
    ]
    first = await desk.report(*rows)
    assert told(first)[1:] == [
        (11, "skipped", "execution is still open", None),
        (11, "created", None, 1),
        (11, "skipped", EXISTS, 1),
    ]
    execution = await desk.store.load(Execution, "11")
    assert execution is not None
    assert (execution.portfolio_id, str(execution.report.quantity)) == ("ACC-1", "3")
    assert told(await desk.report(*rows))[2:] == [(11, "skipped", EXISTS, 1)] * 2
    assert (desk.owners.asked, len(log.events)) == ([11], 1)


async def test_a_portfolio_that_a_later_row_brings_is_that_of_the_first(desk: Desk, log: AskedLog) -> None:
    desk.owners.known[11] = "away"
    rows = [
        *several(11, quantity=Decimal(3)),
        *several(11, quantity=Decimal(0), portfolio_id="ACC-7"),
        *several(11, quantity=Decimal(4), portfolio_id="ACC-8"),
        *several(11, quantity=Decimal(5), portfolio_id="ACC-9"),
    ]
    assert [each[1:] for each in told(await desk.report(*rows))][::2] == [
        ("created", None, 1),
        ("skipped", EXISTS, 1),
    ]
    execution = await desk.store.load(Execution, "11")
    assert execution is not None
    assert (execution.portfolio_id, str(execution.report.quantity)) == ("ACC-8", "3")
    assert (desk.owners.asked, kinds(log)) == ([], [ExecutionRecorded])


async def test_nobody_is_told_that_a_row_exists_which_has_failed(desk: Desk, log: AskedLog) -> None:
    desk.owners.known[11] = "away"
    outcome = await desk.report(*several(11, quantity=Decimal(3)), *several(11, quantity=Decimal(4)))
    assert told(outcome) == [
        (11, "error", "failed to get portfolio ID: away", None),
        (11, "skipped", TWICE, None),
    ]
    found = await desk.store.load(FailedExecution, "11")
    assert found is not None
    assert found.report is not None
    assert (str(found.report.quantity), found.version) == ("3", 1)
