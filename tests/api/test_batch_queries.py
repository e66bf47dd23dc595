"""The queries on accounting batches: one, and all of them page by page (contract "001")."""

from __future__ import annotations

import pytest

from domain.batch import file_name
from tests.api.executions_shown import client_of, is_refused
from tests.domain.executions import NOW
from tests.projections.executing import SHA256, Desk

BATCHES = "/api/v1/batches"


async def test_a_batch_is_shown_exactly() -> None:
    desk = Desk()
    execution_id = desk.record(1)
    number = desk.start(count=2)
    async with client_of(desk) as client:
        begun = await client.get(f"{BATCHES}/{number}", params={"at_least": 4})
        assert (begun.status_code, begun.headers["etag"]) == (200, '"1"')
        assert begun.text == (
            '{"id":1,"status":"RUNNING","startTime":"2025-06-21T10:00:00Z",'
            '"previousStartTime":"1970-01-01T00:00:00Z","fromPosition":0,"toPosition":2,"count":2,"rejectedCount":0,'
            f'"fileName":"{file_name(1, NOW)}","sha256":null,"attempts":0,"cliExitCode":null,"cliOutput":"",'
            '"reason":null,"deliveredBy":"CLI","takenBy":null,"returned":[]}'
        )
        desk.attempt(number)
        desk.fails(number, "exit code 1")
        failed = (await client.get(f"{BATCHES}/{number}")).json()
        assert {name: value for name, value in failed.items() if value != begun.json()[name]} == {
            "status": "FAILED",
            "sha256": SHA256,
            "attempts": 1,
            "cliExitCode": 1,
            "cliOutput": "no\n",
            "reason": "exit code 1",
        }
        desk.attempt(number)
        desk.sends(number, {execution_id: "unknown"})
        sent = await client.get(f"{BATCHES}/{number}")
        assert sent.headers["etag"] == '"8"'
        assert {name: value for name, value in sent.json().items() if value != failed[name]} == {
            "status": "PARTIAL",
            "rejectedCount": 1,
            "attempts": 2,
            "cliExitCode": 0,
            "cliOutput": "ok\n",
            "reason": None,
        }


async def test_a_cancelled_batch_and_the_one_that_took_it_over() -> None:
    desk = Desk()
    desk.record(1)
    desk.fails(desk.start(by_cli=False))
    desk.cancel(1)
    head = len(desk.events)
    desk.start()
    async with client_of(desk) as client:
        first, second = [(await client.get(f"{BATCHES}/{number}")).json() for number in (1, 2)]
    assert (first["status"], first["takenBy"], first["returned"], first["deliveredBy"]) == ("CANCELLED", 2, [], "FILE")
    assert (second["status"], second["takenBy"], second["returned"]) == ("RUNNING", None, [1])
    assert (second["fromPosition"], second["toPosition"]) == (first["toPosition"], head)
    assert second["previousStartTime"] == first["startTime"]


async def test_batches_are_listed_newest_first() -> None:
    desk = Desk()
    for service_id in range(1, 13):
        execution_id = desk.record(service_id)
        desk.sends(desk.start(), {execution_id: "unknown"})
    async with client_of(desk) as client:
        first = (await client.get(BATCHES, params={"limit": 10})).json()
        second = (await client.get(BATCHES, params={"limit": 10, "cursor": first["next"]})).json()
        assert [each["id"] for each in first["items"]] == list(range(12, 2, -1))
        assert ([each["id"] for each in second["items"]], second["next"]) == ([2, 1], None)
        assert first["items"][0] == (await client.get(f"{BATCHES}/12")).json()


async def test_nothing_is_an_empty_list() -> None:
    async with client_of(Desk()) as client:
        assert (await client.get(BATCHES)).text == '{"items":[],"next":null}'


@pytest.mark.parametrize("path", ["x", "1.5", "-", "latest", "1%202"])
async def test_an_id_that_is_no_integer_is_refused(path: str) -> None:
    async with client_of(Desk()) as client:
        is_refused(await client.get(f"{BATCHES}/{path}"), 400, "invalid batch ID")


async def test_what_is_not_there_is_404() -> None:
    desk = Desk()
    desk.sends(desk.start(), {7: "unknown"})
    async with client_of(desk) as client:
        for missing in (0, -1, 2, 7, 2**63):
            is_refused(await client.get(f"{BATCHES}/{missing}"), 404, "batch not found")


@pytest.mark.parametrize(
    ("query", "parameter"),
    [("limit=0", "limit"), ("limit=x", "limit"), ("cursor=x", "cursor"), ("at_least=x", "at_least")],
)
async def test_a_page_that_does_not_fit_is_a_400(query: str, parameter: str) -> None:
    async with client_of(Desk()) as client:
        answer = await client.get(f"{BATCHES}?{query}")
    assert is_refused(answer, 400, answer.json()["message"])["errors"][0]["parameter"] == parameter


async def test_every_query_waits_for_its_position() -> None:
    desk = Desk()
    desk.start()
    async with client_of(desk) as client:
        for path in (BATCHES, f"{BATCHES}/1"):
            behind = await client.get(path, params={"at_least": "4"})
            assert is_refused(behind, 503, behind.json()["message"])["code"] == "projection-behind"
            assert (await client.get(path, params={"at_least": "3"})).status_code == 200


async def test_a_list_has_the_end_of_what_the_cli_said_and_one_batch_all_of_it() -> None:
    desk, said = Desk(), "".join(f"line {number}\n" for number in range(200))
    desk.start()
    desk.fails(1, output=said)
    async with client_of(desk) as client:
        [listed] = (await client.get(BATCHES)).json()["items"]
        one = (await client.get(f"{BATCHES}/1")).json()
    assert (one["cliOutput"], listed) == (said, one | {"cliOutput": said[-500:]})
