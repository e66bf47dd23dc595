"""The exchanges in ``tests/wire`` hold byte for byte: each file is one story, told from an empty log.

An exchange is ``###`` and a name, the request (line, headers, blank line, body), the status, the headers that must be
there as they are, a blank line, and the whole body.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

WIRE = Path(__file__).parents[1] / "wire"
_EXCHANGE = re.compile(
    r"### (?P<name>.+)\n(?P<method>[A-Z]+) (?P<target>\S+)\n(?P<sent>(?:\S+: .*\n)*)\n(?:(?P<body>[\[{].*)\n\n)?"
    r"(?P<status>\d{3})\n(?P<got>(?:\S+: .*\n)*)\n(?P<answer>.*)\n"
)


@dataclass
class Exchange:
    """One request and its answer."""

    name: str
    method: str
    target: str
    headers: dict[str, str]
    body: str
    status: int
    expected: dict[str, str]
    answer: str


def exchanges(path: Path) -> Iterator[Exchange]:
    text = path.read_text(encoding="utf-8")
    found = list(_EXCHANGE.finditer(text))
    assert len(found) == text.count("### "), f"{path.name} has an exchange that cannot be read"
    for match in found:
        yield Exchange(
            match["name"],
            match["method"],
            match["target"],
            dict(line.split(": ", 1) for line in match["sent"].splitlines()),
            match["body"] or "",
            int(match["status"]),
            dict(line.split(": ", 1) for line in match["got"].splitlines()),
            match["answer"],
        )


@pytest.mark.parametrize("path", sorted(WIRE.glob("*.http")), ids=lambda path: path.stem)
async def test_what_goes_over_the_wire(path: Path, client: httpx2.AsyncClient) -> None:
    for exchange in exchanges(path):
        answer = await client.request(
            exchange.method, exchange.target, headers=exchange.headers, content=exchange.body.encode()
        )
        assert answer.content.decode() == exchange.answer, exchange.name
        assert answer.status_code == exchange.status, exchange.name
        assert {name: answer.headers.get(name) for name in exchange.expected} == exchange.expected, exchange.name


def test_there_are_stories() -> None:
    assert list(WIRE.glob("*.http"))
