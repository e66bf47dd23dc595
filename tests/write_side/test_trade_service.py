"""Whose executions are, from a Trade Service that answers as it likes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.servers.globeco import Globeco, globeco
from write_side.adapters.service import Limits, Service
from write_side.adapters.trade_service import NoTradeService, TradeServiceOwners
from write_side.execution.looking_up import NotReached, looked_up
from write_side.execution.ports import LookUpFailed, Owner

PATH = "/api/v2/executions?executionServiceId=4711"
QUICK = Limits(timeout=60, call=60, retries=3, delay=0.001, failures=100, retried=frozenset())


@pytest.fixture
async def services() -> AsyncIterator[Globeco]:
    async with globeco() as running:
        yield running


class Trades:
    """The adapter over a service with these limits; ``seen`` are the look-ups it has counted."""

    def __init__(self, services: Globeco, limits: Limits = QUICK) -> None:
        self.service = Service.at("Trade Service", services.url, limits)
        self.seen: list[bool] = []
        self.owners = TradeServiceOwners(self.service, self.seen.append)

    async def of(self, service_id: int = 4711) -> Owner | str:
        """Return whose it is, or why that is not known."""
        try:
            return await self.owners.of(service_id)
        except LookUpFailed as error:
            return str(error)


@pytest.fixture
async def trades(services: Globeco) -> AsyncIterator[Trades]:
    trades = Trades(services)
    yield trades
    await trades.service.close()


def known(portfolio: Any, **order: Any) -> dict[str, Any]:
    """An answer as GlobeCo gives it."""
    return {"executions": [{"id": 7, "tradeOrder": {"id": 1, "portfolio": portfolio, **order}}]}


async def test_the_portfolio_is_asked_for_by_the_id_of_the_execution(services: Globeco, trades: Trades) -> None:
    services.known[PATH] = known({"portfolioId": "ACC-1"}, orderId=17)
    assert await trades.of() == Owner("ACC-1", "17")
    assert (services.asked, trades.seen) == ([PATH], [True])


@pytest.mark.parametrize(
    ("answer", "owner"),
    [
        (known({"portfolioId": "ACC-1"}), Owner("ACC-1")),
        (known({"portfolioId": "ACC-1"}, orderId="r-1"), Owner("ACC-1", "r-1")),
        (known({"portfolioId": "ACC-1"}, orderId=10**30), Owner("ACC-1", "1" + "0" * 30)),
        (known({"portfolioId": "ACC-1"}, orderId=1.5), Owner("ACC-1")),
        (known({"portfolioId": "ACC-1"}, orderId="two words"), Owner("ACC-1")),
        ({"executions": [{"portfolioId": "ACC-2", "orderId": "9"}]}, Owner("ACC-2", "9")),
        ({"executions": [{"portfolioId": "ACC-2", "executionServiceId": 4711}]}, Owner("ACC-2")),
        ({"executions": [{"portfolioId": "ACC-2", "executionServiceId": "4711"}]}, Owner("ACC-2")),
        ({"executions": [{"portfolioId": "ACC-2", "tradeOrder": {"portfolio": None}}]}, Owner("ACC-2")),
        ({"executions": [{"tradeOrder": None}], "portfolioId": "ACC-3"}, Owner("ACC-3")),
        ({"portfolioId": "ACC-3"}, Owner("ACC-3")),
        (
            {
                "executions": [{"portfolioId": "no", "tradeOrder": {"portfolio": {"portfolioId": "yes"}}}],
                "portfolioId": "no",
            },
            Owner("yes"),
        ),
        (
            {"executions": [{"portfolioId": "first"}, {"tradeOrder": {"portfolio": {"portfolioId": "second"}}}]},
            Owner("first"),
        ),
    ],
)
async def test_the_portfolio_is_where_the_contract_says(
    services: Globeco, trades: Trades, answer: Any, owner: Owner
) -> None:
    services.answers.append((200, answer))
    assert await trades.of() == owner


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"executions": []}, "it knows no such execution: executions is empty"),
        ({"executions": [], "portfolioId": "ACC-1"}, "it knows no such execution: executions is empty"),
        (known(None), "the answer names no portfolio"),
        (known({"portfolioId": None}), "the answer names no portfolio"),
        ({"executions": [{}]}, "the answer names no portfolio"),
        ({"executions": ["x"]}, "the answer names no portfolio"),
        ({}, "the answer names no portfolio"),
        ({"executions": {}}, "executions is not a list"),
        ([], "the answer is not an object"),
        (None, "it knows no such execution"),
        ({"executions": [{"portfolioId": "A", "executionServiceId": 4712}]}, "it answers about execution 4712"),
        ({"executions": [{"portfolioId": "A", "executionServiceId": [4711]}]}, "it answers about execution ["),
        (known({"portfolioId": 7}), "portfolioId is 7, not a text"),
        (known({"portfolioId": ""}), "portfolioId '' is not 1 to 100 of A-Z a-z 0-9 _ . : - (and not . or ..)"),
        (known({"portfolioId": "a\0b"}), r"portfolioId 'a\x00b' is not 1 to 100"),
        (b"<html>", "the answer is not JSON"),
    ],
)
async def test_an_answer_without_a_portfolio_fails_the_look_up(
    services: Globeco, trades: Trades, answer: Any, reason: str
) -> None:
    services.answers.append((200, b"null" if answer is None else answer))
    told = await trades.of()
    assert isinstance(told, str)
    assert told.startswith(f"Trade Service at GET /api/v2/executions: {reason}")
    assert (len(services.asked), trades.seen) == (1, [False])


async def test_failures_are_tried_again_three_times(services: Globeco, trades: Trades) -> None:
    services.known[PATH] = known({"portfolioId": "ACC-1"})
    services.answers.extend([(500, {}), (503, {}), (502, {})])
    assert await trades.of() == Owner("ACC-1")
    services.answers.extend([(500, {})] * 4)
    assert await trades.of() == "Trade Service at GET /api/v2/executions: answered 500"
    assert len(services.asked) == 8


@pytest.mark.parametrize("status", [400, 401, 404, 409, 429])
async def test_refusals_are_not_tried_again_and_do_not_count(services: Globeco, status: int) -> None:
    trades = Trades(services, Limits(timeout=60, call=60, retries=3, delay=0.001, failures=2, retried=frozenset()))
    services.answers.extend([(status, {})] * 5)
    told = "it knows no such execution" if status == 404 else f"answered {status}, expected 200"
    for _ in range(5):
        assert await trades.of() == f"Trade Service at GET /api/v2/executions: {told}"
    assert len(services.asked) == 5
    await trades.service.close()


async def test_a_call_that_takes_too_long_is_tried_again(services: Globeco) -> None:
    trades = Trades(services, Limits(timeout=600, call=0.5, retries=20, delay=0.001, failures=100))
    services.known[PATH] = known({"portfolioId": "ACC-1"})
    services.answers.append(None)
    assert await trades.of() == Owner("ACC-1")
    assert len(services.asked) >= 2
    await trades.service.close()


async def test_after_the_last_call_that_took_too_long_that_is_told(services: Globeco) -> None:
    trades = Trades(services, Limits(timeout=60, call=0.5, retries=1, delay=0.001, failures=100))
    services.silent.add(PATH)
    assert await trades.of() == "Trade Service at GET /api/v2/executions: no answer within 0.5 s"
    assert len(services.asked) <= 2
    await trades.service.close()


async def test_calls_that_take_too_long_open_the_breaker(services: Globeco) -> None:
    trades = Trades(services, Limits(timeout=60, call=0.2, retries=0, delay=0.001, failures=3, reset=60))
    services.answers.extend([None] * 3)
    for _ in range(3):
        assert await trades.of() == "Trade Service at GET /api/v2/executions: no answer within 0.2 s"
    left_alone = "not asked, after 3 failures in a row it is left alone for 60 s"
    told = [await trades.of(each) for each in range(20)]
    assert told == [f"Trade Service at GET /api/v2/executions: {left_alone}"] * 20
    assert len(services.asked) <= 3
    await trades.service.close()


async def test_a_dead_service_answers_a_whole_request_in_time(services: Globeco) -> None:
    trades = Trades(services, Limits(timeout=30, call=20, retries=3, at_once=5))
    services.answers.extend([None] * 100)
    found = await looked_up(trades.owners, range(1, 101), 0.2)
    assert len(found) == 100
    assert {type(each) for each in found.values()} == {NotReached}
    assert services.most_at_once <= 5
    await trades.service.close()


async def test_each_of_many_has_its_own_answer(services: Globeco, trades: Trades) -> None:
    for service_id in range(1, 51):
        path = f"/api/v2/executions?executionServiceId={service_id}"
        services.known[path] = known({"portfolioId": f"ACC-{service_id}"})
    found = await looked_up(trades.owners, range(1, 52), 30)
    assert [found[each] for each in range(1, 51)] == [Owner(f"ACC-{each}") for each in range(1, 51)]
    assert isinstance(found[51], LookUpFailed)


async def test_without_a_service_every_look_up_fails() -> None:
    with pytest.raises(LookUpFailed, match=r"^no TRADE_SERVICE_URL is set and the row has no portfolioId$"):
        await NoTradeService().of(1)
