"""What sending batches needs from elsewhere: one run at a time, the folder of files, the accounting CLI."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from domain.errors import NotDelivered, RuleViolated, Unavailable


class BatchInProgress(RuleViolated):
    """Another run is sending batches, in this process or another."""

    code = "batch-in-progress"


class FileNotWritten(NotDelivered):
    """The file of a batch cannot be written or read where it belongs."""

    code = "file-not-written"


class CliFailed(NotDelivered):
    """The accounting CLI could not be started, did not end well or in time, or what it says cannot be read."""

    code = "cli-failed"


class CliStillRunning(Unavailable):
    """The accounting CLI of an earlier run still works on the batch: it has outlived the process that started it."""

    code = "cli-still-running"
    retry_after: ClassVar[int] = 30


class CliStopped(Unavailable):
    """The accounting CLI was stopped from outside, as at the end of a service: it has not ended, and may run again."""

    code = "cli-stopped"


@dataclass(frozen=True, slots=True)
class Written:
    """A file as it stands: SHA-256 of its bytes, lower-case hex, and how many they are."""

    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a run of the CLI has ended.

    ``exit_code`` is None where it could not be started or was stopped, ``failure`` None where all went well, and then
    ``rejected`` holds reasons by ``source_id``. ``unreadable``: the CLI itself ended well, its error file says nothing.
    """

    exit_code: int | None
    output: str
    failure: str | None = None
    unreadable: bool = False
    rejected: Mapping[str, str] = field(default_factory=dict)


class Alone(Protocol):
    """The place of the one run, held."""

    async def check(self) -> None:
        """Return while it is held; raises ``StoreUnavailable`` once the session that held it is gone."""


class OneRun(Protocol):
    """Lets one run at a time send batches, over all processes on one database."""

    def alone(self) -> AbstractAsyncContextManager[Alone]:
        """Hold the place of the one run, which is free again when this process dies.

        Raises ``BatchInProgress`` where it is still held after a moment, ``StoreUnavailable``.
        """


class OutputFolder(Protocol):
    """The folder in which accounting finds the files (``OUTPUT_DIR``); everything raises ``FileNotWritten``.

    A file is first prepared, complete and durable, under a hidden name that follows from its own, then published by a
    rename: nobody ever sees half of it, and whether it has been published can be told later.
    """

    async def prepare(self, file_name: str, pieces: AsyncIterator[bytes]) -> Written:
        """Let a file of these pieces be prepared, durably, in place of what was; what the pieces raise is raised."""

    async def prepared(self, file_name: str) -> Written | None:
        """Return what is prepared; None where nothing is, or it is published."""

    async def publish(self, file_name: str) -> None:
        """Let what is prepared stand under its name, durably, in place of what is there."""

    async def published(self, file_name: str) -> Written | None:
        """Return what stands under this name; None where nothing does."""

    async def withdraw(self, file_name: str) -> None:
        """Let what stands under this name be prepared only, as before it was published; nothing where it is not."""

    async def was_prepared(self, file_name: str) -> bool:
        """Return whether a file of this name was ever prepared in this folder: a mark tells, until it is forgotten."""

    async def remove(self, file_name: str) -> None:
        """Let neither be there any more."""

    async def forget(self, file_name: str) -> None:
        """Remove the mark of a file that needs it no more."""


class AccountingCli(Protocol):
    """The command that hands a file to portfolio accounting; each attempt is given a private folder."""

    def alone(self) -> AbstractAsyncContextManager[None]:
        """Hold the lock that a running CLI and its children hold too, as long as they live.

        Waits a moment; raises ``CliStillRunning`` where it is held on, ``FileNotWritten``.
        """

    async def run(self, batch_id: int, attempt: int, file_name: str) -> Ended:
        """Run the CLI on a copy of the published file, in the new private folder of this attempt, within its time.

        Cancelled, it stops the CLI before it ends. Raises ``FileNotWritten`` where folder or copy cannot be made; then
        the CLI was not started. Raises ``CliStopped`` where somebody else has stopped it: nothing is kept then.
        """

    async def kept(self, batch_id: int, attempt: int, file_name: str) -> Ended | None:
        """Return how this attempt has ended, as its private folder tells; None where it does not.

        So an end that nobody has recorded is not lost: the CLI need not run again.
        """

    async def tidy(self, batch_id: int) -> None:
        """Remove the private folders of a batch; raises ``FileNotWritten``."""
