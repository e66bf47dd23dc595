"""docker-compose.yml as the tests see it: its services, which of them are ours, and the variables in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import yaml  # type: ignore[import-untyped]  # its stubs are a package of their own, for these few lines

from tests.architecture.tree import ROOT

FILE = ROOT / "docker-compose.yml"

_VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?:(?P<how>:?[-?])(?P<rest>[^}]*))?\})")


@cache
def document() -> dict[str, Any]:
    """Return the whole file."""
    loaded: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return loaded


def services() -> dict[str, dict[str, Any]]:
    """Return every service by its name, those of all profiles."""
    found: dict[str, dict[str, Any]] = document()["services"]
    return found


def ours() -> dict[str, dict[str, Any]]:
    """Return the services that run our image."""
    return {name: service for name, service in services().items() if "build" in service}


def roles() -> dict[str, str]:
    """Return the role of each of our services that goes on."""
    commands = {name: service["command"] for name, service in ours().items()}
    return {name: command[2] for name, command in commands.items() if command[:2] == ["serve", "--role"]}


def texts(node: Any) -> Iterator[str]:
    """Yield every string in a part of the file."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for each in node.values() if isinstance(node, dict) else node:
            yield from texts(each)


def variables() -> dict[str, set[str | None]]:
    """Return each variable of the file with what stands for it where it is not set; None where it has to be set."""
    found: dict[str, set[str | None]] = {}
    for text in texts(document()):
        for match in _VARIABLE.finditer(text):
            if match["name"]:
                default = match["rest"] if match["how"] in {"-", ":-"} else None
                found.setdefault(match["name"], set()).add(default)
    return found


def filled_in(text: str, given: Mapping[str, str]) -> str:
    """Return the text with its variables put in, as Compose does; raises ``KeyError`` where one has to be set."""

    def value(match: re.Match[str]) -> str:
        if not match["name"]:
            return "$"
        if match["how"] in {"-", ":-"}:
            return given.get(match["name"]) or match["rest"]
        return given[match["name"]]

    return _VARIABLE.sub(value, text)


def environment(name: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return what a service finds in its environment because of this file, with the variables given."""
    return {key: filled_in(value, given) for key, value in services()[name]["environment"].items()}
