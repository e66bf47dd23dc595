"""One Kafka and one Elasticsearch for all processes of a test run: the first that wants one has it started.

The process that hands out the tests owns them: it outlives all that run tests, and they end with it.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeVar

from tests.servers.daemon import PATIENCE, Daemon
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.java import Missing
from tests.servers.kafka import Kafka

D = TypeVar("D", bound=Daemon)
KINDS: Final[tuple[type[Daemon], ...]] = (Kafka, Elasticsearch)
_LOOK: Final = 0.1
_FETCHING: Final = 60.0
"""Seconds that who wants a server waits beyond the patience of its start: what it needs may have to be fetched."""


class Keeper:
    """Starts in a folder each server that is wanted there, and says where it is or why it is not."""

    def __init__(self, folder: Path, kinds: Sequence[type[Daemon]] = KINDS) -> None:
        self.folder = folder
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._keep, args=(kind,), daemon=True) for kind in kinds]

    def start(self) -> None:
        """Begin to look for what is wanted."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop all that was started."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _keep(self, kind: type[Daemon]) -> None:
        folder = self.folder / kind.name
        while not folder.exists():
            if self._stopping.wait(_LOOK):
                return
        server = kind(folder)
        try:
            server.start()
        except Missing as error:
            _say(folder / "missing", str(error))
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            _say(folder / "failed", repr(error))
        else:
            _say(folder / "there", " ".join(map(str, server.ports)))
            self._stopping.wait()
            server.stop()


def wanted(folder: Path, kind: type[D]) -> D:
    """Have a server started and return it; it is not ours to stop.

    Raises ``Missing`` where this machine lacks what it needs, ``RuntimeError`` where it does not start.
    """
    own = folder / kind.name
    own.mkdir(exist_ok=True)
    deadline = time.monotonic() + PATIENCE + _FETCHING
    while time.monotonic() < deadline:
        if (said := own / "missing").exists():
            raise Missing(said.read_text())
        if (said := own / "failed").exists():
            raise RuntimeError(said.read_text())
        if (said := own / "there").exists():
            return kind(own, [int(word) for word in said.read_text().split()])
        time.sleep(_LOOK)  # it is told in files, by another process
    raise RuntimeError(f"{kind.name} did not start: see {own / 'server.log'}")


def _say(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all."""
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.rename(path)
