"""What executions are reported with, and what is answered: the contract's section 001 on POST, line by line."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.errors import StoreUnavailable
from domain.execution import Execution
from tests.api.executing import EXISTS, PATH, Reported, created, error, is_refused, reporting, row, without

UNREADABLE = "invalid request body"


@pytest.fixture
async def reported() -> AsyncIterator[Reported]:
    async with reporting() as running:
        yield running


# --- what is answered ---


async def test_all_created_is_201(reported: Reported) -> None:
    answer = await reported.post(row(1), row(2))
    assert (answer.status_code, answer.headers["x-position"]) == (201, "2")
    assert answer.headers["content-type"] == "application/json"
    assert "etag" not in answer.headers
    assert answer.text == (
        '{"processedCount":2,"skippedCount":0,"errorCount":0,"results":['
        '{"executionServiceId":1,"status":"created","executionId":1},'
        '{"executionServiceId":2,"status":"created","executionId":2}]}'
    )


async def test_all_skipped_is_201_too(reported: Reported) -> None:
    await reported.post(row(1))
    answer = await reported.post(row(1, quantity=7), row(2, isOpen=True))
    assert (answer.status_code, answer.headers["x-position"]) == (201, "1")
    assert answer.json() == {
        "processedCount": 0,
        "skippedCount": 2,
        "errorCount": 0,
        "results": [
            {"executionServiceId": 1, "status": "skipped", "error": EXISTS, "executionId": 1},
            {"executionServiceId": 2, "status": "skipped", "error": "execution is still open"},
        ],
    }


async def test_some_created_and_some_errors_is_207(reported: Reported) -> None:
    reported.desk.owners.known[2] = "answered 500"
    answer = await reported.post(row(1), row(2), row(1), row(3, securityId="short"), without("executionServiceId"))
    assert answer.status_code == 207
    body = answer.json()
    assert [body[name] for name in ("processedCount", "skippedCount", "errorCount")] == [1, 1, 3]
    assert body["results"] == [
        created(1, 1),
        error(2, "failed to get portfolio ID: answered 500"),
        {"executionServiceId": 1, "status": "skipped", "error": EXISTS, "executionId": 1},
        error(3, "validation failed: securityId: 'short' is not 24 of A-Z a-z 0-9"),
        error(0, "validation failed: executionServiceId: is required"),
    ]


async def test_errors_without_anything_created_are_400_in_the_same_body(reported: Reported) -> None:
    reported.desk.owners.known[2] = "answered 500"
    answer = await reported.post(row(2), row(3, isOpen=True))
    assert answer.status_code == 400
    assert answer.json() == {
        "processedCount": 0,
        "skippedCount": 1,
        "errorCount": 1,
        "results": [
            error(2, "failed to get portfolio ID: answered 500"),
            {"executionServiceId": 3, "status": "skipped", "error": "execution is still open"},
        ],
    }
    assert len(reported.log.events) == 1


async def test_an_error_names_each_member_its_value_and_what_would_be_right(reported: Reported) -> None:
    members = {
        "tradeType": "SHORT",
        "securityId": "ÄÖÜ",
        "portfolioId": "..",
        "orderId": "",
        "quantity": "-1",
        "totalAmount": -0.01,
        "averagePrice": 0,
        "sentTimestamp": None,
        "destination": "D" * 21,
        "ticker": "a\0b",
        "executionStatus": " ",
        "quantityFilled": "10000000000",
        "lastFillTimestamp": "1969-12-31T23:59:59Z",
    }
    answer = await reported.post(row(5, **members))
    [result] = answer.json()["results"]
    assert result["error"].removeprefix("validation failed: ").split("; ") == [
        "executionStatus: is required",
        "tradeType: 'SHORT' is not BUY or SELL",
        f"destination: '{'D' * 21}' has 21 characters, at most 20 are taken",
        r"securityId: '\xc4\xd6\xdc' is not 24 of A-Z a-z 0-9",
        r"ticker: 'a\x00b' has characters that cannot be printed",
        "portfolioId: '..' is not 1 to 100 of A-Z a-z 0-9 _ . : - (and not . or ..)",
        "orderId: '' is not 1 to 100 characters of printable ASCII without spaces",
        "quantity: -1 is not greater than 0",
        "sentTimestamp: is required",
        "lastFillTimestamp: 1969-12-31T23:59:59Z is not between the years 1970 and 9998",
        "quantityFilled: has 11 digits before the point, at most 10 are taken",
        "totalAmount: -0.01 is negative, give 0 or more",
        "averagePrice: 0 is not greater than 0",
    ]


@pytest.mark.parametrize(
    "name",
    ["executionServiceId", "executionStatus", "tradeType", "destination", "securityId", "ticker", "quantity",
     "receivedTimestamp", "sentTimestamp", "averagePrice"],
)  # fmt: skip
async def test_what_is_required_may_be_neither_missing_nor_null(reported: Reported, name: str) -> None:
    for each in (without(name), row(**{name: None}) if name != "executionServiceId" else row(None)):
        answer = await reported.post(each)
        assert answer.status_code == 400
        assert answer.json()["results"][0]["error"] == f"validation failed: {name}: is required"
    assert reported.log.events == []


@pytest.mark.parametrize(
    "name", ["isOpen", "limitPrice", "lastFillTimestamp", "quantityFilled", "totalAmount", "portfolioId", "orderId"]
)
async def test_the_rest_may_be_missing_or_null(reported: Reported, name: str) -> None:
    answer = await reported.post(without(name, service_id=1), row(2, **{name: None}))
    assert answer.json()["processedCount"] == 2, answer.text


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("57.123456789", "57.12345679"),
        ('"57.123456785"', "57.12345678"),
        ("57.123456775", "57.12345678"),
        ("5.7e1", "57"),
        ("57.100000000000000000000", "57.1"),
        ("9999999999.99999999", "9999999999.99999999"),
        ("9999999999.999999994", "9999999999.99999999"),
        ('"0.00000001"', "0.00000001"),
    ],
)
async def test_figures_are_rounded_half_even_to_8_places(reported: Reported, given: str, stored: str) -> None:
    content = json.dumps([row(1, averagePrice="FIGURE", limitPrice="FIGURE")]).replace('"FIGURE"', given)
    answer = await reported.client.post(PATH, content=content)
    assert answer.status_code == 201, answer.text
    execution = await reported.desk.store.load(Execution, "1")
    assert execution is not None
    assert [f"{each:f}" for each in (execution.report.average_price, execution.report.limit_price or 0)] == [stored] * 2


@pytest.mark.parametrize(
    ("figure", "fault"),
    [
        ("10000000000", "has 11 digits before the point, at most 10 are taken"),
        ("9999999999.999999995", "has 11 digits before the point, at most 10 are taken"),
        ("1e100", "has 101 digits before the point, at most 10 are taken"),
        (f"{'9' * 397}", "has 397 digits before the point, at most 10 are taken"),
        (f'"{"9" * 395}e99"', "has 494 digits before the point, at most 10 are taken"),
        ("0.000000005", "0 is not greater than 0"),
        ("1e-100", "0 is not greater than 0"),
        ("-0", "0 is not greater than 0"),
    ],
)
async def test_figures_outside_their_bounds_are_errors_of_the_row(reported: Reported, figure: str, fault: str) -> None:
    content = json.dumps([row(1, quantity="FIGURE")]).replace('"FIGURE"', figure)
    answer = await reported.client.post(PATH, content=content)
    assert answer.status_code == 400, answer.text
    assert answer.json()["results"] == [error(1, f"validation failed: quantity: {fault}")]


async def test_a_portfolio_of_its_own_and_unknown_members_are_taken(reported: Reported) -> None:
    answer = await reported.post(row(1, portfolioId="ACC-9", orderId="r-1", version=3, securityID=7))
    assert answer.status_code == 201
    execution = await reported.desk.store.load(Execution, "1")
    assert execution is not None
    assert (execution.portfolio_id, execution.order_id, reported.desk.owners.asked) == ("ACC-9", "r-1", [])


# --- what is no request ---


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[{]", b"nothing", b"\xff", b"[NaN]", b'[{"a":1,"a":2}]', b'{"executions":[]}', b"null", b"7",
        b'"[]"', b"[1]", b"[null]", b"[[]]", b'[{"ticker":"\\ud800"}]', b"[" * 100_000,
    ],
)  # fmt: skip
async def test_what_is_not_an_array_of_objects_is_refused(reported: Reported, content: bytes) -> None:
    answer = await reported.client.post(PATH, content=content)
    assert is_refused(answer, 400, UNREADABLE)["detail"]
    assert reported.log.events == []


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("executionServiceId", "1"), ("executionServiceId", 1.0), ("executionServiceId", True),
        ("executionServiceId", 2**63), ("executionServiceId", 10**500), ("executionServiceId", {}),
        ("isOpen", "false"), ("isOpen", 0), ("isOpen", []),
        ("executionStatus", 7), ("tradeType", True), ("destination", {}), ("securityId", 24), ("ticker", []),
        ("portfolioId", 7), ("orderId", 17),
        ("quantity", "many"), ("quantity", "1_0"), ("quantity", ""), ("quantity", True), ("quantity", []),
        ("limitPrice", "NaN"), ("quantityFilled", "Infinity"), ("totalAmount", "1e999"), ("averagePrice", {}),
        ("receivedTimestamp", "2025-06-18T13:59:58"), ("sentTimestamp", "yesterday"), ("sentTimestamp", 1750255198),
        ("lastFillTimestamp", "2025-06-31T00:00:00Z"), ("lastFillTimestamp", "0001-01-01T00:00:00+01:00"),
        ("lastFillTimestamp", "\0"),
    ],
)  # fmt: skip
async def test_a_wrong_type_anywhere_stores_nothing(reported: Reported, member: str, value: Any) -> None:
    bad = row(2, **{member: value}) if member != "executionServiceId" else row(value)
    answer = await reported.client.post(PATH, content=json.dumps([row(1), bad]))
    detail = is_refused(answer, 400, UNREADABLE)["detail"]
    assert detail.startswith(f"/1/{member}: ")
    assert reported.log.events == []


async def test_one_to_a_hundred_are_taken(reported: Reported) -> None:
    is_refused(await reported.post(), 400, "no executions provided")
    many = [row(number) for number in range(1, 102)]
    is_refused(await reported.post(*many), 400, "batch size exceeds maximum of 100 executions")
    assert reported.log.events == []
    assert (await reported.post(*many[:100])).json()["processedCount"] == 100


async def test_other_media_types_and_the_store_being_away_wear_the_same_body(reported: Reported) -> None:
    answer = await reported.client.post(PATH, content=b"[]", headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["details"]["code"]) == (415, "unsupported-media-type")
    reported.log.failure = StoreUnavailable("the log is away")
    assert is_refused(await reported.post(row(1)), 503, "the log is away")["code"] == "store-unavailable"
