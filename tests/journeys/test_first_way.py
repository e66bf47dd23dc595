"""The first way through, by HTTP on real servers: what the README shows, once over all callers, the document kept."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.api.described import findings
from tests.servers.application import ROOT, Application, application

_EXAMPLE = re.compile(r"```sh\n(curl [^\n]*)\n```\n+```(?:json|http)\n(.*?)```", re.DOTALL)
_CLOCK = re.compile(r'"20[2-9]\d-[^"]*"')


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    with application(tmp_path_factory.mktemp("first_way")) as app:
        yield app


def sent(line: str, url: str) -> httpx2.Response:
    """Send what a curl line of the README says: an address, ``--json`` and ``-H``."""
    words = iter(shlex.split(line)[1:])
    method, target, body, headers = "GET", "", None, {}
    for word in words:
        match word:
            case "-i":
                pass
            case "--json":
                method, body = "POST", next(words)
                headers["Content-Type"] = "application/json"
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case _:
                target = word.removeprefix("localhost:8080")
    return httpx2.request(method, url + target, content=body, headers=headers)


def test_the_readme_shows_what_is_answered(app: Application) -> None:
    examples = _EXAMPLE.findall((ROOT / "README.md").read_text())
    assert len(examples) >= 6
    for line, shown in examples:
        answer = sent(line, app.url)
        status_and_headers, _, body = shown.rpartition("\n\n") if shown.startswith("HTTP") else ("", "", shown)
        assert _CLOCK.sub('"time"', answer.text) == _CLOCK.sub('"time"', body.strip()), line
        if status_and_headers:
            first, *headers = status_and_headers.splitlines()
            assert first == f"HTTP/1.1 {answer.status_code} {answer.reason_phrase}"
            for header in headers:
                name, _, value = header.partition(": ")
                assert answer.headers[name] == value, line


async def test_twenty_equal_keys_at_once_are_one_effect(app: Application) -> None:
    body = {"portfolio_id": "TWENTY", "portfolio_name": "Twenty"}
    update = {"timestamp": "2025-06-21T10:00:00Z", "updates": [{"transaction_type": "DEP", "quantity_change": 1}]}
    async with httpx2.AsyncClient(base_url=app.url, timeout=30) as http:
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
        state = await http.get("/api/v1/portfolio/TWENTY/state", params={"at_least": accepted[0].headers["X-Position"]})
        assert state.headers["ETag"] == '"2"'


def test_the_application_keeps_its_document(app: Application) -> None:
    assert findings(url=app.url, max_examples=8) == []
    assert app.ready()
    assert "Traceback" not in app.log()


def test_data_survives_a_restart(tmp_path: Path) -> None:
    opening = {"portfolio_id": "A", "portfolio_name": "Growth", "cash_balance": "12.34"}
    with application(tmp_path) as app:
        opened = httpx2.post(f"{app.url}/api/v1/portfolios", json=opening)
        assert opened.status_code == 201
        assert app.stop() == 0
        app.start()
        state = httpx2.get(f"{app.url}/api/v1/portfolio/A/state", params={"at_least": 1})
        assert state.content == opened.content
