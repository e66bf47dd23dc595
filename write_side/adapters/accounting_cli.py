"""The accounting CLI as a process: its command, its private folders, its time limit, and how it has ended."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path

import msgspec

from domain.command_line import CLI_PLACEHOLDERS, words_of
from write_side.adapters import cli_wrapper
from write_side.adapters.cli_lock import CliLock
from write_side.adapters.error_file import Unreadable, error_files, one_line, plain, rejected_rows
from write_side.adapters.output_folder import make_folder, sync_folder, telling
from write_side.batch.ports import CliStillRunning, CliStopped, Ended

OURS = frozenset(
    {
        "API_KEYS",
        "DATABASE_URL",
        "ELASTICSEARCH_URL",
        "KAFKA_PASSWORD",
        "PORTFOLIO_ACCOUNTING_URL",
        "PRICING_SERVICE_URL",
        "REDIS_URL",
        "SECURITY_SERVICE_URL",
        "TRADE_SERVICE_URL",
    }
)
"""Settings that are secret or can have a password in them, which are none of its business."""
_NOT_ENDED = frozenset({cli_wrapper.STOPPED, cli_wrapper.ORPHANED, -signal.SIGTERM, -signal.SIGINT})
"""Exit codes of the process around the CLI that somebody has stopped; SIGTERM kills it only before the CLI starts."""
_LEEWAY = 10.0
"""Seconds that the process around the CLI gets to end, beyond those that it gives the CLI."""


def lock_of(folder: Path, wait: float = 3.0) -> CliLock:
    """Return the lock that a CLI on the files of this folder holds while it runs; ``wait`` is in seconds."""
    return CliLock(Path(os.path.abspath(folder)) / ".batches" / "lock", wait)


class LocalAccountingCli:
    """The port ``write_side.batch.ports.AccountingCli``: a command that is started on this machine.

    ``folder`` is `OUTPUT_DIR`, ``command`` the template `CLI_COMMAND`, ``timeout`` is in seconds (`CLI_TIMEOUT`). The
    command works where we do, so that relative paths mean what they mean there; `{file}`, a copy of the published
    file, and `{output_dir}`, where it is, are absolute. Raises ``ValueError`` for a template that cannot be filled in.
    """

    def __init__(
        self, folder: Path, command: str, *, timeout: float = 300.0, grace: float = 5.0, wait: float = 3.0
    ) -> None:
        self._folder = Path(os.path.abspath(folder))
        self._words = words_of(command, CLI_PLACEHOLDERS)
        self._timeout, self._grace = timeout, grace
        self._lock = lock_of(folder, wait)

    def alone(self) -> AbstractAsyncContextManager[None]:
        return self._lock.held()

    async def run(self, batch_id: int, attempt: int, file_name: str) -> Ended:
        folder = self._private(batch_id) / str(attempt)
        await asyncio.to_thread(_furnish, folder, self._folder / file_name)
        try:
            lock = await self._lock.lend()
        except CliStillRunning as error:
            return Ended(exit_code=None, output="", failure=str(error))
        values = {"batch": str(batch_id), "attempt": str(attempt), "filename": file_name}
        values |= {"file": str(folder / file_name), "output_dir": str(folder)}
        told = await self._run(lock, folder, file_name, [word.format_map(values) for word in self._words])
        if told is None:
            raise CliStopped(f"the accounting CLI was stopped on batch {batch_id}: it has not ended")
        return await asyncio.to_thread(_ended, folder, file_name, told) or Ended(
            exit_code=None,
            output="",
            failure=one_line(f"the CLI has left no result: {told.decode(errors='replace')}"),
        )

    async def kept(self, batch_id: int, attempt: int, file_name: str) -> Ended | None:
        return await asyncio.to_thread(_ended, self._private(batch_id) / str(attempt), file_name)

    async def tidy(self, batch_id: int) -> None:
        await asyncio.to_thread(_remove, self._private(batch_id))

    def _private(self, batch_id: int) -> Path:
        return self._folder / ".batches" / str(batch_id)

    async def _run(self, lock: int, folder: Path, file_name: str, command: list[str]) -> bytes | None:
        """Return what the process around the CLI says: nothing, where the result is in the folder.

        None where somebody has stopped it, and so the CLI.
        """
        wrapper = [sys.executable, "-I", "-S", cli_wrapper.__file__, str(os.getpid()), str(lock)]
        limits = [str(self._timeout), str(self._grace), str(folder), file_name]
        # Linux sends the death signal when the thread that starts the process ends. asyncio and uvloop start it from
        # the thread of their loop: when that ends before the CLI, nobody waits for it any more, and it has to end too.
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                *(wrapper + limits + command),
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=PIPE,
                pass_fds=(lock,),
                env={name: value for name, value in os.environ.items() if name.upper() not in OURS},
                start_new_session=True,  # Ctrl-C in a terminal is for us, and we end the CLI
            )
        )
        try:
            process = await asyncio.shield(starting)
            output, errors = await process.communicate()
        except OSError as error:
            return f"it cannot be started: {error.strerror or error}".encode()
        except asyncio.CancelledError:
            await _to_its_end(asyncio.ensure_future(self._stop(starting)))
            raise
        if process.returncode == 0:
            return b""
        if process.returncode in _NOT_ENDED:
            return None
        return output or errors.strip().rpartition(b"\n")[2] or f"exit code {process.returncode} around it".encode()

    async def _stop(self, starting: asyncio.Future[Process]) -> None:
        try:
            process = await starting
        except OSError:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(self._grace + _LEEWAY):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


class _Result(msgspec.Struct):
    """What the process around the CLI has written."""

    file: str
    exit_code: int | None
    output: str
    failure: str | None


async def _to_its_end(task: asyncio.Future[None]) -> None:
    """Wait for the task, however often we are cancelled meanwhile."""
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    task.result()


def _furnish(folder: Path, file: Path) -> None:
    """Make the folder anew with a copy of the file: one of this attempt has not been seen, or the log was set back."""
    _remove(folder)
    with telling(folder):
        make_folder(folder)
    with telling(folder / file.name):
        shutil.copyfile(file, folder / file.name)


def _remove(folder: Path) -> None:
    with telling(folder), suppress(FileNotFoundError):
        shutil.rmtree(folder)
        sync_folder(folder.parent)


def _ended(folder: Path, file_name: str, told: bytes = b"") -> Ended | None:
    """Return the end that the result in the folder tells, or what was told where the folder did not take it.

    None where there is none, or it is about a file of another name: then the log was set back since.
    """
    path = folder / cli_wrapper.RESULT
    with telling(path):
        standing = path.exists()
        text = path.read_bytes() if standing else told
    if not standing and not told.startswith(b"{"):
        return None
    try:
        result = msgspec.json.decode(text, type=_Result)
    except msgspec.DecodeError as error:
        return Ended(exit_code=None, output="", failure=one_line(f"{path}: {error}"), unreadable=True)
    if result.file != file_name:
        return None
    code, output = result.exit_code, plain(result.output)
    if result.failure is not None:
        return Ended(exit_code=code, output=output, failure=one_line(result.failure))
    try:
        return Ended(exit_code=code, output=output, rejected=rejected_rows(error_files(folder, file_name)))
    except Unreadable as error:
        return Ended(exit_code=code, output=output, failure=one_line(str(error)), unreadable=True)
