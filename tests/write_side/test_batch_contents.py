"""What a batch holds, from the log alone: every execution once, by id, whatever was cancelled or sent again."""

from __future__ import annotations

from random import Random

import psycopg
import pytest

from domain.batch import HEADER, Quantity, Window, line
from domain.execution import Execution, ExecutionRecorded
from tests.domain.executions import NOW, recorded
from tests.write_side.stores import Store, by, event_store
from write_side.adapters.postgres_sql import COUNT_READY_TO_SEND, RECORDED_EXECUTIONS, RESEND_REQUESTS
from write_side.batch.contents import count, pages, pieces, strangers


async def record(one: Store, first: int, number: int) -> list[int]:
    """Record so many executions, in one append, and return their ids."""
    executions = [recorded(execution_service_id=first + index) for index in range(number)]
    done = await one.store.record(*executions, context=by())
    return list(range(done.position - number + 1, done.position + 1))


async def send_again(one: Store, execution_id: int, batch_id: int = 1) -> int:
    """Let this execution go out again, and return the position of that request."""
    (event,) = await one.log.at([execution_id])
    execution = await one.store.load(Execution, event.stream.partition("/")[2])
    assert execution is not None
    execution.send_again(execution_id, batch_id, NOW)
    return (await one.store.record(execution, context=by())).position


async def ids(one: Store, *windows: Window) -> list[int]:
    return [each.position async for page in pages(one.log, windows) for each in page]


async def test_a_window_holds_what_was_recorded_in_it_and_nothing_else(database_url: str) -> None:
    async with event_store(database_url) as one:
        await one.open("ACC-1")
        first = await record(one, 1, 3)
        await one.move("ACC-1", "5")
        second = await record(one, 10, 2)
        head = await one.log.head()
        assert await ids(one, Window(0, head)) == [*first, *second]
        assert await ids(one, Window(0, first[1])) == first[:2], "the end of a window is in it"
        assert await ids(one, Window(first[1], head)) == [first[2], *second], "and not in the next"
        assert await count(one.log, [Window(0, first[1]), Window(first[1], head)]) == 5


async def test_what_is_sent_again_stands_in_its_place_by_id(database_url: str) -> None:
    async with event_store(database_url) as one:
        old = await record(one, 1, 5)
        cut = await one.log.head()
        await send_again(one, old[3])
        await send_again(one, old[1])
        new = await record(one, 10, 2)
        head = await one.log.head()
        window = Window(cut, head)
        assert await ids(one, window) == [old[1], old[3], *new]
        assert await count(one.log, [window]) == 4
        assert await strangers(one.log, [window], [old[1], new[0], new[1]]) == []
        assert await strangers(one.log, [window], [old[0], old[1], cut + 1, head + 5]) == [old[0], cut + 1, head + 5]


async def test_pages_of_any_history_hold_every_execution_once_and_in_order(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("write_side.batch.contents.PAGE", 3)
    chance = Random(20250621)
    async with event_store(database_url) as one:
        known: list[int] = []
        wanted: dict[int, list[int]] = {}
        cuts = [0]
        asked: dict[int, int] = {}
        for number in range(1, 13):
            new = await record(one, number * 100, chance.randrange(1, 9))
            again = chance.sample(known, min(len(known), chance.randrange(5)))
            for each in again:
                asked[each] = asked.get(each, 0) + 1
                await send_again(one, each, asked[each])
            more = await record(one, number * 100 + 50, chance.randrange(1, 4))
            cuts.append(await one.log.head())
            wanted[number] = sorted([*new, *again, *more])
            known += [*new, *more]
        for number, expected in wanted.items():
            assert await ids(one, Window(cuts[number - 1], cuts[number])) == expected
        later = [Window(cuts[2], cuts[4]), Window(cuts[6], cuts[7]), Window(cuts[9], cuts[12])]
        together = [each for number in (3, 4, 7, 10, 11, 12) for each in wanted[number]]
        assert sorted(await ids(one, *later)) == sorted(together)
        assert await count(one.log, later) == len(together)


async def test_the_file_has_a_header_and_a_line_for_each_and_the_same_bytes_each_time(database_url: str) -> None:
    async with event_store(database_url) as one:
        await record(one, 1, 3)
        windows = [Window(0, await one.log.head())]
        made = b"".join([piece async for piece in pieces(one.log, windows, Quantity.QUANTITY)])
        events = [(each.position, each.event) async for page in pages(one.log, windows) for each in page]
        lines = [line(at, event, Quantity.QUANTITY) for at, event in events if isinstance(event, ExecutionRecorded)]
        assert made.decode() == HEADER + "".join(lines)
        assert made == b"".join([piece async for piece in pieces(one.log, windows, Quantity.QUANTITY)])
        assert made.endswith(b"\n")
        assert b"\r" not in made


@pytest.mark.parametrize("query", [RECORDED_EXECUTIONS, RESEND_REQUESTS, COUNT_READY_TO_SEND])
def test_what_lies_between_is_not_read(database_url: str, query: str) -> None:
    arguments = (0, 10**12, 200) if query is RECORDED_EXECUTIONS else (0, 10**12)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("set enable_seqscan = off")
        connection.execute("set plan_cache_mode = force_generic_plan")
        plan = "\n".join(row[0] for row in connection.execute(f"explain {query}", arguments, prepare=True))
    assert "stored_events_ready_to_send_idx" in plan
