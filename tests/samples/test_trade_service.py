"""The sample trade service over real HTTP: what it knows, and how it serves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from api.orphans import PARENT
from samples.trade_service.server import TradeService, trade_service
from tests.samples.asked import PATH, ask, asking, portfolio_of, well

ROOT = Path(__file__).parents[2]


@pytest.fixture
def service() -> Iterator[TradeService]:
    with trade_service({"executionServiceId": 7, "portfolioId": "p-7", "orderId": "r-1"}) as running:
        yield running


@pytest.fixture
def client(service: TradeService) -> Iterator[httpx2.Client]:
    with asking(service.url) as made:
        yield made


# --- what it knows ---


def test_an_execution_is_told_as_globeco_tells_it(client: httpx2.Client) -> None:
    order = {"id": 1007, "orderId": "r-1", "portfolio": {"portfolioId": "p-7", "name": "p-7"}}
    page = {"totalElements": 1, "totalPages": 1, "currentPage": 0, "pageSize": 50}
    assert ask(client).json() == {
        "executions": [{"id": 1007, "executionServiceId": 7, "tradeOrder": order, "version": 1}],
        "pagination": page | {"hasNext": False, "hasPrevious": False},
    }


def test_one_that_is_not_known_is_an_empty_list(client: httpx2.Client) -> None:
    assert ask(client, 8).json()["executions"] == []


def test_all_that_are_not_known_can_have_one_portfolio() -> None:
    known = {"executionServiceId": 7, "portfolioId": None}
    with trade_service(known, anyone="all") as service, asking(service.url) as client:
        assert portfolio_of(ask(client, 8)) == {"portfolioId": "all", "name": "all"}
        assert portfolio_of(ask(client, 7)) is None


def test_executions_are_put_in_one_or_many_and_replaced(client: httpx2.Client) -> None:
    one = {"executionServiceId": 1, "portfolioId": "a"}
    assert client.post(PATH, json=one).json() == {"kept": 1}
    many = [{"executionServiceId": 1, "portfolioId": "b"}, {"executionServiceId": 2, "portfolioId": "c"}]
    answer = client.post(PATH, json=many)
    assert (answer.status_code, answer.json()) == (201, {"kept": 2})
    assert portfolio_of(ask(client, 1))["portfolioId"] == "b"
    assert portfolio_of(ask(client, 2))["portfolioId"] == "c"


def test_free_members_are_told_again_with_every_digit(client: httpx2.Client) -> None:
    body = b'{"executionServiceId": 1, "portfolioId": "a", "quantityFilled": 57.12345679, "limitPrice": 1E-8}'
    client.post(PATH, content=body)
    assert b'"quantityFilled":57.12345679,"limitPrice":0.00000001}' in ask(client, 1).content


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ("{", "Expecting"),
        ("7", "an execution is an object"),
        ('{"portfolioId": "a"}', "executionServiceId is None"),
        ('{"executionServiceId": "1", "portfolioId": "a"}', "executionServiceId is '1'"),
        ('{"executionServiceId": 1}', "execution 1 has no portfolioId"),
        ('{"executionServiceId": 1, "portfolioId": 5}', "are texts or null"),
    ],
)
def test_what_is_no_execution_is_refused_with_all_that_came_with_it(
    client: httpx2.Client, body: str, wrong: str
) -> None:
    good = '{"executionServiceId": 99, "portfolioId": "a"}'
    answer = client.post(PATH, content=f"[{good}, {body}]")
    assert answer.status_code == 400
    assert wrong in answer.json()["message"]
    assert ask(client, 99).json()["executions"] == []


def test_all_are_listed_in_pages(service: TradeService, client: httpx2.Client) -> None:
    service.put(*({"executionServiceId": number, "portfolioId": "a"} for number in (9, 8)))
    page = client.get(PATH, params={"limit": 2, "offset": 1}).json()
    assert [each["executionServiceId"] for each in page["executions"]] == [8, 9]
    assert page["pagination"] | {"totalElements": 3, "totalPages": 2, "hasNext": False} == page["pagination"]
    assert client.get(PATH).json()["pagination"]["hasPrevious"] is False
    for odd in ({"limit": 0}, {"offset": -1}, {"executionServiceId": "x"}):
        assert client.get(PATH, params=odd).status_code == 400


# --- how it serves ---


def test_it_tells_how_often_each_was_asked(service: TradeService, client: httpx2.Client) -> None:
    for number in (7, 8, 7):
        ask(client, number)
    assert client.get("/calls").json() == {"total": 3, "most_at_once": 1, "by_id": {"7": 2, "8": 1}}
    client.delete("/calls")
    assert service.calls.total == 0


def test_it_lives_whatever_it_is_switched_to(service: TradeService, client: httpx2.Client) -> None:
    service.switch("dead")
    assert client.get("/healthz").json() == {"status": "ok"}


def test_many_connections_at_once_are_answered_right() -> None:
    def run(first: int) -> list[int]:
        with asking(many.url) as client:
            told = (ask(client, number).json()["executions"][0] for number in range(first, first + 25))
            return [each["executionServiceId"] for each in told]

    with trade_service(anyone="all") as many, ThreadPoolExecutor(30) as others:
        for first, told in zip(range(0, 3000, 100), others.map(run, range(0, 3000, 100)), strict=True):
            assert told == list(range(first, first + 25))
        assert many.calls.total == 750
        assert set(many.calls.by_id.values()) == {1}


def test_the_next_request_begins_after_the_body_of_the_last(client: httpx2.Client) -> None:
    for method, path in (("GET", "/"), ("POST", "/calls"), ("DELETE", PATH)):
        assert client.request(method, path, content=b"{}").status_code == 404
    assert client.post(PATH, content=iter([b"{}"])).status_code == 411


# --- as a process ---


def started(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "samples.trade_service", *arguments]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, PARENT: str(os.getpid())},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_it_is_a_process_with_data_and_a_switch(tmp_path: Path) -> None:
    data = tmp_path / "executions.json"
    data.write_text('[{"executionServiceId": 7, "portfolioId": "p-7"}]')
    process = started("--port=0", f"--data={data}", "--any=all", "--mode=error-first", "--calls=1", "--only=8,9")
    with process:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert ", 1 executions known, switched to error-first" in said
        with asking(said.split()[3].rstrip(",")) as client:
            assert well(ask(client))
            assert [ask(client, 9).status_code for _ in range(2)] == [500, 200]
            assert portfolio_of(ask(client, 10))["portfolioId"] == "all"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


@pytest.mark.parametrize(
    ("argument", "wrong"),
    [
        ("--mode=odder", "trade service: mode is 'odder', there are ok"),
        ("--data=/nowhere/x.json", "trade service: [Errno 2] No such file or directory: '/nowhere/x.json'"),
        (f"--data={ROOT / 'run'}", "run is not JSON"),
        (f"--data={ROOT / 'samples/demo/models.json'}", "models.json: executionServiceId is None"),
    ],
)
def test_what_cannot_be_served_is_a_sentence(argument: str, wrong: str) -> None:
    said, error = (process := started("--port=0", argument)).communicate(timeout=60)
    assert process.returncode == 1
    assert said == ""
    assert wrong in error
    assert "Traceback" not in error
