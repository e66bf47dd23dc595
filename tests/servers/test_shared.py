"""One server of a kind for all processes of a run: all that ask are told the same, and nothing unasked is started."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.servers.daemon import Daemon
from tests.servers.java import Missing
from tests.servers.shared import Keeper, wanted


class Listening(Daemon):
    """A server that takes connections."""

    name = "Listening"

    def command(self) -> tuple[Path, dict[str, str], list[str]]:
        return self.folder, {}, [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(self.ports[0])]

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.ports[0])) == 0


class Lacking(Listening):
    """One that this machine cannot have."""

    name = "Lacking"

    def prepare(self) -> None:
        raise Missing("Lacking needs a Java that nobody has")


class Failing(Listening):
    """One that ends at its start."""

    name = "Failing"

    def command(self) -> tuple[Path, dict[str, str], list[str]]:
        return self.folder, {}, [sys.executable, "-c", "raise SystemExit('no room for Failing')"]


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    keeper = Keeper(tmp_path, [Listening, Lacking, Failing])
    keeper.start()
    yield keeper
    keeper.stop()


def test_all_that_ask_at_once_are_told_of_one_server_which_ends_with_its_keeper(keeper: Keeper) -> None:
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: wanted(keeper.folder, Listening), range(4)))
    assert len({tuple(each.ports) for each in found}) == 1
    assert all(each.answers() for each in found)
    assert sorted(path.name for path in keeper.folder.iterdir()) == ["Listening"]
    keeper.stop()
    assert not found[0].answers()


def test_all_that_ask_for_what_does_not_start_are_told_why(keeper: Keeper) -> None:
    for _ in range(2):
        with pytest.raises(Missing, match="needs a Java that nobody has"):
            wanted(keeper.folder, Lacking)
        with pytest.raises(RuntimeError, match="no room for Failing"):
            wanted(keeper.folder, Failing)
