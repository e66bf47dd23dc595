"""The exchanges in ``tests/wire`` hold byte for byte: each file is one story, told from an empty log.

An exchange is ``###`` and a name, the request (line, headers, blank line, body), the status, the headers that must be
there as they are, a blank line, and the whole body. ``<name>`` in a body stands for a made-up id, hexadecimal digits:
whatever it is where the story first tells it, and the same from then on, in requests too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

WIRE = Path(__file__).parents[1] / "wire"
_ID = re.compile(r"<([a-z_]+)>")
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
    ids: dict[str, str] = {}
    for exchange in exchanges(path):
        headers = {name: told(value, ids) for name, value in exchange.headers.items()}
        content = told(exchange.body, ids).encode()
        answer = await client.request(exchange.method, told(exchange.target, ids), headers=headers, content=content)
        learn(ids, exchange.answer, answer.content.decode())
        assert answer.content.decode() == told(exchange.answer, ids), exchange.name
        assert answer.status_code == exchange.status, exchange.name
        expected = {name: told(value, ids) for name, value in exchange.expected.items()}
        assert {name: answer.headers.get(name) for name in expected} == expected, exchange.name


def told(text: str, ids: dict[str, str]) -> str:
    """Return the text with the ids that are known in place of their names."""
    return _ID.sub(lambda match: ids.get(match[1], match[0]), text)


def learn(ids: dict[str, str], expected: str, answer: str) -> None:
    """Take the ids that the answer tells first."""
    found: set[str] = set()

    def group(name: re.Match[str]) -> str:
        again = name[1] in found
        found.add(name[1])
        return f"(?P={name[1]})" if again else f"(?P<{name[1]}>[0-9a-f]+)"

    pattern = _ID.sub(group, re.escape(told(expected, ids)))
    if found and (match := re.fullmatch(pattern, answer)):
        ids |= match.groupdict()


def test_there_are_stories() -> None:
    assert list(WIRE.glob("*.http"))
