"""``./run send-executions --every``: what fails or is refused is told, and it goes on until it is asked to end."""

from __future__ import annotations

import dataclasses
import os
import signal
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from api.cli.sending import again_and_again
from tests.api.outside import ScriptedCli, SoloRun
from tests.write_side.accounting import desk
from tests.write_side.stores import by
from write_side.batch.ports import Alone


@dataclass
class Asked:
    """The port ``OneRun``; in the second run the process is asked to end."""

    place: SoloRun = field(default_factory=SoloRun)
    runs: int = 0

    def alone(self) -> AbstractAsyncContextManager[Alone]:
        self.runs += 1
        if self.runs == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return self.place.alone()


async def test_a_refusal_is_told_and_it_goes_on(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, one_run = tmp_path / "files", Asked()
    async with desk(database_url, folder, ScriptedCli(lambda name: (folder / name).read_bytes())) as one:
        await one.record(1, 1)
        await one.sending.send(by())
        await one.record(2, 1)
    async with desk(database_url, folder, None) as one:
        assert await again_and_again(dataclasses.replace(one.sending, one_run=one_run), 1) == 0
    assert one_run.runs == 2
    told = "foliolog: batch 1 was taken by the accounting CLI, and CLI_COMMAND is not set in this process"
    assert capsys.readouterr().out.count(told) == 2
