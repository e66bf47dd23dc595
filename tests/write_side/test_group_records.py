"""What a member makes of records that are not what they should be: twice, of another log, or of nobody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from domain.published import message_of
from tests.write_side.following import Gate
from tests.write_side.grouping import MemoryGroup, SharedLog

OTHER = UUID(int=2)


@pytest.fixture(autouse=True)
def said() -> Iterator[list[Any]]:
    """What is logged meanwhile."""
    with capture_logs() as lines:
        yield cast("list[Any]", lines)


def events(said: list[Any]) -> list[str]:
    return [str(line["event"]) for line in said]


async def test_what_is_published_twice_is_done_once() -> None:
    log = SharedLog()
    await log.add("A", "A")
    for position in (2, 1, 3, 2):
        log.group.publish(log.message(position))
    async with log.shared():
        await log.group.until_done()
        log.group.publish(log.message(3))
        await log.add("A")
        await log.group.until_done()
    assert log.acted == [("A", 2), ("A", 3), ("A", 4)]


async def test_records_of_another_log_are_passed_over_and_the_log_is_asked_which_it_is() -> None:
    log = SharedLog()
    await log.add("A")
    foreign = [message_of(log.log.at_once(position), OTHER) for position in (1, 2)]
    for message in foreign:
        log.group.publish(message)
    await log.add("A")
    async with log.shared():
        await log.group.until_done()
        assert log.log.asked == 2  # once at the beginning, once for all that came together
    assert log.acted == [("A", 2), ("A", 3)]


async def test_another_log_is_begun_anew_from_its_first_event() -> None:
    log = SharedLog()
    async with log.shared():
        await log.add("A", "A")
        await log.group.until_done()
        log.log.id = OTHER
        log.group.publish(log.message(2))
        await log.group.until_done()
    assert log.acted == [("A", 2), ("A", 3), ("A", 2)]


@pytest.mark.parametrize(
    "headers",
    [[], [("ce_source", b"/other/1")], [("ce_source", b""), ("ce_sequence", b"")], [("ce_id", b"\xff")]],
)
async def test_what_is_no_event_of_a_log_is_passed_over_with_a_warning(
    said: list[Any], headers: list[tuple[str, bytes]]
) -> None:
    log = SharedLog()
    log.group.put(log.partition("A"), None, headers)
    await log.add("A")
    log.group.put(log.partition("A"), b"{}", headers)
    async with log.shared():
        await log.group.until_done()
    assert log.acted == [("A", 2)]
    [first, _] = [line for line in said if line["event"] == "a record that is not ours is passed over"]
    assert (first["partition"], first["offset"], first["log_level"]) == (log.partition("A"), 0, "warning")


@pytest.mark.parametrize("position", [b"0", b"-1", b"9223372036854775808"])
async def test_a_position_that_no_log_has_is_passed_over(position: bytes) -> None:
    log = SharedLog()
    await log.add("A")
    headers = [(name, position if name == "ce_sequence" else value) for name, value in log.message(2).headers]
    log.group.put(log.partition("A"), b"{}", headers)
    await log.add("A")
    async with log.shared():
        await log.group.until_done()
    assert (log.acted, log.work.kept) == ([("A", 2), ("A", 3)], {})


@pytest.mark.parametrize("value", [b"no json", None, b'{"amount": "1"}'])
async def test_what_cannot_be_read_is_parked_with_its_position_and_the_rest_is_done(value: bytes | None) -> None:
    log = SharedLog(group=MemoryGroup(partitions=1))
    log.log.committed.clear()
    await log.add("A", "B")
    for position in (1, 2):
        log.group.put(0, value if position == 2 else log.message(1).value, log.message(position).headers)
    for position in (3, 4):
        log.group.publish(log.message(position))
    async with log.shared():
        await log.group.until_done()
    [parked] = log.work.kept.values()
    assert (parked.position, parked.stream, parked.attempts) == (2, "portfolio/A", 1)
    assert "message 2 cannot be read" in parked.error
    assert log.acted == [("B", 2)]


async def test_what_cannot_be_read_and_is_not_in_the_log_hides_nothing(said: list[Any]) -> None:
    log = SharedLog()
    await log.add("A")
    headers = [(name, b"1000" if name == "ce_sequence" else value) for name, value in log.message(2).headers]
    log.group.put(log.partition("A"), b"no json", headers)
    await log.add("A")
    async with log.shared():
        await log.group.until_done()
    assert log.acted == [("A", 2), ("A", 3)]
    assert "a record cannot be read, and the log has no such event" in events(said)


async def test_a_topic_that_goes_back_is_read_again() -> None:
    log, gate = SharedLog(group=MemoryGroup(partitions=1)), Gate()
    log.act = lambda _: gate.through()
    async with log.shared():
        await log.add("A", "A")
        await gate.came.wait()
        log.group.records[0].clear()
        for position in (2, 3):
            log.group.publish(log.message(position))
        log.act = SharedLog().act
        log.group.members[0].rewind(0, 0)
        await log.group.until_done()
    assert log.acted == [("A", 2), ("A", 2), ("A", 3)]
