"""The first way through, by HTTP on real servers: what the README shows, once over all callers, the document kept."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.api.described import findings
from tests.servers.application import ROOT, Application, application

_EXAMPLE = re.compile(r"```sh\n(?:[A-Z]+=[^\n]*\n)?(curl [^\n]*)\n```\n+```(?:json|http)\n(.*?)```", re.DOTALL)
_CLOCK = re.compile(r'"20[2-9]\d-[^"]*"')
_ID = re.compile(r'"(model_id|rebalance_id|run_id|order_id|orderId)":"[0-9a-f]{24}[0-9a-f]*(-\d+)?"')
_FILE = re.compile(r"transactions_\d{8}_\d{6}_")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    with application(tmp_path_factory.mktemp("first_way")) as app:
        yield app


def sent(line: str, url: str, seen: str) -> httpx2.Response:
    """Send what a curl line of the README says: an address, ``-X``, ``--json`` and ``-H``.

    ``$MODEL`` is the first model, ``$REBALANCE`` the last rebalance. Who reads the README takes longer between two
    lines than a view is behind; here the answer has to include the position ``seen``.
    """
    known = {"X-Min-Position": seen, "Prefer": "wait=30"}
    for name, kind in (("MODEL", "model"), ("REBALANCE", "rebalance")):
        if f"${name}" in line:
            line = line.replace(f"${name}", _first(f"{url}/api/v1/{kind}s?limit=1", known)[f"{kind}_id"])
    words = iter(shlex.split(line)[1:])
    method, target, body, headers = "GET", "", None, {}
    for word in words:
        match word:
            case "-i":
                pass
            case "-X":
                method = next(words)
            case "--json":
                method, body = "POST", next(words)
                headers["Content-Type"] = "application/json"
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case _:
                target = word.removeprefix("localhost:8080")
    return httpx2.request(method, url + target, content=body, headers=known | headers, timeout=60)


def _first(address: str, headers: dict[str, str]) -> dict[str, Any]:
    found: list[dict[str, Any]] = httpx2.get(address, headers=headers, timeout=60).json()
    return found[0]


def without_chance(body: str) -> str:
    """Return a body without the times and the ids that are others each time."""
    return _FILE.sub("transactions_when_", _ID.sub(r'"\1":"id\2"', _CLOCK.sub('"time"', body)))


def test_the_readme_shows_what_is_answered(app: Application) -> None:
    walk = (ROOT / "README.md").read_text().partition("## A walk through")[2]
    examples = _EXAMPLE.findall(walk)
    assert len(examples) >= 10
    seen = "0"
    for line, shown in examples:
        answer = sent(line, app.url, seen)
        seen = max(seen, answer.headers.get("X-Position", "0"), key=int)
        status_and_headers, _, body = shown.rpartition("\n\n") if shown.startswith("HTTP") else ("", "", shown)
        assert without_chance(answer.text) == without_chance(body.strip()), line
        if status_and_headers:
            first, *headers = status_and_headers.splitlines()
            assert first == f"HTTP/1.1 {answer.status_code} {answer.reason_phrase}"
            for header in headers:
                name, _, value = header.partition(": ")
                assert answer.headers[name] == value, line


async def test_twenty_equal_keys_at_once_are_one_effect(app: Application) -> None:
    body = {"portfolio_id": "TWENTY", "portfolio_name": "Twenty"}
    update = {"timestamp": "2025-06-21T10:00:00Z", "updates": [{"transaction_type": "DEP", "quantity_change": 1}]}
    async with httpx2.AsyncClient(base_url=app.url, timeout=60) as http:
        assert (await http.post("/api/v1/portfolios", json=body)).status_code == 201
        answers = await asyncio.gather(
            *(
                http.post("/api/v1/portfolio/TWENTY/update", json=update, headers={"Idempotency-Key": "twenty"})
                for _ in range(20)
            )
        )
        accepted = [answer for answer in answers if answer.status_code == 200]
        assert accepted
        assert {answer.status_code for answer in answers} <= {200, 409}
        assert len({answer.content for answer in accepted}) == 1
        assert len({answer.headers["X-Position"] for answer in accepted}) == 1
        again = await http.post("/api/v1/portfolio/TWENTY/update", json=update, headers={"Idempotency-Key": "twenty"})
        assert (again.status_code, again.headers["Idempotency-Replayed"]) == (200, "true")
        assert again.content == accepted[0].content
        seen = {"X-Min-Position": accepted[0].headers["X-Position"], "Prefer": "wait=30"}
        state = await http.get("/api/v1/portfolio/TWENTY/state", headers=seen)
        assert state.headers["ETag"] == '"2"'


def test_the_application_keeps_its_document(app: Application) -> None:
    assert findings(url=app.url, max_examples=3) == []
    assert app.ready()
    assert "Traceback" not in app.log()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: nine\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"POST /api/v1/portfolios HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_not_http_is_answered_with_a_problem(app: Application, request_bytes: bytes) -> None:
    with socket.create_connection(("127.0.0.1", app.port), timeout=60) as connection:
        connection.sendall(request_bytes)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert b"application/problem+json" in head
    assert json.loads(body)["code"] == "bad-request"


@pytest.mark.parametrize("length", ["9000000", "0" * 40 + "9000000"])
def test_a_body_that_is_too_large_is_told_whatever_its_length_looks_like(app: Application, length: str) -> None:
    head = f"POST /api/v1/portfolios HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", app.port), timeout=60) as connection:
        connection.sendall(head + b" " * 9_000_000)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")


def test_members_by_the_thousand_are_refused_at_once(app: Application) -> None:
    members = ",".join(f'"k{number}":0' for number in range(100_000))
    answer = httpx2.post(f"{app.url}/api/v1/portfolios", content=f'{{{members},"k7":1}}', timeout=60)
    assert answer.json()["code"] == "not-json"
    assert "'k7' is there twice" in answer.json()["detail"]


def test_a_name_in_any_script_is_found_by_its_own_text(app: Application) -> None:
    name = "日本　株 \u202e\U0001f468\u200d\U0001f469"
    body = {"portfolio_id": "SCRIPT", "portfolio_name": name}
    opened = httpx2.post(f"{app.url}/api/v1/portfolios", json=body, timeout=60)
    assert opened.status_code == 201
    seen = {"X-Min-Position": opened.headers["X-Position"], "Prefer": "wait=30"}
    found = httpx2.get(f"{app.url}/api/v1/portfolios", params={"search": name}, headers=seen, timeout=60)
    assert [item["portfolio_id"] for item in found.json()["items"]] == ["SCRIPT"]


def test_data_survives_a_restart(tmp_path: Path) -> None:
    opening = {"portfolio_id": "A", "portfolio_name": "Growth", "cash_balance": "12.34"}
    with application(tmp_path) as app:
        opened = httpx2.post(f"{app.url}/api/v1/portfolios", json=opening, timeout=60)
        assert opened.status_code == 201
        assert app.stop() == 0
        app.start()
        seen = {"X-Min-Position": "1", "Prefer": "wait=30"}
        state = httpx2.get(f"{app.url}/api/v1/portfolio/A/state", headers=seen, timeout=60)
        assert state.content == opened.content
