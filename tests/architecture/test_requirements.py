"""The lock files: every package pinned by hash, no address in them, and one set of versions for all."""

from __future__ import annotations

import re

import pytest

from tests.architecture.tree import ROOT

FOLDER = ROOT / "requirements"


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _pins(name: str) -> dict[str, str]:
    """Return the whole entry of each package: version, markers and hashes."""
    entries = re.split(r"\n(?=\S)", "\n" + _read(name))
    return {entry.strip().split("==")[0]: entry.strip() for entry in entries if "==" in entry.split("\n")[0]}


@pytest.mark.parametrize("name", ["run.lock", "dev.lock"])
def test_every_package_is_pinned_by_hash(name: str) -> None:
    assert _pins(name)
    assert [package for package, entry in _pins(name).items() if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("name", ["run.lock", "dev.lock"])
def test_no_address_is_in_a_lock_file(name: str) -> None:
    assert "://" not in _read(name)
    assert "index-url" not in _read(name)


def test_what_is_tested_is_what_runs() -> None:
    assert _pins("run.lock").items() <= _pins("dev.lock").items()


@pytest.mark.parametrize("name", ["run", "dev"])
def test_what_is_asked_for_is_locked(name: str) -> None:
    asked = re.findall(r"^[a-z][a-z0-9-]*", _read(f"{name}.in"), flags=re.MULTILINE)
    assert set(asked) - set(_pins(f"{name}.lock")) == set()
