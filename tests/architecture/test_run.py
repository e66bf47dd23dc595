"""``./run`` itself: what it says, what it refuses, and that it sets up one environment, once, wherever it lies."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT

APPLICATION = """if True:
    import os, sys
    print(sys.argv[1:], os.getcwd())
"""


class House:
    """A copy of ``run`` in a folder of its own, with an application that prints how it was called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tools = folder.parent / "tools"
        self.tools.mkdir()
        (folder / "api").mkdir(parents=True)
        (folder / "api" / "__main__.py").write_text(APPLICATION)
        (folder / "requirements").mkdir()
        for name in ("run", "dev"):
            (folder / "requirements" / f"{name}.lock").write_text(f"# {name}: nothing is needed\n")
        shutil.copy(ROOT / "run", folder)
        for name in ("cat", "cmp", "cp", "dirname", "mkdir", "mv", "readlink", "rm", "sed", "sh"):
            if there := shutil.which(name):
                self.tool(name, f'exec "{there}" "$@"')
        # uv as far as it is needed here, where nothing is installed
        self.tool("uv", f'[ "$1" != venv ] || exec "{sys.executable}" -m venv --without-pip .venv')

    def tool(self, name: str, *lines: str) -> None:
        """Put a command on the path of this house; there is nothing else on it."""
        path = self.tools / name
        path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
        path.chmod(0o755)

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        kept = {name: value for name, value in os.environ.items() if name not in {"PYTHON", "VIRTUAL_ENV"}}
        return subprocess.Popen(
            [self.folder / "run", *arguments],
            cwd="/",
            env=kept | {"PATH": str(self.tools)} | settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **settings: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **settings)
        out, err = process.communicate()
        return process.returncode, out, err


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "a folder with spaces")


def _answers(fit: str, version: str, makes: str) -> str:
    return f"printf '%s\\n' {fit} '{version} /usr' /usr/bin/python3 {makes}"


@pytest.mark.parametrize("arguments", [(), ("help",), ("--help",)])
def test_alone_it_says_what_it_can_do_and_needs_nothing(house: House, arguments: tuple[str, ...]) -> None:
    code, out, err = house.run(*arguments)
    assert (code, err) == (0, "")
    assert "./run serve" in out
    assert not (house.folder / ".venv").exists()


def test_no_python_at_all(house: House) -> None:
    code, out, err = house.run("serve")
    assert (code, out) == (1, "")
    assert err.startswith("Foliolog needs Python 3.11 or newer; none was found.\n")


def test_only_an_old_python(house: House) -> None:
    house.tool("python3", _answers("old", "3.9.2", "venv"))
    code, _, err = house.run("serve")
    assert code == 1
    assert "3.11 or newer; python3 is Python 3.9.2." in err


def test_the_named_python_is_the_only_one_tried(house: House) -> None:
    house.tool("python3", _answers("fit", "3.12.1", "venv"))
    code, _, err = house.run("serve", PYTHON="/no/such/python")
    assert (code, err) == (
        1,
        "PYTHON does not fit: /no/such/python is no Python that starts. Foliolog needs Python 3.11 or newer.\n",
    )


def test_a_python_without_venv_names_the_package_to_install(house: House) -> None:
    (house.tools / "uv").unlink()
    house.tool("python3", _answers("fit", "3.12.1", "none"))
    code, _, err = house.run("serve")
    assert code == 1
    assert "sudo apt install python3.12-venv" in err


def test_it_sets_up_once_and_again_only_when_something_changed(house: House) -> None:
    python = {"PYTHON": sys.executable}
    here = str(house.folder)

    code, out, err = house.run("serve", "--name", "two words", **python)
    assert (code, out) == (0, f"['serve', '--name', 'two words'] {here}\n"), err
    assert err.startswith("Setting up .venv: Python 3.")
    assert house.run("serve") == (0, f"['serve'] {here}\n", "")

    (house.folder / "requirements" / "run.lock").write_text("# changed\n")
    assert "Setting up .venv" in house.run("serve", **python)[2]
    assert house.run("serve", **python)[2] == ""

    (house.folder / ".venv" / "set-up" / "python").unlink()  # as an interrupted set-up leaves it
    assert "Setting up .venv" in house.run("serve", **python)[2]
    assert house.run("serve", **python)[2] == ""


def test_without_uv_it_is_pip(house: House) -> None:
    (house.tools / "uv").unlink()
    code, out, err = house.run("serve", PYTHON=sys.executable)
    assert (code, out) == (0, f"['serve'] {house.folder}\n"), err
    assert "by pip" in err


def test_two_started_at_once_set_up_once(house: House) -> None:
    started = [house.start("serve", PYTHON=sys.executable) for _ in range(3)]
    ended = [process.communicate() for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], ended
    assert sum("Setting up" in err for _, err in ended) == 1


def test_what_python_has_compiled_is_kept_in_the_environment_whatever_the_shell_says(house: House) -> None:
    (house.folder / "api" / "__init__.py").touch()
    assert house.run("serve", PYTHON=sys.executable, PYTHONDONTWRITEBYTECODE="1")[0] == 0
    assert list((house.folder / ".venv" / "bytecode").rglob("api/__init__.*.pyc"))
    assert not (house.folder / "api" / "__pycache__").exists()


def test_an_application_in_this_folder_learns_where_the_caller_stands(house: House) -> None:
    program = "import os\nprint(os.getcwd(), os.environ['FOLIOLOG_CALLED_FROM'])\n"
    for package in ("api", "benchmarks"):
        (house.folder / package).mkdir(exist_ok=True)
        (house.folder / package / "__main__.py").write_text(program)
    assert house.run("serve", PYTHON=sys.executable)[1] == f"{house.folder} /\n"
    assert house.run("bench", PYTHON=sys.executable)[1] == f"{house.folder} /\n"
