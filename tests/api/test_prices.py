"""The routes of prices: an upload is taken whole or not at all, every fault of it is told, and it is exact."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx2
import pytest

from api.app import Application
from api.commands.calls import with_position
from api.numbers import loads
from domain.prices import PricesUploaded
from tests.api.asking import is_problem, pointers
from tests.api.doubles import Behind

PRICES = "/api/v1/prices"


def upload(prices: Any = None, **members: Any) -> dict[str, Any]:
    return {"as_of": "2025-06-21T10:00:00Z", "prices": {"AAPL": "150.25"} if prices is None else prices, **members}


async def test_an_upload_answers_with_its_time_count_and_position(client: httpx2.AsyncClient, behind: Behind) -> None:
    answer = await client.post(
        PRICES, json=upload({"AAPL": "150.2500", "MSFT": 480}, as_of="2025-06-21T12:00:00+02:00")
    )
    assert (answer.status_code, answer.text) == (200, '{"as_of":"2025-06-21T10:00:00Z","count":2,"position":1}')
    assert answer.headers["x-position"] == "1"
    assert "etag" not in answer.headers
    listed = await client.get(PRICES, params={"at_least": 1})
    assert listed.text == (
        '{"items":[{"instrument_id":"MSFT","price":480,"as_of":"2025-06-21T10:00:00Z"},'
        '{"instrument_id":"AAPL","price":150.25,"as_of":"2025-06-21T10:00:00Z"}],"next":null}'
    )
    assert behind.log.contexts[0].command_id is not None
    assert behind.log.events[0].originator_id == f"prices/{behind.log.contexts[0].command_id}"


@pytest.mark.parametrize("price", ["0.00000001", "999999999999999.99999999", "57.123456790000", "1e2", "12"])
@pytest.mark.parametrize("quote", ["", '"'])
async def test_every_digit_of_a_price_reaches_the_event(
    client: httpx2.AsyncClient, behind: Behind, price: str, quote: str
) -> None:
    body = f'{{"as_of":"2025-06-21T10:00:00Z","prices":{{"A":{quote}{price}{quote}}}}}'
    assert (await client.post(PRICES, content=body)).status_code == 200
    event = behind.log.events[-1]
    assert isinstance(event, PricesUploaded)
    assert event.prices == {"A": Decimal(price)}


@pytest.mark.parametrize(
    ("body", "places"),
    [
        (upload({}), ["/prices"]),
        (upload({f"I{number}": 1 for number in range(10_001)}), ["/prices"]),
        (upload([1]), ["/prices"]),
        (upload({"AAPL": 0, "MSFT": -1, "X": None}), ["/prices/AAPL", "/prices/MSFT", "/prices/X"]),
        (upload({"A": "0.000000001", "B": 10**15, "C": "1e999", "D": True, "E": "x"}),
         [f"/prices/{name}" for name in "ABCDE"]),
        (upload({"CASH": 1, "a b": 1, "x/y~z": 1, "..": 1, "": 1, "x" * 25: 1}),
         ["/prices/CASH", "/prices/a b", "/prices/x~1y~0z", "/prices/..", "/prices/", "/prices/" + "x" * 25]),
        (upload(as_of="2025-06-21T10:05:01Z"), ["/as_of"]),
        (upload(as_of="2025-06-21T10:00:00"), ["/as_of"]),
        ({"prices": {"A": 0}, "source": "x"}, ["/as_of", "/prices/A", "/source"]),
        ({"as_of": 1, "prices": {"a b": 0, "A": -1}, "x": 1},
         ["/as_of", "/prices/a b", "/prices/a b", "/prices/A", "/x"]),
    ],
    ids=range(10),
)  # fmt: skip
async def test_an_upload_that_does_not_fit_names_every_fault(
    client: httpx2.AsyncClient, behind: Behind, body: dict[str, Any], places: list[str]
) -> None:
    problem = is_problem(await client.post(PRICES, json=body), 422, "invalid-request")
    assert pointers(problem) == places
    assert behind.log.events == []


async def test_a_name_given_twice_is_no_json(client: httpx2.AsyncClient) -> None:
    body = '{"as_of":"2025-06-21T10:00:00Z","prices":{"A":1,"A":2}}'
    is_problem(await client.post(PRICES, content=body), 400, "not-json")


async def test_five_minutes_ahead_are_taken(client: httpx2.AsyncClient) -> None:
    assert (await client.post(PRICES, json=upload(as_of="2025-06-21T10:05:00Z"))).status_code == 200


async def test_the_same_again_under_a_key_is_the_first_answer_with_its_position(
    client: httpx2.AsyncClient, behind: Behind
) -> None:
    first = await client.post(PRICES, json=upload(), headers={"Idempotency-Key": "k"})
    await client.post(PRICES, json=upload({"B": 1}))
    again = await client.post(PRICES, json=upload(), headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.content) == (200, first.content)
    assert first.text.endswith('"position":1}')
    assert (again.headers["x-position"], again.headers["idempotency-replayed"]) == ("1", "true")
    assert "etag" not in again.headers
    assert len(behind.log.events) == 2
    other = await client.post(PRICES, json=upload({"C": 1}), headers={"Idempotency-Key": "k"})
    is_problem(other, 422, "idempotency-key-reused")


async def test_no_condition_fits_an_upload(client: httpx2.AsyncClient, behind: Behind) -> None:
    is_problem(await client.post(PRICES, json=upload(), headers={"If-Match": '"1"'}), 412, "stale-version")
    is_problem(await client.post(PRICES, json=upload(), headers={"If-Match": "*"}), 404, "not-found")
    assert behind.log.events == []


async def test_prices_are_listed_newest_first_page_by_page(client: httpx2.AsyncClient) -> None:
    await client.post(PRICES, json=upload({f"I{number}": number + 1 for number in range(4)}))
    await client.post(PRICES, json=upload({"I1": 7}))
    seen: list[str] = []
    params: dict[str, Any] = {"limit": 2}
    while True:
        page = (await client.get(PRICES, params=params)).json()
        seen += [item["instrument_id"] for item in page["items"]]
        if page["next"] is None:
            break
        params["cursor"] = page["next"]
    assert seen == ["I1", "I3", "I2", "I0"]
    one = (await client.get(PRICES, params={"instrument_id": "I1"})).json()
    assert one == {"items": [{"instrument_id": "I1", "price": 7, "as_of": "2025-06-21T10:00:00Z"}], "next": None}
    for none in ("NONE", "CASH"):
        assert (await client.get(PRICES, params={"instrument_id": none})).json() == {"items": [], "next": None}


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("limit=0", ["limit"]), ("cursor=oops", ["cursor"]), ("instrument_id=a%20b", ["instrument_id"]),
        ("instrument_id=", ["instrument_id"]), ("instrument_id=%00", ["instrument_id"]),
        ("instrument_id=A&cursor=1", ["cursor"]),
        ("at_least=x&instrument_id=..&limit=x", ["instrument_id", "limit", "at_least"]),
    ],
)  # fmt: skip
async def test_a_query_that_does_not_fit_names_every_parameter(
    client: httpx2.AsyncClient, query: str, places: list[str]
) -> None:
    assert pointers(is_problem(await client.get(f"{PRICES}?{query}"), 422, "invalid-request")) == places


async def test_a_position_not_reached_is_503(client: httpx2.AsyncClient) -> None:
    answer = await client.get(PRICES, params={"at_least": 1}, headers={"Prefer": "wait=0"})
    is_problem(answer, 503, "projection-behind")


def test_the_position_is_the_last_member_of_an_object() -> None:
    assert with_position(b'{"a":{}}', 7) == b'{"a":{},"position":7}'
    assert with_position(b"{}", 7) == b'{"position":7}'


def test_the_document_tells_that_an_upload_has_no_etag(app: Application) -> None:
    operation = app.openapi()["paths"][PRICES]["post"]
    assert set(operation["responses"]["200"]["headers"]) == {"X-Position", "Idempotency-Replayed"}
    assert "no ETag" in operation["description"]
    members = app.openapi()["components"]["schemas"]["PriceUploadBody"]["properties"]["prices"]
    assert (members["minProperties"], members["maxProperties"]) == (1, 10_000)


async def test_ten_thousand_prices_go_in_one_upload(client: httpx2.AsyncClient) -> None:
    body = upload({f"INSTRUMENT-{number:06}": str(Decimal(number + 1).scaleb(-4)) for number in range(10_000)})
    answer = await client.post(PRICES, json=body)
    assert loads(answer.content)["count"] == 10_000
