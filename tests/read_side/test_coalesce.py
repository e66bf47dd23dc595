"""Look-ups at once become few calls; errors and cancellations stay where they belong."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from read_side.coalesce import Coalescer


class Source:
    """Answers with the key in capitals, call by call as it is let; keeps what it was asked."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.gate = asyncio.Semaphore(0)

    async def fetch(self, keys: list[str]) -> Mapping[str, str]:
        self.calls.append(keys)
        await self.gate.acquire()
        if "error" in keys:
            raise LookupError("on purpose")
        return {key: key.upper() for key in keys if key != "none"}


async def started(*tasks: asyncio.Task[str | None]) -> None:
    for _ in range(3):
        await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)


async def test_while_one_batch_is_fetched_the_next_collects() -> None:
    source = Source()
    lookups = Coalescer(source.fetch)
    first = [asyncio.create_task(lookups.get(key)) for key in ("a", "b", "a")]
    await started(*first)
    second = [asyncio.create_task(lookups.get(key)) for key in ("a", "none")]
    await started(*second)
    source.gate.release()
    assert await asyncio.gather(*first) == ["A", "B", "A"]
    source.gate.release()
    assert await asyncio.gather(*second) == ["A", None]
    assert source.calls == [["a", "b"], ["a", "none"]]


async def test_an_error_goes_to_its_batch_alone() -> None:
    source = Source()
    lookups = Coalescer(source.fetch)
    failing = [asyncio.create_task(lookups.get(key)) for key in ("error", "a")]
    await started(*failing)
    well = asyncio.create_task(lookups.get("b"))
    await started(well)
    source.gate.release()
    source.gate.release()
    assert [type(error) for error in await asyncio.gather(*failing, return_exceptions=True)] == [LookupError] * 2
    assert await well == "B"


async def test_a_cancelled_caller_disturbs_nobody() -> None:
    source = Source()
    lookups = Coalescer(source.fetch)
    leaving, staying = (asyncio.create_task(lookups.get("a")) for _ in range(2))
    await started(leaving, staying)
    leaving.cancel()
    source.gate.release()
    assert await staying == "A"
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_a_batch_has_a_limit() -> None:
    source = Source()
    lookups = Coalescer(source.fetch, limit=2)
    tasks = [asyncio.create_task(lookups.get(key)) for key in "abcde"]
    for _ in range(3):
        source.gate.release()
    assert await asyncio.gather(*tasks) == list("ABCDE")
    assert list(map(len, source.calls)) == [2, 2, 1]
