"""How the tree is laid out: six files a vertical, short files, and words that stand in one place only."""

from __future__ import annotations

import pytest

from tests.architecture.tree import HOMES_OF_A_VERTICAL, ROOT, VERTICALS, place, python_files

LONGEST = 300


@pytest.mark.parametrize("home", HOMES_OF_A_VERTICAL)
@pytest.mark.parametrize("vertical", VERTICALS)
def test_a_vertical_has_its_six_files(vertical: str, home: str) -> None:
    name = ROOT / home / vertical
    assert name.with_suffix(".py").is_file() or (name / "__init__.py").is_file(), f"{home}/{vertical}.py is missing"


def test_no_file_outgrows_its_reader() -> None:
    scripts = [path for path in (ROOT / "run", ROOT / ".ci" / "run") if path.exists()]
    lengths = {place(path): len(path.read_text(encoding="utf-8").splitlines()) for path in [*python_files(), *scripts]}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_the_unlocked_insert_of_the_library_is_named_only_where_it_is_refused() -> None:
    word = "_".join(("POSTGRES", "ENABLE", "DB", "FUNCTIONS"))
    found = [place(path) for path in python_files() if word in path.read_text(encoding="utf-8")]
    in_code = [name for name in found if not name.startswith("tests/")]
    assert len(in_code) <= 1, f"{word} belongs to the refusal at start-up and its test alone"
    assert all(name.startswith("api/") for name in in_code)
