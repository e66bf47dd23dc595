"""Long computing gives way: one slice at a time over all who share a gate, and only so many at once."""

from __future__ import annotations

import asyncio
import time

import pytest

from domain.errors import Overloaded
from write_side import gate as gates
from write_side.gate import Gate, Places


async def test_all_who_share_a_gate_compute_one_slice_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "SLICE", 0.0)
    gate = Gate()
    done: list[tuple[int, int, int]] = []
    turns = 0

    async def count() -> None:
        nonlocal turns
        while len(done) < 30:
            turns += 1
            await asyncio.sleep(0)

    def work(piece: tuple[int, int]) -> int:
        done.append((turns, *piece))
        return piece[1] * 10

    counting = asyncio.create_task(count())
    results = await asyncio.gather(*(gate.map(work, [(who, number) for number in range(10)]) for who in range(3)))
    await counting
    assert results == [[number * 10 for number in range(10)]] * 3
    assert len({turn for turn, _, _ in done}) == 30
    assert [who for _, who, _ in done[:9]] == [0, 1, 2] * 3


async def test_short_pieces_share_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "SLICE", 1000.0)
    gate, turns = Gate(), 0
    seen: set[int] = set()

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def work(number: int) -> int:
        seen.add(turns)
        return number

    counting = asyncio.create_task(count())
    assert await gate.map(work, range(100)) == list(range(100))
    counting.cancel()
    assert len(seen) == 1
    assert await gate.map(lambda number: number, []) == []


async def test_a_failing_piece_frees_the_gate() -> None:
    gate = Gate()

    def fail(_: int) -> int:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await gate.map(fail, [1])
    assert await gate.map(lambda number: number, [1]) == [1]


async def test_so_many_at_once_and_too_many_are_refused() -> None:
    places, ends = Places(2, 1, "runs"), asyncio.Event()
    inside = 0
    later = time.monotonic() + 60

    async def run() -> None:
        nonlocal inside
        async with places.one(later):
            inside += 1
            await ends.wait()
            inside -= 1

    running = [asyncio.create_task(run()) for _ in range(3)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert inside == 2
    with pytest.raises(Overloaded, match="1 runs wait already, at most 1 may"):
        await run()
    ends.set()
    await asyncio.gather(*running)
    assert inside == 0


async def test_nobody_waits_for_ever() -> None:
    places = Places(1, 5, "runs")
    async with places.one(time.monotonic() + 60):
        with pytest.raises(Overloaded, match="take too long"):
            async with places.one(time.monotonic()):
                raise AssertionError("there was a place")
    async with places.one(time.monotonic() + 60):
        pass
