"""The routes of portfolios: what goes in is read exactly, all faults are told at once, what comes out is exact."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx2
import pytest

from api.numbers import loads
from domain.portfolio import CashDeposited, PortfolioOpened
from tests.api.asking import is_problem, moving, opening, pointers, raw
from tests.api.doubles import Behind

STATE = "/api/v1/portfolio/ACC-1/state"
UPDATE = "/api/v1/portfolio/ACC-1/update"


async def test_opening_answers_with_the_state_and_where_it_is(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/api/v1/portfolios", json=opening(cash_balance="1000.50"))
    assert answer.status_code == 201
    assert answer.headers["location"] == STATE
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["x-position"] == "1"
    state = loads(answer.content)
    assert state["cash_balance"] == Decimal("1000.50")
    assert state["portfolio_name"] == "Growth"
    assert (await client.get(STATE)).content == answer.content


async def test_an_id_that_is_taken_is_409(client: httpx2.AsyncClient) -> None:
    await client.post("/api/v1/portfolios", json=opening())
    is_problem(await client.post("/api/v1/portfolios", json=opening()), 409, "already-exists")


async def test_an_update_answers_with_the_state_it_leaves(client: httpx2.AsyncClient) -> None:
    await client.post("/api/v1/portfolios", json=opening(cash_balance=1))
    answer = await client.post(UPDATE, json=moving(2, "0.5"))
    assert answer.status_code == 200
    assert (answer.headers["etag"], answer.headers["x-position"]) == ('"3"', "3")
    assert loads(answer.content)["cash_balance"] == Decimal("3.50")
    state = await client.get(STATE, params={"at_least": answer.headers["x-position"]})
    assert (state.content, state.headers["etag"]) == (answer.content, '"3"')


@pytest.mark.parametrize("amount", ["123456789012345.1234567890123456", "0.0000000000000001", "57.123456789000004"])
async def test_every_digit_of_an_amount_reaches_the_event(
    client: httpx2.AsyncClient, behind: Behind, amount: str
) -> None:
    await client.post("/api/v1/portfolios", json=opening())
    body = f'{{"updates":[{{"transaction_type":"DEP","quantity_change":{amount}}}],"timestamp":"2025-06-21T10:00:00Z"}}'
    assert (await client.post(UPDATE, content=body)).status_code == 200
    event = behind.log.events[-1]
    assert isinstance(event, CashDeposited)
    assert event.amount == Decimal(amount)


async def test_the_log_is_told_who_asked_and_under_which_correlation_id(
    client: httpx2.AsyncClient, behind: Behind
) -> None:
    headers = raw({"X-User": "josé", "X-Correlation-ID": "corr-7"})
    await client.post("/api/v1/portfolios", json=opening(), headers=headers)
    await client.post("/api/v1/portfolios", json=opening("ACC-2"))
    first, second = behind.log.contexts
    assert (first.actor, first.correlation_id) == ("josé", "corr-7")
    assert second.actor == "anonymous"


@pytest.mark.parametrize(
    ("members", "places"),
    [
        ({"portfolio_id": "a b"}, ["/portfolio_id"]),
        ({"portfolio_id": ".."}, ["/portfolio_id"]),
        ({"portfolio_id": ""}, ["/portfolio_id"]),
        ({"portfolio_id": "x" * 101}, ["/portfolio_id"]),
        ({"portfolio_id": "ACC-1\n"}, ["/portfolio_id"]),
        ({"portfolio_id": 7}, ["/portfolio_id"]),
        ({"portfolio_name": " "}, ["/portfolio_name"]),
        ({"portfolio_name": "x" * 201}, ["/portfolio_name"]),
        ({"portfolio_name": "a\u0000b"}, ["/portfolio_name"]),
        ({"portfolio_name": None}, ["/portfolio_name"]),
        ({"cash_balance": -1}, ["/cash_balance"]),
        ({"cash_balance": "1e999999999"}, ["/cash_balance"]),
        ({"cash_balance": "0.00000000000000001"}, ["/cash_balance"]),
        ({"cash_balance": 10**15}, ["/cash_balance"]),
        ({"cash_balance": None}, ["/cash_balance"]),
        ({"cash": 1}, ["/cash"]),
        ({"a/b~c": 1}, ["/a~1b~0c"]),
        (
            {"portfolio_id": "a b", "portfolio_name": "", "cash_balance": True, "status": "ACTIVE"},
            ["/portfolio_id", "/portfolio_name", "/cash_balance", "/status"],
        ),
    ],
)
async def test_an_opening_that_does_not_fit_names_every_fault(
    client: httpx2.AsyncClient, behind: Behind, members: dict[str, Any], places: list[str]
) -> None:
    answer = await client.post("/api/v1/portfolios", json=opening() | members)
    assert pointers(is_problem(answer, 422, "invalid-request")) == places
    assert behind.log.events == []


@pytest.mark.parametrize(
    ("body", "places"),
    [
        (moving(), ["/updates"]),
        (moving(*[1] * 1001), ["/updates"]),
        (moving(0), ["/updates/0/quantity_change"]),
        (moving(1, -1, "x"), ["/updates/1/quantity_change", "/updates/2/quantity_change"]),
        (moving(1, timestamp="2025-06-21T10:00:00"), ["/timestamp"]),
        (moving(1, timestamp="2025-06-21T10:05:01Z"), ["/timestamp"]),
        (moving(1, portfolio_id="ACC-2"), ["/portfolio_id"]),
        ({"updates": [{"transaction_type": "dep", "quantity_change": 1}], "timestamp": "2025-06-21T10:00:00Z"},
         ["/updates/0/transaction_type"]),
        ({"updates": [{}], "timestamp": "2025-06-21T10:00:00Z"},
         ["/updates/0/transaction_type", "/updates/0/quantity_change"]),
        ({"updates": [{"transaction_type": "WD", "quantity_change": 1, "instrument_id": "AAPL", "price": 2}],
          "timestamp": "2025-06-21T10:00:00Z"}, ["/updates/0/instrument_id", "/updates/0/price"]),
        (
            {
                "updates": [{"transaction_type": "XX", "quantity_change": -5, "fee": 1}, "DEP", None],
                "timestamp": "2999-01-01T00:00:00Z",
                "portfolio_id": "ACC-2",
            },
            ["/portfolio_id", "/updates/0/transaction_type", "/updates/0/quantity_change", "/updates/0/fee",
             "/updates/1", "/updates/2", "/timestamp"],
        ),
    ],
)  # fmt: skip
async def test_an_update_that_does_not_fit_names_every_fault(
    client: httpx2.AsyncClient, behind: Behind, body: dict[str, Any], places: list[str]
) -> None:
    await client.post("/api/v1/portfolios", json=opening())
    assert pointers(is_problem(await client.post(UPDATE, json=body), 422, "invalid-request")) == places
    assert [type(event) for event in behind.log.events] == [PortfolioOpened]


async def test_faults_beyond_counting_are_not_all_told(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/api/v1/portfolios", json={str(number): number for number in range(20_000)})
    problem = is_problem(answer, 422, "invalid-request")
    assert problem["errors"] == [{"pointer": "", "detail": "has 20002 faults, too many to tell"}]


async def test_a_thousand_updates_go_in_one_call(client: httpx2.AsyncClient) -> None:
    await client.post("/api/v1/portfolios", json=opening())
    answer = await client.post(UPDATE, json=moving(*["0.01"] * 1000, portfolio_id="ACC-1"))
    assert answer.headers["etag"] == '"1001"'
    assert loads(answer.content)["cash_balance"] == Decimal(10)


@pytest.mark.parametrize("portfolio_id", ["NONE", "a%20b", "%00", "..%2F", "x" * 101, "%F0%9F%98%80"])
async def test_a_portfolio_that_is_not_there_is_404(client: httpx2.AsyncClient, portfolio_id: str) -> None:
    code = "unknown-path" if "%2F" in portfolio_id else "not-found"
    is_problem(await client.get(f"/api/v1/portfolio/{portfolio_id}/state"), 404, code)
    is_problem(await client.post(f"/api/v1/portfolio/{portfolio_id}/update", json=moving(1)), 404, code)


async def test_portfolios_are_listed_newest_first_page_by_page(client: httpx2.AsyncClient) -> None:
    for number in range(5):
        await client.post("/api/v1/portfolios", json=opening(f"ACC-{number}"))
    seen: list[str] = []
    params: dict[str, Any] = {"limit": 2}
    while True:
        page = (await client.get("/api/v1/portfolios", params=params)).json()
        seen += [item["portfolio_id"] for item in page["items"]]
        if page["next"] is None:
            break
        params["cursor"] = page["next"]
    assert seen == ["ACC-4", "ACC-3", "ACC-2", "ACC-1", "ACC-0"]
    found = (await client.get("/api/v1/portfolios", params={"search": "acc-3", "status": "ACTIVE"})).json()
    assert found["items"] == [{"portfolio_id": "ACC-3", "portfolio_name": "Growth", "status": "ACTIVE"}]


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("limit=0", ["limit"]), ("limit=1001", ["limit"]), ("limit=ten", ["limit"]), ("limit=", ["limit"]),
        ("limit=1.0", ["limit"]), ("status=active", ["status"]), ("cursor=", ["cursor"]), ("cursor=oops", ["cursor"]),
        ("search=%00", ["search"]), (f"search={'x' * 201}", ["search"]), ("at_least=-1", ["at_least"]),
        ("at_least=", ["at_least"]), ("limit=0&status=x&at_least=y", ["status", "limit", "at_least"]),
    ],
)  # fmt: skip
async def test_a_query_that_does_not_fit_names_every_parameter(
    client: httpx2.AsyncClient, query: str, places: list[str]
) -> None:
    problem = is_problem(await client.get(f"/api/v1/portfolios?{query}"), 422, "invalid-request")
    assert pointers(problem) == places
    assert all("parameter" in fault for fault in problem["errors"])


async def test_faults_of_shape_of_content_and_between_members_are_told_at_once(client: httpx2.AsyncClient) -> None:
    await client.post("/api/v1/portfolios", json=opening())
    update = {"transaction_type": "DEP", "quantity_change": -5, "price": 2, "instrument_id": "AAPL", "fee": 1}
    answer = await client.post(
        "/api/v1/portfolio/ACC-1/update", json={"updates": [update], "timestamp": "2025-06-21T10:00:00"}
    )
    told = pointers(is_problem(answer, 422, "invalid-request"))
    places = [f"/updates/0/{member}" for member in ("quantity_change", "instrument_id", "price", "fee")]
    assert sorted(told) == sorted([*places, "/timestamp"])
