"""Executions as they are found: by id, newest first, failed and parked ones, and the batch that has one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from domain.base import Event
from domain.errors import Invalid, NotFound, NotYet
from domain.execution import Sending, SendStatus
from projections.batch import BATCH_PROJECTOR
from projections.execution import EXECUTION_PROJECTOR
from read_side.batch import BATCHES, Batches
from read_side.execution import EXECUTIONS, Executions
from tests.projections.executing import Desk
from tests.projections.logs import append, process
from tests.projections.running import running

PENDING = Sending(SendStatus.PENDING)


@asynccontextmanager
async def asked(database_url: str, events: Sequence[Event]) -> AsyncIterator[tuple[Executions, Batches, int]]:
    """The queries over views that are made from these events, and the head of the log."""
    async with (
        process(database_url) as one,
        running(one, projector=EXECUTION_PROJECTOR),
        running(one, projector=BATCH_PROJECTOR),
    ):
        head = await append(database_url, *events)
        for view in (EXECUTIONS, BATCHES):
            await one.store.wait_for(view, head, 60)
        batches = Batches(one.store, one.signals)
        yield Executions(one.store, one.signals, batches), batches, head


async def test_executions_are_found_by_id_and_listed_newest_first(database_url: str) -> None:
    desk = Desk()
    ids = [desk.record(service_id) for service_id in (9, 3, 10, 2, 1)]
    desk.fail(4)
    desk.book(ids[0])
    async with asked(database_url, desk.events) as (executions, _, head):
        for execution_id, service_id in zip(ids, (9, 3, 10, 2, 1), strict=True):
            row, _ = await executions.by_id(execution_id, at_least=head, wait=60)
            assert (row.execution_id, row.service_id) == (execution_id, service_id)
        for missing in (0, -1, 1, ids[-1] + 1, head, 9, 2**63, 10**30):
            with pytest.raises(NotFound, match=r"\Aexecution not found\Z"):
                await executions.by_id(missing)
        whole = await executions.newest()
        assert ([row.execution_id for row in whole.rows], whole.total) == (ids[::-1], 5)
        part = await executions.newest(offset=1, limit=3)
        assert ([row.execution_id for row in part.rows], part.total) == (ids[::-1][1:4], 5)
        assert set(part.sendings) == set(ids[1:4])
        beyond = await executions.newest(offset=5)
        assert (beyond.rows, beyond.total) == ([], 5)


async def test_failed_ones_are_tried_by_their_last_attempt_and_shown_the_other_way(database_url: str) -> None:
    desk = Desk()
    desk.record(1)
    for service_id in (7, 5, 30, 5, 9, 8):
        desk.fail(service_id)
    desk.leave(9)
    desk.record(9)
    async with asked(database_url, desk.events) as (executions, _, head):
        assert await executions.failed(10, head) == [7, 30, 5, 8]
        assert await executions.failed(2, head) == [7, 30]
        first, cursor = await executions.failed_page(limit=3)
        assert [(row.service_id, row.attempts) for row in first] == [(8, 1), (5, 2), (30, 1)]
        second, end = await executions.failed_page(limit=3, cursor=cursor)
        assert ([row.service_id for row in second], end) == ([7], None)
        with pytest.raises(Invalid):
            await executions.failed_page(cursor="nonsense")


async def test_parked_ones_are_found_by_their_portfolio(database_url: str) -> None:
    desk = Desk()
    ids = [desk.record(service_id, portfolio_id) for service_id, portfolio_id in ((9, "A"), (8, "B"), (2, "A"))]
    free, booked = desk.record(1, "A"), desk.record(3, "A")
    for execution_id in (ids[2], booked, *ids[:2]):
        desk.park(execution_id, "unknown")
    desk.book(booked)
    assert free
    async with asked(database_url, desk.events) as (executions, _, head):
        assert list((await executions.parked("A", 10, at_least=head)).items()) == [(ids[0], 9), (ids[2], 2)]
        assert await executions.parked("A", 1, at_least=head) == {ids[0]: 9}
        assert await executions.parked("A", 1, ids[0], head) == {ids[2]: 2}
        assert await executions.parked("A", 10, ids[2], head) == {}
        assert await executions.parked("B", 10, 0, head) == {ids[1]: 8}
        assert await executions.parked("C", 10) == {}


async def test_the_batch_of_an_execution_is_the_last_that_is_not_cancelled(database_url: str) -> None:
    desk = Desk()
    sent, rejected = desk.record(1), desk.record(2)
    first = desk.start()
    desk.sends(first, {rejected: "unknown"})
    failed = desk.record(3)
    second = desk.start()
    desk.fails(second)
    desk.cancel(second)
    desk.send_again(rejected, first)
    third = desk.start()
    lonely, again = desk.record(4), desk.record(5)
    desk.sends(third, {failed: "closed"})
    fourth = desk.start()
    desk.fails(fourth)
    desk.cancel(fourth)
    desk.send_again(failed, third)
    async with asked(database_url, desk.events) as (executions, _, head):
        found = [await executions.sending_of(each, head) for each in (sent, rejected, failed, lonely, again)]
        assert found == [Sending(SendStatus.SENT, first), Sending(SendStatus.SENT, third), *[PENDING] * 3]
        assert [await executions.sending_of(unknown, head) for unknown in (0, head, 2**70)] == [PENDING] * 3


async def test_what_reads_both_views_waits_for_both(database_url: str) -> None:
    desk = Desk()
    execution_id = desk.record(1)
    async with process(database_url) as one:
        head = await append(database_url, *desk.events)
        queries = Executions(one.store, one.signals, Batches(one.store, one.signals))
        await one.store.prepare(BATCHES)
        async with running(one, projector=EXECUTION_PROJECTOR):
            await one.store.wait_for(EXECUTIONS, head, 60)
        await behind_says_so(queries, execution_id, head)
        async with running(one, projector=BATCH_PROJECTOR):
            row, _ = await queries.by_id(execution_id, at_least=head, wait=60)
        assert row.execution_id == execution_id


async def behind_says_so(queries: Executions, execution_id: int, head: int) -> None:
    for question in (
        queries.by_id(execution_id, at_least=head, wait=0.01),
        queries.newest(at_least=head, wait=0.01),
        queries.sending_of(execution_id, head, 0.01),
    ):
        with pytest.raises(NotYet, match="batches"):
            await question
    assert await queries.failed(1, head) == []
    for later in (queries.failed(1, head + 1, 0.01), queries.parked("ACC-1", 1, 0, head + 1, 0.01)):
        with pytest.raises(NotYet, match="executions"):
            await later
