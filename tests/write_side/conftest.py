"""What the tests of batches share: the folder that files go into, and a CLI that does what it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api.outside import ScriptedCli


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
def cli(folder: Path) -> ScriptedCli:
    return ScriptedCli(lambda name: (folder / name).read_bytes())
