"""An accounting office: the folder where it gets its files, the program that books them, and what came of all that."""

from __future__ import annotations

import asyncio
import csv
import re
import shlex
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import httpx2

from domain.batch import HEADER
from tests.journeys.desk import asked, told

SEND: Final = "/api/v1/executions/send"
LONG: Final = 120
"""Seconds after which what should come is taken not to come."""


@dataclass(frozen=True)
class Run:
    """One run of the program: the file it was given."""

    file: str
    attempt: int
    sha256: str


@dataclass
class Held:
    """A run of the program that waits for us; ``pid`` once it is reached."""

    _met: asyncio.Queue[tuple[int, asyncio.StreamReader, asyncio.StreamWriter]]
    pid: int = 0
    _reader: asyncio.StreamReader | None = None
    _writer: asyncio.StreamWriter | None = None

    async def reached(self) -> int:
        """Return the id of the process that waits, once one does."""
        async with asyncio.timeout(LONG):
            self.pid, self._reader, self._writer = await self._met.get()
        return self.pid

    def let_go(self) -> None:
        """Let it go on."""
        assert self._writer is not None
        self._writer.write(b"\n")

    async def gone(self) -> None:
        """Return once it has ended: then nobody holds its side of the connection."""
        assert self._reader is not None
        async with asyncio.timeout(LONG):
            with suppress(ConnectionResetError):
                assert await self._reader.read() == b""


class Office:
    """One office on a folder of its own; ``folder / "files"`` is ``OUTPUT_DIR``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = folder / "files"
        self.resent: set[int] = set()
        """Executions that may be in two files: those sent again, and those of cancelled batches."""
        folder.mkdir(parents=True)
        self.switch()

    @property
    def environment(self) -> dict[str, str]:
        """The settings of an application that sends to this office."""
        words = [sys.executable, "-m", "tests.journeys.office_cli", str(self.folder), "{file}", "{output_dir}"]
        return {
            "OUTPUT_DIR": str(self.files),
            "CLI_COMMAND": shlex.join([*words, "{attempt}"]),
            "CLI_RETRIES": "1",
            "CLI_RETRY_DELAY_MS": "10",
        }

    def switch(self, *words: str) -> None:
        """Let the program do so from its next run on (see ``samples/accounting_cli``)."""
        part = self.folder / "switches.part"
        part.write_text(" ".join(words))
        part.rename(self.folder / "switches")

    @asynccontextmanager
    async def held(self, place: str = "before", *words: str) -> AsyncIterator[Held]:
        """Have the next run of the program wait, ``before`` it does its work or ``after``; only that one."""
        met: asyncio.Queue[tuple[int, asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

        async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.switch()
            met.put_nowait((int(await reader.readline()), reader, writer))

        server = await asyncio.start_server(meet, "127.0.0.1", 0)
        self.switch(f"--{place}", str(server.sockets[0].getsockname()[1]), *words)
        held = Held(met)
        try:
            yield held
        finally:
            self.switch()
            server.close()
            if held._writer is not None:
                held._writer.close()

    def runs(self) -> list[Run]:
        """Return all runs of the program so far, in order; no two were at the same time."""
        assert not (self.folder / "overlaps").exists()
        path = self.folder / "runs"
        found = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [Run(file, int(attempt), digest) for file, attempt, digest in found]

    def lines(self) -> dict[int, str]:
        """Return the lines of all files by execution id; none is in two by mistake, each file has its own in order."""
        found: dict[int, str] = {}
        for path in self.files.glob("[!.]*"):
            header, *lines = path.read_bytes().decode().splitlines(keepends=True)
            assert header == HEADER
            ids = [int(line.split(",")[2].removeprefix("AC")) for line in lines]
            assert ids == sorted(set(ids))
            assert found.keys() & ids <= self.resent
            found |= zip(ids, lines, strict=True)
        return found

    def booked(self) -> list[int]:
        """Return the ids of the executions in the ledger, which has each once."""
        path = self.folder / "ledger.csv"
        rows = list(csv.DictReader(path.read_text().splitlines())) if path.exists() else []
        counted = Counter(int(row["source_id"].removeprefix("AC")) for row in rows)
        assert not counted or max(counted.values()) == 1
        return sorted(counted)

    def judge(self, batch: dict[str, Any], ids: Iterable[int], *, attempts: int = 1, runs: int = 1) -> None:
        """Check a sent batch of exactly these executions: its file, its runs, the ledger."""
        wanted = sorted(ids)
        content = (self.files / batch["fileName"]).read_bytes()
        assert (batch["status"], batch["count"], batch["rejectedCount"]) == ("SENT", len(wanted), 0)
        assert batch["sha256"] == sha256(content).hexdigest()
        assert [int(line.split(",")[2][2:]) for line in content.decode().splitlines()[1:]] == wanted
        assert set(wanted) <= self.lines().keys()
        assert set(wanted) <= set(self.booked())
        own = [run for run in self.runs() if run.file == batch["fileName"]]
        assert {run.sha256 for run in own} == {batch["sha256"]}
        assert (batch["attempts"], len(own)) == (attempts, runs)
        assert not [path for path in self.files.glob(".*") if path.name != ".batches"]


async def sent(http: httpx2.AsyncClient) -> httpx2.Response:
    """Send, once no other run is under way and the log takes it, and return the answer."""
    async with asyncio.timeout(LONG):
        while (answer := await http.post(SEND)).status_code in (409, 503):
            pass  # each of these waits a moment for its turn
    assert answer.status_code == 200, answer.text
    return answer


async def ended(http: httpx2.AsyncClient, number: int) -> dict[str, Any]:
    """Return a batch once it runs no more; whoever brings it to its end answers nobody, so it is looked at again."""
    async with asyncio.timeout(LONG):
        while True:
            try:
                answer = await http.get(f"/api/v1/batches/{number}")
            except httpx2.TransportError:
                continue
            if answer.status_code == 200 and told(answer)["status"] != "RUNNING":
                batch: dict[str, Any] = told(answer)
                return batch
            assert answer.status_code in (200, 404, 503), answer.text
            await asyncio.sleep(0.05)


async def newest(http: httpx2.AsyncClient, position: int) -> int:
    """Return the number of the last batch that was begun up to this position, 0 where none was."""
    items = told(await asked(http, "GET", "/api/v1/batches?limit=1", headers=at(position)))["items"]
    return int(items[0]["id"]) if items else 0


def at(position: int | str) -> dict[str, str]:
    """Return the headers of a query that is to include this position."""
    return {"X-Min-Position": str(position), "Prefer": "wait=30"}


def refused(answer: httpx2.Response, status: int, message: str, code: str) -> None:
    """Check that this is an error in the body of seed 001, with a message of this pattern."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body.keys() == {"message", "status", "timestamp", "details"}
    assert (body["status"], body["details"]["code"]) == (status, code)
    assert re.search(message, body["message"]), body["message"]
    assert "Traceback" not in answer.text
