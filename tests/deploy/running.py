"""The services of docker-compose.yml as processes: the same files, commands and variables, other addresses."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from api.orphans import PARENT
from tests.deploy import compose, image
from tests.servers.daemon import PATIENCE
from tests.servers.ports import free_port

PASSWORDS = dict.fromkeys(("POSTGRES_PASSWORD", "REDIS_PASSWORD", "ELASTIC_PASSWORD"), "a1b2")


@dataclass
class Stack:
    """What all services share: the files of the image, and the addresses that stand for those of the file."""

    files: Path
    addresses: Mapping[str, str]
    logs: Path
    ports: dict[str, int] = field(default_factory=dict)

    def environment(self, name: str) -> dict[str, str]:
        """Return the whole environment of a service; of this process it has nothing but what starts a program."""
        told = image.environment() | compose.environment(name, PASSWORDS)
        placed = {
            key: self.addresses.get(key, value) for key, value in told.items() if key not in {"PATH", "HOME", "PORT"}
        }
        port = self.ports.setdefault(name, free_port())
        return {"PATH": os.environ["PATH"], "PORT": str(port), PARENT: str(os.getpid())} | placed | self._added()

    def _added(self) -> dict[str, str]:
        """What deploy/settings.env would say: names of the test's own on servers that other tests use too."""
        return {name: self.addresses[name] for name in ("KAFKA_TOPIC", "ELASTICSEARCH_PREFIX")}

    def url(self, name: str) -> str:
        """Return where a service that answers is."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def log(self, name: str) -> str:
        """Return what a service has printed."""
        return (self.logs / name).read_text(errors="replace")

    def run(self, name: str, *command: str) -> str:
        """Run a service, or another command in its place, to the end and return what it prints.

        Fails where it does not end well.
        """
        done = subprocess.run(
            self._command(name, *command),
            cwd=self.files,
            env=self.environment(name),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def running(self, name: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a service that goes on; at the end it is told to stop, and does so in good order."""
        with (self.logs / name).open("wb") as log:
            process = subprocess.Popen(
                self._command(name), cwd=self.files, env=self.environment(name), stdout=log, stderr=log
            )
        try:
            yield process
            assert process.poll() is None, f"{name} ended with {process.returncode}:\n{self.log(name)}"
            process.send_signal(signal.Signals[image.the("STOPSIGNAL").rest])
            assert process.wait(PATIENCE) == 0, f"{name}:\n{self.log(name)}"
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def healthy(self, name: str, process: subprocess.Popen[bytes]) -> None:
        """Ask the health check until it is content, as Docker does; fails where the process ends or this is in vain."""
        deadline = time.monotonic() + PATIENCE
        while self.checked(name) != 0:
            assert process.poll() is None, f"{name} ended with {process.returncode}:\n{self.log(name)}"
            assert time.monotonic() < deadline, f"{name} is not healthy:\n{self.log(name)}"

    def checked(self, name: str) -> int:
        """Return the exit code of the health check of a service."""
        words = [sys.executable, *image.healthcheck()[1:]]
        return subprocess.run(
            words, env=self.environment(name), capture_output=True, timeout=PATIENCE, check=False
        ).returncode

    def _command(self, name: str, *command: str) -> list[str]:
        words = command or compose.services()[name]["command"]
        return [sys.executable, *image.the("ENTRYPOINT").words[1:], *words]


@contextmanager
def files_of_the_image(target: Path) -> Iterator[Path]:
    """Make a folder with what the image has under /app, which nobody but root can write to, and nobody has after."""
    for folder in image.folders():
        shutil.copytree(folder, target / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-m", "compileall", "-q", target], check=True)  # as the image has them
    paths = [target, *target.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        yield target
        assert set(target.rglob("*")) == set(paths[1:]), "a process has written among its own files"
    finally:
        for path in paths:
            if path.is_dir():
                path.chmod(0o755)
