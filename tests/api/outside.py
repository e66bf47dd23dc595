"""What stands outside of the application, in memory: the trade service, the folder of files, the accounting CLI."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256

from write_side.batch.ports import BatchInProgress, Ended, FileNotWritten, Written
from write_side.execution.ports import LookUpFailed, Owner

WELL = Ended(exit_code=0, output="taken over\n")
BADLY = Ended(exit_code=1, output="no\n", failure="exit code 1")


@dataclass
class KnownOwners:
    """The port ``Owners``: by id whose an execution is, else ``usual``; None: that is not known."""

    usual: str | None = "ACC-1"
    known: dict[int, str | None] = field(default_factory=dict)

    async def of(self, service_id: int) -> Owner:
        portfolio_id = self.known.get(service_id, self.usual)
        if portfolio_id is None:
            raise LookUpFailed(f"the trade service does not know execution {service_id}")
        return Owner(portfolio_id)


@dataclass
class MemoryFolder:
    """The port ``OutputFolder``; ``failure`` is why it takes nothing."""

    files: dict[str, bytes] = field(default_factory=dict)
    hidden: dict[str, bytes] = field(default_factory=dict)
    marks: set[str] = field(default_factory=set)
    failure: str | None = None

    async def prepare(self, file_name: str, pieces: AsyncIterator[bytes]) -> Written:
        if self.failure is not None:
            raise FileNotWritten(self.failure)
        self.hidden[file_name] = b"".join([piece async for piece in pieces])
        self.marks.add(file_name)
        return _written(self.hidden[file_name])

    async def prepared(self, file_name: str) -> Written | None:
        return _written(self.hidden[file_name]) if file_name in self.hidden else None

    async def publish(self, file_name: str) -> None:
        self.files[file_name] = self.hidden.pop(file_name)

    async def published(self, file_name: str) -> Written | None:
        return _written(self.files[file_name]) if file_name in self.files else None

    async def withdraw(self, file_name: str) -> None:
        if file_name in self.files:
            self.hidden[file_name] = self.files.pop(file_name)

    async def was_prepared(self, file_name: str) -> bool:
        return file_name in self.marks

    async def forget(self, file_name: str) -> None:
        self.marks.discard(file_name)

    async def remove(self, file_name: str) -> None:
        self.files.pop(file_name, None)
        self.hidden.pop(file_name, None)


def _written(content: bytes) -> Written:
    return Written(sha256(content).hexdigest(), len(content))


@dataclass
class ScriptedCli:
    """The port ``AccountingCli``: reads the file, and ends as the next of ``ends`` says, or well.

    What it was given and how it has ended outlives the process, as a folder does. ``step`` is told of every step.
    """

    read: Callable[[str], bytes]
    ends: list[Ended] = field(default_factory=list)
    given: list[tuple[str, bytes]] = field(default_factory=list)
    results: dict[tuple[int, int], Ended] = field(default_factory=dict)
    tidied: list[int] = field(default_factory=list)
    step: Callable[[str], None] = lambda name: None

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        yield

    async def run(self, batch_id: int, attempt: int, file_name: str) -> Ended:
        self.step("before CLI")
        try:
            content = self.read(file_name)
        except OSError as error:
            raise FileNotWritten(str(error)) from error
        self.given.append((file_name, content))
        self.step("while CLI runs")
        ended = self.ends.pop(0) if self.ends else WELL
        self.results[batch_id, attempt] = ended
        self.step("after CLI")
        return ended

    async def kept(self, batch_id: int, attempt: int, file_name: str) -> Ended | None:
        return self.results.get((batch_id, attempt))

    async def tidy(self, batch_id: int) -> None:
        self.tidied.append(batch_id)


@dataclass
class SoloRun:
    """The ports ``OneRun`` and ``Alone`` of one process."""

    held: bool = False

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[SoloRun]:
        if self.held:
            raise BatchInProgress("batch process already in progress")
        self.held = True
        try:
            yield self
        finally:
            self.held = False

    async def check(self) -> None:
        return None
