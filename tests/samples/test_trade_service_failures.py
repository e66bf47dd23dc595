"""The sample trade service over real HTTP: every failure that it can be switched to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from samples.trade_service.server import TradeService, trade_service
from samples.trade_service.service import ODD
from tests.samples.asked import ask, asking, portfolio_of, well

FOREVER = 3600


@pytest.fixture
def service() -> Iterator[TradeService]:
    with trade_service({"executionServiceId": 7, "portfolioId": "p-7", "orderId": "r-1"}) as running:
        yield running


@pytest.fixture
def client(service: TradeService) -> Iterator[httpx2.Client]:
    with asking(service.url) as made:
        yield made


@pytest.mark.parametrize(("mode", "status"), [("error", 500), ("busy", 429), ("bad-request", 400), ("not-found", 404)])
def test_it_refuses(service: TradeService, client: httpx2.Client, mode: str, status: int) -> None:
    service.switch(mode)
    assert [ask(client).status_code for _ in range(3)] == [status] * 3
    service.switch("ok")
    assert well(ask(client))


@pytest.mark.parametrize("mode", ["dead", "cut"])
def test_it_hangs_up(service: TradeService, client: httpx2.Client, mode: str) -> None:
    service.switch(mode)
    for _ in range(2):
        with pytest.raises(httpx2.RemoteProtocolError):
            ask(client)
    service.switch("ok")
    assert well(ask(client))
    assert service.calls.by_id == {7: 3}


def test_it_is_slow(service: TradeService, client: httpx2.Client) -> None:
    service.switch("slow", seconds=0)
    assert well(ask(client))
    service.switch("slow", seconds=FOREVER)
    with asking(service.url, httpx2.Timeout(60, read=0.05)) as impatient, pytest.raises(httpx2.ReadTimeout):
        ask(impatient)


def test_what_is_slow_ends_when_it_stops() -> None:
    with ThreadPoolExecutor() as others, trade_service(anyone="p-7") as service, asking(service.url) as client:
        service.switch("slow", seconds=FOREVER)
        asked = [others.submit(ask, client, number) for number in range(5)]
        service.wait_for_calls(5)
        assert service.calls.most_at_once == 5
        service.stop()
        for each in asked:
            assert each.exception(60) is None or isinstance(each.exception(), httpx2.TransportError)
    with asking(service.url) as client, pytest.raises(httpx2.ConnectError):
        ask(client)
    with trade_service(port=service.port, anyone="p-7") as again, asking(again.url) as client:
        assert well(ask(client))


def test_it_fails_the_first_calls_of_each_id(service: TradeService, client: httpx2.Client) -> None:
    assert well(ask(client))
    service.switch("error-first", calls=2)
    assert [ask(client).status_code for _ in range(4)] == [500, 500, 200, 200]
    assert [ask(client, 8).status_code for _ in range(3)] == [500, 500, 200]
    service.switch("error-first", calls=1)
    assert [ask(client).status_code for _ in range(2)] == [500, 200]


def test_it_answers_what_is_no_json(service: TradeService, client: httpx2.Client) -> None:
    service.switch("garbage")
    answer = ask(client)
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_it_answers_json_of_many_other_shapes(service: TradeService, client: httpx2.Client) -> None:
    service.switch("odd")
    told = [ask(client) for _ in ODD]
    assert all(answer.status_code == 200 for answer in told)
    assert sorted(json.dumps(answer.json()) for answer in told) == sorted(map(json.dumps, ODD))


def test_it_knows_no_execution_no_portfolio_or_no_id(service: TradeService, client: httpx2.Client) -> None:
    service.switch("empty")
    assert ask(client).json()["executions"] == []
    service.switch("null-portfolio")
    assert portfolio_of(ask(client)) is None
    service.switch("empty-id")
    assert portfolio_of(ask(client))["portfolioId"] == ""
    service.switch("bad-id")
    assert portfolio_of(ask(client))["portfolioId"] == "no portfolio's id"


def test_a_share_of_the_calls_fails_the_same_for_a_seed(service: TradeService, client: httpx2.Client) -> None:
    def statuses(**how: Any) -> list[int]:
        service.switch("flaky", **how)
        return [ask(client, number).status_code for number in (7, 8) for _ in range(40)]

    some = statuses(share=Decimal("0.3"), seed="one")
    assert set(some) == {200, 500}
    assert some.count(500) < 40
    assert statuses(share=Decimal("0.3"), seed="one") == some
    assert statuses(share=Decimal("0.3"), seed="two") != some
    assert set(statuses(share=0)) == {200}
    assert set(statuses(share=1)) == {500}


def test_it_can_fail_for_some_ids_only(service: TradeService, client: httpx2.Client) -> None:
    service.switch("error", only=[8, 9])
    assert [ask(client, number).status_code for number in (7, 8, 9, 10)] == [200, 500, 500, 200]


def test_it_is_switched_over_http(client: httpx2.Client) -> None:
    asked = b'{"mode": "flaky", "share": 0.25, "seed": "s", "only": [8]}'
    answer = client.post("/switch", content=asked)
    assert answer.status_code == 200
    assert client.get("/switch").json() == answer.json()
    assert {**json.loads(asked), "seconds": 1, "calls": 1} == answer.json()


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ('{"mode": "odder"}', "'odder', there are ok, slow, dead"),
        ('{"seconds": 1}', "a switch is an object such as"),
        ('{"mode": "slow", "second": 1}', "a switch has no 'second'"),
        ('{"mode": "slow", "seconds": -1}', "seconds is -1, give a number from 0 to 3600"),
        ('{"mode": "flaky", "share": 1.5}', "a number from 0 to 1"),
        ('{"mode": "error-first", "calls": true}', "calls is True, give a whole number"),
        ('{"mode": "error", "only": 5}', "give a list of executionServiceId"),
    ],
)
def test_a_switch_that_is_none_is_refused_and_changes_nothing(client: httpx2.Client, body: str, wrong: str) -> None:
    client.post("/switch", json={"mode": "empty"})
    answer = client.post("/switch", content=body)
    assert answer.status_code == 400
    assert wrong in answer.json()["message"]
    assert client.get("/switch").json()["mode"] == "empty"
