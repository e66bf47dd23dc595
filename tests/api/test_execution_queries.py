"""The queries on executions: one, a part of all with its place among them, and those that failed (seed 001)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.api.described import findings
from tests.api.executions_shown import app_over, client_of, is_refused
from tests.domain.executions import NOW, SECURITY
from tests.projections.executing import Desk

EXECUTIONS = "/api/v1/executions"
FAILED = f"{EXECUTIONS}/failed"


async def test_an_execution_is_shown_exactly() -> None:
    desk = Desk()
    desk.record(1)
    execution_id = desk.record(
        4711,
        "ACC-9",
        trade_type="SELL",
        quantity=Decimal("1234567890.000000015"),
        limit_price=Decimal("57.50"),
        quantity_filled=Decimal("1E+2"),
        total_amount=Decimal("5712.34567900"),
        average_price=Decimal("57.123456789"),
        last_fill=NOW.replace(microsecond=120_000),
        order_id="R-1",
    )
    desk.park(execution_id, "portfolio ACC-9 does not exist")
    async with client_of(desk) as client:
        answer = await client.get(f"{EXECUTIONS}/{execution_id}", params={"at_least": 4})
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
    assert answer.headers["content-type"] == "application/json"
    assert answer.text == (
        f'{{"id":{execution_id},"executionServiceId":4711,"isOpen":false,"executionStatus":"FILLED",'
        f'"tradeType":"SELL","destination":"NYSE","securityId":"{SECURITY}","portfolioId":"ACC-9","ticker":"TECH",'
        '"quantity":1234567890.00000002,"limitPrice":57.5,"receivedTimestamp":"2025-06-18T01:00:00Z",'
        '"sentTimestamp":"2025-06-18T01:00:00Z","lastFillTimestamp":"2025-06-21T10:00:00.12Z","quantityFilled":100,'
        '"totalAmount":5712.345679,"averagePrice":57.12345679,"version":2,"tradeDate":"2025-06-17","orderId":"R-1",'
        '"sendStatus":"PENDING","rejectReason":null,"booking":"PARKED",'
        '"bookingReason":"portfolio ACC-9 does not exist"}'
    )


async def test_what_is_not_known_is_null() -> None:
    desk = Desk()
    execution_id = desk.record(1)
    desk.book(execution_id)
    desk.sends(desk.start(), {execution_id: 'kein Konto "ü"'})
    async with client_of(desk) as client:
        shown = (await client.get(f"{EXECUTIONS}/{execution_id}")).json()
    assert [name for name, value in shown.items() if value is None] == [
        "limitPrice",
        "lastFillTimestamp",
        "orderId",
        "bookingReason",
    ]
    assert (shown["sendStatus"], shown["rejectReason"], shown["booking"]) == ("REJECTED", 'kein Konto "ü"', "BOOKED")


@pytest.mark.parametrize("path", ["x", "1.5", "1e3", "-", "%20", "send", "0x10", "1%202", "٣", "9" * 101])
async def test_an_id_that_is_no_integer_is_refused(path: str) -> None:
    async with client_of(Desk()) as client:
        details = is_refused(await client.get(f"{EXECUTIONS}/{path}"), 400, "invalid execution ID")
    assert "is not an integer" in details["detail"]


async def test_what_is_not_there_is_404() -> None:
    desk = Desk()
    desk.fail(1)
    execution_id = desk.record(7)
    async with client_of(desk) as client:
        assert (await client.get(f"{EXECUTIONS}/+{execution_id}")).status_code == 200
        for missing in (0, -1, -execution_id, 1, 2, 7, execution_id + 1, 2**63, "9" * 100):
            is_refused(await client.get(f"{EXECUTIONS}/{missing}"), 404, "execution not found")


PAGES: list[tuple[dict[str, Any], list[int], dict[str, Any]]] = [
    ({}, [5, 4, 3, 2, 1], {"pages": 1, "page": 0, "size": 50, "next": False, "previous": False}),
    ({"limit": 2}, [5, 4], {"pages": 3, "page": 0, "size": 2, "next": True, "previous": False}),
    ({"limit": 2, "offset": 2}, [3, 2], {"pages": 3, "page": 1, "size": 2, "next": True, "previous": True}),
    ({"limit": 2, "offset": 3}, [2, 1], {"pages": 3, "page": 1, "size": 2, "next": False, "previous": True}),
    ({"limit": 2, "offset": 4}, [1], {"pages": 3, "page": 2, "size": 2, "next": False, "previous": True}),
    ({"limit": 5}, [5, 4, 3, 2, 1], {"pages": 1, "page": 0, "size": 5, "next": False, "previous": False}),
    ({"limit": 1000, "offset": 1}, [4, 3, 2, 1],
     {"pages": 1, "page": 0, "size": 1000, "next": False, "previous": True}),
    ({"limit": 2, "offset": 5}, [], {"pages": 3, "page": 2, "size": 2, "next": False, "previous": True}),
    ({"limit": 7, "offset": 10**15}, [],
     {"pages": 1, "page": 10**15 // 7, "size": 7, "next": False, "previous": True}),
]  # fmt: skip


@pytest.mark.parametrize(("params", "service_ids", "place"), PAGES)
async def test_a_part_is_listed_newest_first_with_its_place(
    params: dict[str, Any], service_ids: list[int], place: dict[str, Any]
) -> None:
    desk = Desk()
    for service_id in range(1, 6):
        desk.record(service_id)
    desk.fail(6)
    async with client_of(desk) as client:
        answer = await client.get(EXECUTIONS, params=params)
    assert answer.status_code == 200, answer.text
    assert [each["executionServiceId"] for each in answer.json()["executions"]] == service_ids
    assert answer.json()["pagination"] == {
        "totalElements": 5,
        "totalPages": place["pages"],
        "currentPage": place["page"],
        "pageSize": place["size"],
        "hasNext": place["next"],
        "hasPrevious": place["previous"],
    }


async def test_nothing_is_an_empty_list_without_pages() -> None:
    async with client_of(Desk()) as client:
        assert (await client.get(EXECUTIONS)).text == (
            '{"executions":[],"pagination":{"totalElements":0,"totalPages":0,"currentPage":0,"pageSize":50,'
            '"hasNext":false,"hasPrevious":false}}'
        )


async def test_one_in_a_list_is_as_it_is_alone() -> None:
    desk = Desk()
    ids = [desk.record(service_id) for service_id in range(1, 4)]
    desk.sends(desk.start(), {ids[1]: "unknown"})
    async with client_of(desk) as client:
        listed = json.loads((await client.get(EXECUTIONS)).text)["executions"]
        alone = [(await client.get(f"{EXECUTIONS}/{each}")).json() for each in ids[::-1]]
    assert listed == alone
    assert [each["sendStatus"] for each in alone] == ["SENT", "REJECTED", "SENT"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=x", "invalid limit parameter"),
        ("limit=", "invalid limit parameter"),
        ("limit=1.0", "invalid limit parameter"),
        ("limit=1e2", "invalid limit parameter"),
        ("limit=0", "limit must be between 1 and 1000"),
        ("limit=-1", "limit must be between 1 and 1000"),
        ("limit=1001", "limit must be between 1 and 1000"),
        ("limit=99999999999999999999", "limit must be between 1 and 1000"),
        ("offset=x", "invalid offset parameter"),
        ("offset=", "invalid offset parameter"),
        ("offset=0.5", "invalid offset parameter"),
        ("offset=1000000000000001", "invalid offset parameter"),
        ("offset=-1", "offset must be non-negative"),
        ("limit=0&offset=-1", "limit must be between 1 and 1000"),
        ("limit=10&offset=-1", "offset must be non-negative"),
    ],
)
async def test_a_part_that_does_not_fit_is_told_in_the_seed_s_words(query: str, message: str) -> None:
    async with client_of(Desk()) as client:
        assert is_refused(await client.get(f"{EXECUTIONS}?{query}"), 400, message)["code"] == "bad-request"


async def test_failed_ones_are_shown_as_they_were_reported_last() -> None:
    desk = Desk()
    desk.fail(7, "no answer")
    desk.fail(8, "503", limit_price=Decimal("0.10"), order_id="R-2")
    desk.fail(7, "empty list", quantity=Decimal("2.50"))
    async with client_of(desk) as client:
        answer = await client.get(FAILED)
        assert answer.text == (
            '{"items":[{"executionServiceId":7,"isOpen":false,"executionStatus":"FILLED","tradeType":"BUY",'
            f'"destination":"NYSE","securityId":"{SECURITY}","ticker":"TECH","quantity":2.5,"limitPrice":null,'
            '"receivedTimestamp":"2025-06-18T01:00:00Z","sentTimestamp":"2025-06-18T01:00:00Z",'
            '"lastFillTimestamp":null,"quantityFilled":100,"totalAmount":5712.35,"averagePrice":57.1235,'
            '"orderId":null,"error":"empty list","attempts":2,"failedAt":"2025-06-21T10:00:03Z"},'
            '{"executionServiceId":8,"isOpen":false,"executionStatus":"FILLED","tradeType":"BUY",'
            f'"destination":"NYSE","securityId":"{SECURITY}","ticker":"TECH","quantity":100,"limitPrice":0.1,'
            '"receivedTimestamp":"2025-06-18T01:00:00Z","sentTimestamp":"2025-06-18T01:00:00Z",'
            '"lastFillTimestamp":null,"quantityFilled":100,"totalAmount":5712.35,"averagePrice":57.1235,'
            '"orderId":"R-2","error":"503","attempts":1,"failedAt":"2025-06-21T10:00:02Z"}],"next":null}'
        )
        first = (await client.get(FAILED, params={"limit": 1})).json()
        second = (await client.get(FAILED, params={"limit": 1, "cursor": first["next"]})).json()
    assert [each["executionServiceId"] for each in (*first["items"], *second["items"])] == [7, 8]
    assert second["next"] is None


@pytest.mark.parametrize(
    ("query", "parameter"),
    [("limit=0", "limit"), ("limit=1001", "limit"), ("cursor=x", "cursor"), ("cursor=", "cursor")],
)
async def test_a_page_of_failed_ones_that_does_not_fit_is_a_400(query: str, parameter: str) -> None:
    async with client_of(Desk()) as client:
        answer = await client.get(f"{FAILED}?{query}")
    assert is_refused(answer, 400, answer.json()["message"])["errors"][0]["parameter"] == parameter


async def test_every_query_waits_for_its_position() -> None:
    desk = Desk()
    execution_id = desk.record(1)
    async with client_of(desk) as client:
        for path in (EXECUTIONS, f"{EXECUTIONS}/{execution_id}", FAILED):
            for headers, params in (({"X-Min-Position": "3"}, {}), ({}, {"at_least": "3"})):
                behind = await client.get(path, headers=headers, params=params)
                assert is_refused(behind, 503, behind.json()["message"])["code"] == "projection-behind"
                assert behind.headers["retry-after"]
                assert (await client.get(path, params={"at_least": "2"})).status_code == 200
            wrong = await client.get(path, params={"at_least": "x"})
            assert is_refused(wrong, 400, wrong.json()["message"])["errors"][0]["parameter"] == "at_least"


def test_the_application_keeps_its_document() -> None:
    desk = Desk()
    for service_id in range(1, 4):
        desk.record(service_id)
        desk.fail(service_id + 10)
    desk.sends(desk.start(), {2: "unknown"})
    desk.start()
    app = app_over(desk)
    paths = app.openapi()["paths"]
    assert {EXECUTIONS, FAILED, "/api/v1/batches", "/api/v1/batches/{batch_id}"} <= set(paths)
    missing = paths[f"{EXECUTIONS}/{{execution_id}}"]["get"]["responses"]["404"]["content"]["application/json"]
    assert missing["examples"]["not_found"]["value"]["message"] == "execution not found"
    assert findings(app=app) == []
