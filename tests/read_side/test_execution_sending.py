"""Whether accounting has an execution, as it follows from the batches; and batches as they are found."""

from __future__ import annotations

from typing import Any

import pytest

from domain.batch import BatchStatus
from domain.errors import Invalid, NotFound, NotYet
from domain.execution import Sending, SendStatus
from projections.batch import BATCH_PROJECTOR
from read_side.batch import BATCHES, Batches, BatchRow
from read_side.store import Page
from tests.projections.executing import Desk, random_desk
from tests.projections.logs import append, process
from tests.projections.quoting import recorded
from tests.projections.running import running
from tests.read_side.test_execution import asked

PENDING = Sending(SendStatus.PENDING)


def running_in(number: int) -> Sending:
    return Sending(SendStatus.PENDING, number)


def sent(number: int) -> Sending:
    return Sending(SendStatus.SENT, number)


def failed(number: int) -> Sending:
    return Sending(SendStatus.FAILED, number)


def rejected(number: int, reason: str) -> Sending:
    return Sending(SendStatus.REJECTED, number, reason)


class Told:
    """A desk that can be asked what became of an execution, straight from its aggregates."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.ready = {each: each for each in desk.executions}
        for position, event in enumerate(desk.events, 1):
            execution_id = getattr(event, "execution_id", 0)
            if execution_id:
                self.ready[execution_id] = position

    def sending(self, execution_id: int) -> Sending:
        at = self.ready[execution_id]
        having = [
            batch
            for batch in self.desk.batches.values()
            if batch.status is not BatchStatus.CANCELLED
            and any(each.after < at <= each.up_to for each in batch.windows)
        ]
        if not having:
            return PENDING
        last = having[-1]
        if last.status is BatchStatus.RUNNING:
            return running_in(last.batch_id)
        if last.status is BatchStatus.FAILED:
            return failed(last.batch_id)
        reason = last.rejected.get(execution_id)
        return sent(last.batch_id) if reason is None else rejected(last.batch_id, reason)


async def statuses(database_url: str, desk: Desk) -> dict[int, Sending]:
    async with asked(database_url, desk.events) as (executions, _, head):
        found = await executions.newest(limit=1_000, at_least=head, wait=60)
        alone = {each: (await executions.by_id(each))[1] for each in list(desk.executions)[:20]}
        assert alone == {each: found.sendings[each] for each in alone}
        return dict(found.sendings)


async def test_an_execution_is_as_its_batch_is(database_url: str) -> None:
    desk = Desk()
    first = desk.record(1)
    desk.sends(desk.start())
    partial, refused = desk.record(2), desk.record(3)
    desk.sends(desk.start(), {refused: "unknown security"})
    third = desk.record(4)
    number = desk.start()
    desk.attempt(number)
    desk.fails(number)
    new = desk.record(5)
    assert await statuses(database_url, desk) == {
        first: sent(1),
        partial: sent(2),
        refused: rejected(2, "unknown security"),
        third: failed(3),
        new: PENDING,
    }


async def test_a_batch_on_its_way(database_url: str) -> None:
    desk = Desk()
    execution_id = desk.record(1)
    told = []
    async with process(database_url) as one, running(one, projector=BATCH_PROJECTOR):
        batches, head = Batches(one.store, one.signals), 0

        async def sending() -> Sending:
            nonlocal head
            head = await append(database_url, *desk.events[head:])
            found = await batches.sendings({execution_id: execution_id}, at_least=head, wait=60)
            return found[execution_id]

        told.append(await sending())
        number = desk.start()
        told.append(await sending())
        desk.fails(number)
        told.append(await sending())
        desk.attempt(number)
        told.append(await sending())
        desk.sends(number)
        told.append(await sending())
    assert told == [PENDING, running_in(1), failed(1), running_in(1), sent(1)]


async def test_a_cancelled_batch_waits_for_the_next(database_url: str) -> None:
    desk = Desk()
    desk.record(1)
    number = desk.start()
    desk.fails(number)
    desk.cancel(number)
    desk.record(2)
    assert set((await statuses(database_url, desk)).values()) == {PENDING}


@pytest.mark.parametrize("end", [BatchStatus.FAILED, BatchStatus.PARTIAL])
async def test_cancelled_and_taken_over_twice(database_url: str, end: BatchStatus) -> None:
    desk = Desk()
    ids = []
    for service_id in range(3):
        ids.append(desk.record(service_id + 1))
        desk.fails(desk.start())
        if service_id < 2:
            desk.cancel(service_id + 1)
    if end is BatchStatus.PARTIAL:
        desk.sends(3, {ids[0]: "closed"})
    expected = [failed(3)] * 3 if end is BatchStatus.FAILED else [rejected(3, "closed"), sent(3), sent(3)]
    async with asked(database_url, desk.events) as (executions, batches, head):
        held = await batches.holding(ids, at_least=head)
        assert [held[each].number for each in ids] == [3, 3, 3]
        assert [(await executions.by_id(each))[1] for each in ids] == expected
        assert (await executions.newest()).sendings == dict(zip(ids, expected, strict=True))


async def test_sent_again_until_it_is_taken(database_url: str) -> None:
    desk = Desk()
    execution_id, other = desk.record(1), desk.record(2)
    one = desk.start()
    desk.sends(one, {execution_id: "unknown"})
    desk.send_again(execution_id, one)
    assert (await statuses(database_url, desk)) == {execution_id: PENDING, other: sent(one)}


async def test_sent_again_and_rejected_again(database_url: str) -> None:
    desk = Desk()
    execution_id, other = desk.record(1), desk.record(2)
    one = desk.start()
    desk.sends(one, {execution_id: "unknown"})
    desk.send_again(execution_id, one)
    two = desk.start()
    desk.sends(two, {execution_id: "still unknown"})
    async with asked(database_url, desk.events) as (executions, _, head):
        assert (await executions.by_id(execution_id, at_least=head))[1] == rejected(two, "still unknown")
        assert (await executions.by_id(other))[1] == sent(one)
        assert await executions.sending_of(execution_id, head) == rejected(two, "still unknown")


@pytest.mark.parametrize("seed", range(4))
async def test_every_status_is_what_the_aggregates_say(database_url: str, seed: int) -> None:
    desk = random_desk(seed, 500)
    told = Told(desk)
    expected = {each: told.sending(each) for each in desk.executions}
    assert len({each.status for each in expected.values()}) >= 3
    assert await statuses(database_url, desk) == expected


async def test_a_page_over_more_batches_than_are_read_at_once(database_url: str) -> None:
    desk = Desk()
    ids = []
    for number in range(1, 451):
        ids.append(desk.record(number))
        desk.start()
        desk.sends(number, {ids[-1]: f"no {number}"} if number % 3 == 0 else {})
    for number in (3, 300, 450):
        desk.send_again(ids[number - 1], number)
    last = desk.record(1_000)
    told = Told(desk)
    assert await statuses(database_url, desk) == {each: told.sending(each) for each in [*ids, last]}


async def test_batches_are_found_by_number_and_listed_newest_first(database_url: str) -> None:
    desk = Desk()
    for service_id in range(1, 13):
        execution_id = desk.record(service_id)
        desk.sends(desk.start(), {execution_id: "unknown"})
    async with asked(database_url, desk.events) as (_, batches, head):
        row = await batches.by_id(11, at_least=head)
        assert (row.number, row.status) == (11, BatchStatus.PARTIAL)
        for missing in (0, -1, 13, 10**30):
            with pytest.raises(NotFound, match=r"\Abatch not found\Z"):
                await batches.by_id(missing)
        numbers, cursor = [], None
        for _ in range(3):
            rows, cursor = await batches.newest(limit=5, cursor=cursor)
            numbers.append([row.number for row in rows])
        assert (numbers, cursor) == ([[12, 11, 10, 9, 8], [7, 6, 5, 4, 3], [2, 1]], None)
        with pytest.raises(Invalid):
            await batches.newest(cursor="nonsense")
        for question in (batches.by_id(1, at_least=head + 1, wait=0.01), batches.newest(at_least=head + 1, wait=0.01)):
            with pytest.raises(NotYet):
                await question


async def test_a_rejection_that_was_lost_with_the_view_is_not_taken_for_none(database_url: str) -> None:
    """Between two reads the database can have come back from a crash without its last moment."""
    desk = Desk()
    execution_id = desk.record(1)
    desk.sends(desk.start(), {execution_id: "unknown"})
    rows = BATCH_PROJECTOR.fold({}, recorded(desk.events))
    async with process(database_url) as one:
        start = await one.store.prepare(BATCHES)
        batch = rows["1"]
        assert isinstance(batch, BatchRow)
        lost: Page[Any] = Page({"1": batch}, start, batch.position - 1)
        await one.store.save_page(BATCHES, lost)
        with pytest.raises(NotYet):
            await Batches(one.store, one.signals).sendings({execution_id: execution_id}, wait=0.05)
