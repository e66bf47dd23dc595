"""Who and where the command line takes its caller to be: users without an account, and sources that are not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from api.cli.views import _operator
from tests.architecture.tree import ROOT


def test_a_user_without_an_account_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 1_000_640_000)
    assert _operator() == "uid 1000640000"
    monkeypatch.setenv("LOGNAME", "ann")
    assert _operator() == "ann"


def test_the_demo_without_its_samples_is_a_sentence(tmp_path: Path) -> None:
    """As in the image, which has the folders of the application and no others."""
    for name in ("api", "domain", "migrations", "projections", "read_side", "write_side"):
        (tmp_path / name).symlink_to(ROOT / name)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-m", "api", "demo"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        "foliolog: the demo needs the folder samples/ of the sources, which is not here: start it there\n",
    )
