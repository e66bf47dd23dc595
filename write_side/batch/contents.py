"""What a batch holds: read from the log alone, by execution id, a page at a time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Final

from domain.base import Recorded
from domain.batch import HEADER, Quantity, Window, line
from domain.errors import Broken
from domain.execution import ExecutionRecorded, ExecutionResendRequested
from write_side.log import Lookups

PAGE: Final = 200
"""So many executions are decoded without a pause."""


async def count(log: Lookups, windows: Sequence[Window]) -> int:
    """Return how many executions these windows have."""
    return sum([await log.count_ready_to_send(window.after, window.up_to) for window in windows])


async def pieces(log: Lookups, windows: Sequence[Window], quantity: Quantity) -> AsyncIterator[bytes]:
    """Return the file of these windows in pieces of whole lines: the same bytes each time."""
    yield HEADER.encode()
    async for page in pages(log, windows):
        yield "".join([line(each.position, _execution(each), quantity) for each in page]).encode()


async def pages(log: Lookups, windows: Sequence[Window]) -> AsyncIterator[list[Recorded]]:
    """Return the executions of these windows, which follow each other, by id: those recorded and those sent again."""
    again = await _sent_again(log, windows)
    done = 0
    for window in windows:
        after = window.after
        while page := await log.recorded_executions(after, window.up_to, PAGE):
            first, after = page[0].position, page[-1].position
            async for earlier in _at(log, again[done : bisect_left(again, first)]):
                yield earlier
            done = bisect_right(again, after)
            among = again[bisect_left(again, first) : done]
            yield sorted([*page, *await log.at(among)], key=_position) if among else page
    async for rest in _at(log, again[done:]):
        yield rest


async def strangers(log: Lookups, windows: Sequence[Window], execution_ids: Collection[int]) -> list[int]:
    """Return which of these are no ids of executions in these windows."""
    again = set(await _sent_again(log, windows))
    own = [each for each in execution_ids if any(window.after < each <= window.up_to for window in windows)]
    found = {each for each in execution_ids if each in again}
    for begin in range(0, len(own), PAGE):
        events = await log.at(own[begin : begin + PAGE])
        found.update(each.position for each in events if isinstance(each.event, ExecutionRecorded))
    return sorted(set(execution_ids) - found)


async def _sent_again(log: Lookups, windows: Sequence[Window]) -> list[int]:
    found: list[int] = []
    for window in windows:
        requests = await log.resend_requests(window.after, window.up_to)
        found += [each.event.execution_id for each in requests if isinstance(each.event, ExecutionResendRequested)]
    return sorted(found)


async def _at(log: Lookups, positions: Sequence[int]) -> AsyncIterator[list[Recorded]]:
    for begin in range(0, len(positions), PAGE):
        yield await log.at(positions[begin : begin + PAGE])


def _position(recorded: Recorded) -> int:
    return recorded.position


def _execution(recorded: Recorded) -> ExecutionRecorded:
    if not isinstance(recorded.event, ExecutionRecorded):
        raise Broken(f"{recorded.stream} was to be sent again as an execution, and is none", position=recorded.position)
    return recorded.event
