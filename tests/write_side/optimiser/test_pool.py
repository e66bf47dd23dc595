"""The pool of workers survives everything they do, ends what is late, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from domain.errors import Overloaded
from write_side.optimiser.cover import Cover, Piece, Solved
from write_side.optimiser.pool import Pool

COVER = Cover(100, (Piece(0, 30, 10, 25, 3), Piece(1, 200, 10, 0, 0)))
FAKE = Path(__file__).with_name("fake_worker.py")
A_WHILE = 60.0
SHORT = 0.2


@asynccontextmanager
async def a_pool(how: str = "", **settings: Any) -> AsyncIterator[Pool]:
    pool = Pool(
        program=(sys.executable, str(FAKE), how), **{"workers": 1, "limit": A_WHILE, "start_limit": A_WHILE, **settings}
    )
    try:
        yield pool
    finally:
        await pool.close()


async def asked(pool: Pool, cover: Cover = COVER, wait: float = A_WHILE) -> list[Solved]:
    return await pool.solve(cover, 190, 2, until=time.monotonic() + wait)


def process_of(solved: list[Solved]) -> int:
    return int(solved[0].solver.removeprefix("fake "))


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_task_is_answered_and_the_worker_kept() -> None:
    async with a_pool() as pool:
        first, second = await asked(pool), await asked(pool)
    assert first[0].taken == ((0, 3), (1, 0))
    assert process_of(first) == process_of(second)
    assert pool.failed == 0


async def test_numbers_of_any_size_come_through() -> None:
    huge = Cover(10**40, (Piece(0, 10**40 + 7, 10**39, 0, 0),))
    async with a_pool() as pool:
        assert (await asked(pool, huge))[0].taken == ((0, 0),)


@pytest.mark.parametrize("how", [
    "die", "garbage", "no-object", "long-line", "out-of-turn", "deaf", "die-begun", "garbage-begun", "other-id",
    "no-cover", "no-piece", "floats", "no-bound", "not-ready",
])  # fmt: skip
async def test_a_worker_that_misbehaves_finds_nothing_and_another_takes_its_place(how: str, tmp_path: Path) -> None:
    log = tmp_path / "started"
    async with a_pool(f"{how}@{log}", limit=A_WHILE) as pool:
        if how == "deaf":
            assert len(await asked(pool)) == 1
            assert len(await asked(pool)) == 1
        else:
            assert await asked(pool) == []
            assert await asked(pool) == []
            assert pool.failed == 2
    assert len(set(log.read_text(encoding="utf-8").split())) == 2


@pytest.mark.parametrize("how", ["hang", "hang-begun", "never-ready"])
async def test_a_worker_that_hangs_is_killed(how: str) -> None:
    async with a_pool(how, limit=SHORT, start_limit=A_WHILE if how == "hang-begun" else 1.0) as pool:
        task = asyncio.create_task(asked(pool))
        await until(lambda: bool(pool._all))
        (worker,) = pool._all
        assert await task == []
        assert pool.failed == 1
        assert not is_alive(worker._process.pid)


async def test_what_was_found_before_a_worker_hung_counts() -> None:
    async with a_pool("hang-after-one", limit=SHORT) as pool:
        assert [solved.taken for solved in await asked(pool)] == [((0, 3), (1, 0))]
        assert pool.failed == 1


async def test_a_worker_that_died_while_idle_costs_nothing() -> None:
    async with a_pool() as pool:
        first = process_of(await asked(pool))
        os.kill(first, signal.SIGKILL)
        second = process_of(await asked(pool))
        assert (second != first, pool.failed) == (True, 0)


async def test_a_worker_that_fails_a_later_task_is_replaced_and_the_task_done() -> None:
    async with a_pool("later-die") as pool:
        first = process_of(await asked(pool))
        assert process_of(await asked(pool)) != first
        assert pool.failed == 0


async def test_what_a_worker_says_beyond_its_answer_is_not_taken_for_the_next_one() -> None:
    async with a_pool("answers-twice") as pool:
        first = process_of(await asked(pool))
        assert process_of(await asked(pool)) != first


async def test_a_worker_is_replaced_after_so_many_tasks() -> None:
    async with a_pool(recycle=2) as pool:
        processes = [process_of(await asked(pool)) for _ in range(5)]
    assert [processes.count(process) for process in dict.fromkeys(processes)] == [2, 2, 1]


async def test_where_no_process_can_be_started_nothing_is_found() -> None:
    pool = Pool(program=("/nowhere/worker",))
    assert (await asked(pool), await asked(pool), pool.failed) == ([], [], 2)
    await pool.close()


async def test_no_more_workers_than_allowed(tmp_path: Path) -> None:
    log = tmp_path / "started"
    async with a_pool(f"@{log}", workers=2) as pool:
        found = await asyncio.gather(*(asked(pool) for _ in range(20)))
    assert all(len(solved) == 1 for solved in found)
    assert len(log.read_text(encoding="utf-8").split()) <= 2


async def test_nothing_is_started_before_it_is_needed(tmp_path: Path) -> None:
    log = tmp_path / "started"
    async with a_pool(f"@{log}"):
        pass
    assert not log.exists()


async def test_who_waits_too_long_gets_nothing_and_who_is_too_many_is_told() -> None:
    async with a_pool("hang-begun", queue=1, limit=A_WHILE) as pool:
        first = asyncio.create_task(asked(pool))
        await until(pool._free.locked)
        second = asyncio.create_task(asked(pool))
        await until(lambda: pool._waiting == 1)
        with pytest.raises(Overloaded, match="at most 1 may"):
            await asked(pool)
        second.cancel()
        assert await asked_after(second, pool) == []
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


async def asked_after(cancelled: asyncio.Task[Any], pool: Pool) -> list[Solved]:
    await asyncio.gather(cancelled, return_exceptions=True)
    return await asked(pool, wait=0.05)


async def test_the_deadline_of_the_caller_ends_a_task() -> None:
    async with a_pool("hang-begun", limit=A_WHILE) as pool:
        assert await asked(pool, wait=0.5) == []


async def test_a_task_whose_time_is_over_costs_no_worker() -> None:
    async with a_pool() as pool:
        first = process_of(await asked(pool))
        assert await asked(pool, wait=-1.0) == []
        assert process_of(await asked(pool)) == first
        assert pool.failed == 0


async def test_a_task_whose_time_is_over_starts_no_worker(tmp_path: Path) -> None:
    log = tmp_path / "started"
    async with a_pool(f"@{log}") as pool:
        assert await asked(pool, wait=-1.0) == []
        assert not pool._all
    assert (pool.failed, log.exists()) == (0, False)


async def test_a_caller_who_leaves_takes_the_worker_along(tmp_path: Path) -> None:
    log = tmp_path / "started"
    async with a_pool(f"hang-begun@{log}", limit=A_WHILE) as pool:
        task = asyncio.create_task(asked(pool))
        await until(lambda: log.exists() and log.read_text(encoding="utf-8").endswith("\n"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not is_alive(int(log.read_text(encoding="utf-8")))
        assert not pool._free.locked()


async def test_a_closed_pool_leaves_no_process_and_solves_nothing(tmp_path: Path) -> None:
    log = tmp_path / "started"
    async with a_pool(f"hang-begun@{log}", limit=A_WHILE) as pool:
        task = asyncio.create_task(asked(pool))
        await until(lambda: log.exists() and log.read_text(encoding="utf-8").endswith("\n"))
        await pool.close()
        assert await task == []
        assert await asked(pool) == []
    assert not is_alive(int(log.read_text(encoding="utf-8")))


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(A_WHILE):
        while not holds():  # noqa: ASYNC110 - other processes set no event here
            await asyncio.sleep(0)


async def test_the_real_worker_solves_a_cover_and_ends_with_its_input() -> None:
    pool = Pool(workers=1, limit=A_WHILE, start_limit=A_WHILE)
    try:
        (solved,) = await asked(pool)
        assert (COVER.cost(solved.taken), solved.method) == (95, "cvxpy+HIGHS")
        (worker,) = pool._idle
        worker._in.close()
        assert await worker._process.wait() == 0
    finally:
        await pool.close()


async def test_the_real_worker_ends_with_its_parent() -> None:
    program = """
import os, signal, subprocess, sys
command = [sys.executable, "-m", "write_side.optimiser.worker", "HIGHS", str(os.getpid())]
worker = subprocess.Popen(command, stdout=subprocess.PIPE)  # its input stays open: that is not what ends it
print(worker.pid, flush=True)
worker.stdout.readline()
print("ready", flush=True)
signal.pause()
"""
    theirs, ours = os.pipe()
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdin=theirs, stdout=asyncio.subprocess.PIPE, cwd=FAKE.parents[3]
    )
    os.close(theirs)
    assert parent.stdout is not None
    worker = int(await parent.stdout.readline())
    assert await parent.stdout.readline() == b"ready\n"
    parent.kill()
    await parent.wait()
    await until(lambda: not is_alive(worker) or _is_zombie(worker))
    os.close(ours)


def _is_zombie(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True
