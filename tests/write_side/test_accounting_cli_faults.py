"""The accounting CLI when something dies: its parent, the process around it, or nobody but those who should."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from api.embedded.process import wait_until
from tests.architecture.tree import ROOT
from tests.write_side.running_cli import LOOPS, NAME, alive, gone, ignores_sigterm, pids, publish, sample, started
from write_side.adapters import cli_wrapper
from write_side.adapters.accounting_cli import LocalAccountingCli
from write_side.batch.ports import CliStillRunning, CliStopped


def parent(loop: str, folder: Path, command: str) -> subprocess.Popen[str]:
    """Start a process of its own that runs the CLI on this loop."""
    arguments = [sys.executable, "-m", "tests.write_side.running_cli", loop, str(folder), command]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=ROOT)


@pytest.mark.parametrize("loop", LOOPS)
async def test_it_runs_on_either_loop(tmp_path: Path, loop: str) -> None:
    publish(tmp_path)
    output, _ = await asyncio.to_thread(parent(loop, tmp_path, sample("--reject", "2")).communicate)
    assert output == "0 None 2"


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("switches", [(), ("--stubborn",)], ids=["it stops", "it has to be killed"])
async def test_it_ends_with_its_parent_and_leaves_no_result(
    tmp_path: Path, loop: str, switches: tuple[str, ...]
) -> None:
    publish(tmp_path)
    process = parent(loop, tmp_path, sample("--hang", "600", *switches))
    processes = await started(tmp_path)
    if switches:
        await ignores_sigterm(processes[1])
    process.kill()
    await asyncio.to_thread(process.communicate)
    assert await gone(*processes)
    cli = LocalAccountingCli(tmp_path, "true", wait=60)
    assert await cli.kept(7, 1, NAME) is None
    async with cli.alone():
        assert (await cli.run(7, 2, NAME)).exit_code == 0


async def test_it_ends_with_the_process_around_it(tmp_path: Path) -> None:
    publish(tmp_path)
    cli = LocalAccountingCli(tmp_path, "sleep 600")
    async with cli.alone():
        running = asyncio.create_task(cli.run(7, 1, NAME))
        around, itself = await started(tmp_path)
        os.kill(around, signal.SIGKILL)
        ended = await running
        assert await gone(itself)
    assert (ended.exit_code, ended.failure) == (None, "the CLI has left no result: exit code -9 around it")
    assert await cli.kept(7, 1, NAME) is None


@pytest.mark.parametrize("both", [False, True], ids=["the process around it", "all at once"])
async def test_stopped_from_outside_it_has_not_ended(tmp_path: Path, both: bool) -> None:
    publish(tmp_path)
    cli = LocalAccountingCli(tmp_path, "sleep 600")
    async with cli.alone():
        running = asyncio.create_task(cli.run(7, 1, NAME))
        processes = await started(tmp_path)
        # All at once: held, the process around the CLI does not see it end before its own signal has come.
        sent = [signal.SIGSTOP, signal.SIGTERM, signal.SIGCONT] if both else [signal.SIGTERM]
        for number in sent:
            os.kill(processes[0], number)
            if both and number is signal.SIGSTOP:
                os.kill(processes[1], signal.SIGTERM)
        with pytest.raises(CliStopped, match="the accounting CLI was stopped on batch 7"):
            await running
        assert await gone(*processes)
    assert await cli.kept(7, 1, NAME) is None


def patient(folder: Path) -> Path:
    """Return a program like the process around the CLI, that waits a minute for what comes after the end of the CLI."""
    program, usual = folder / "patient.py", Path(cli_wrapper.__file__).read_text()
    program.write_text(usual.replace("_AFTERWARDS = 1.0", "_AFTERWARDS = 60.0"))
    assert program.read_text() != usual
    return program


async def test_stopped_a_little_after_its_cli_it_has_not_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path)
    monkeypatch.setattr(cli_wrapper, "__file__", str(patient(tmp_path)))
    cli = LocalAccountingCli(tmp_path, "sleep 600")
    async with cli.alone():
        running = asyncio.create_task(cli.run(7, 1, NAME))
        around, itself = await started(tmp_path)
        os.kill(itself, signal.SIGTERM)
        assert await asyncio.to_thread(wait_until, lambda: not Path(f"/proc/{itself}").exists(), 60)
        os.kill(around, signal.SIGTERM)
        with pytest.raises(CliStopped):
            await running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_stopped_before_it_is_started_it_has_not_ended(
    tmp_path: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path)
    early = tmp_path / "early.py"
    early.write_text(
        f"import os, signal\nsignal.signal({number:d}, signal.SIG_DFL)\nos.kill(os.getpid(), {number:d})\n"
    )
    monkeypatch.setattr(cli_wrapper, "__file__", str(early))
    cli = LocalAccountingCli(tmp_path, "sleep 600")
    async with cli.alone():
        with pytest.raises(CliStopped):
            await cli.run(7, 1, NAME)


async def test_an_end_that_nobody_waited_for_is_kept(tmp_path: Path) -> None:
    publish(tmp_path)
    os.mkfifo(tmp_path / "go")
    command = f"sh -c 'trap \"\" TERM; read x < {tmp_path / 'go'}; exit 0'"
    process = parent("asyncio", tmp_path, command)
    processes = await started(tmp_path)
    os.kill(process.pid, signal.SIGSTOP)
    await asyncio.to_thread((tmp_path / "go").write_text, "go\n")
    cli = LocalAccountingCli(tmp_path, "true")
    assert await gone(*processes)
    process.kill()
    await asyncio.to_thread(process.communicate)
    ended = await cli.kept(7, 1, NAME)
    assert ended is not None
    assert (ended.exit_code, ended.failure) == (0, None)


@pytest.mark.parametrize("switches", [(), ("--stubborn",)], ids=["it stops", "it has to be killed"])
async def test_cancelled_it_is_gone_before_the_caller_goes_on(tmp_path: Path, switches: tuple[str, ...]) -> None:
    publish(tmp_path)
    cli = LocalAccountingCli(tmp_path, sample("--hang", "600", *switches), grace=0.25)
    async with cli.alone():
        running = asyncio.create_task(cli.run(7, 1, NAME))
        processes = await started(tmp_path)
        if switches:
            await ignores_sigterm(processes[1])
        for _ in range(3):
            running.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await running
        assert [pid for pid in processes if alive(pid)] == []
    assert await cli.kept(7, 1, NAME) is None


async def test_cancelled_at_once_nothing_is_left(tmp_path: Path) -> None:
    publish(tmp_path)
    cli = LocalAccountingCli(tmp_path, sample("--hang", "600"), wait=0)
    for steps in range(12):
        async with cli.alone():
            running = asyncio.create_task(cli.run(7, steps, NAME))
            for _ in range(steps):
                await asyncio.sleep(0)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            assert [pid for pid in pids(tmp_path) if alive(pid)] == []


async def test_it_may_be_started_from_another_thread_that_lives_as_long(tmp_path: Path) -> None:
    publish(tmp_path)
    cli = LocalAccountingCli(tmp_path, sample("--reject", "2"))
    found: list[int] = []

    async def run() -> None:
        async with cli.alone():
            found.append(len((await cli.run(7, 1, NAME)).rejected))

    def work() -> None:
        with asyncio.Runner() as runner:
            runner.run(run())

    thread = threading.Thread(target=work)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert found == [2]


def _number(message: str) -> int:
    found = re.search(r"process (\d+)$", message)
    assert found is not None, message
    return int(found[1])


async def test_a_child_that_outlives_it_holds_the_lock(tmp_path: Path) -> None:
    publish(tmp_path)
    cli = LocalAccountingCli(tmp_path, sample("--leave-child", "120"), wait=0.1)
    async with cli.alone():
        ended = await cli.run(7, 1, NAME)
    assert (ended.exit_code, ended.failure) == (0, None)
    around, itself = pids(tmp_path)
    with pytest.raises(CliStillRunning) as raised:
        async with cli.alone():
            raise AssertionError("held twice")
    child = _number(str(raised.value))
    try:
        assert child not in {around, itself}
        assert alive(child)
    finally:
        os.kill(child, signal.SIGKILL)
    async with LocalAccountingCli(tmp_path, "true", wait=60).alone():
        assert not alive(child)


async def test_a_child_that_outlives_it_keeps_the_next_attempt_from_starting(tmp_path: Path) -> None:
    publish(tmp_path)
    cli = LocalAccountingCli(tmp_path, sample("--leave-child", "120", "--exit", "1"), wait=0.1)
    async with cli.alone():
        assert (await cli.run(7, 1, NAME)).failure == "exit code 1"
        before = pids(tmp_path)
        second, third = await cli.run(7, 2, NAME), await cli.run(7, 3, NAME)
        assert second.exit_code is third.exit_code is None
        assert (second.failure or "").startswith("the accounting CLI of an earlier run still holds ")
        assert second.failure == third.failure
        assert pids(tmp_path) == before
    os.kill(_number(second.failure or ""), signal.SIGKILL)


async def test_one_run_at_a_time_in_and_between_processes(tmp_path: Path) -> None:
    publish(tmp_path)
    cli = LocalAccountingCli(tmp_path, sample("--hang", "600"), wait=0.1)
    process = parent("asyncio", tmp_path, sample("--hang", "600"))
    processes = await started(tmp_path)
    with pytest.raises(CliStillRunning, match=rf"\b{process.pid}\b") as raised:
        async with cli.alone():
            raise AssertionError("held twice")
    assert all(str(pid) in str(raised.value) for pid in processes)
    process.kill()
    await asyncio.to_thread(process.communicate)
    async with LocalAccountingCli(tmp_path, "true", wait=60).alone():
        pass
    async with cli.alone():
        with pytest.raises(CliStillRunning, match="another run in this process"):
            async with cli.alone():
                raise AssertionError("held twice")
        with pytest.raises(CliStillRunning):
            async with LocalAccountingCli(tmp_path, "true", wait=0).alone():
                raise AssertionError("held twice")
    async with cli.alone():
        pass
