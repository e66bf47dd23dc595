"""Sending batches over HTTP: statuses and bodies of seed 001, once for a key, later where that is wanted."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from domain.batch import Batch
from tests.api.doubles import Behind
from tests.api.outside import BADLY, ScriptedCli
from tests.domain.executions import recorded
from tests.write_side.stores import by
from write_side.batch.ports import Ended
from write_side.event_store import EventStore

SEND = "/api/v1/executions/send"
NOTHING = {
    "processedCount": 0,
    "fileName": "",
    "status": "success",
    "message": "no executions to send",
    "rejectedCount": 0,
}


@pytest.fixture
def behind() -> Behind:
    behind = Behind()
    behind.cli = ScriptedCli(lambda name: behind.folder.files[name])
    return behind


@pytest.fixture
def cli(behind: Behind) -> ScriptedCli:
    assert behind.cli is not None
    return behind.cli


async def record(behind: Behind, first: int, number: int) -> list[int]:
    executions = [recorded(execution_service_id=first + index) for index in range(number)]
    done = await EventStore(behind.log).record(*executions, context=by())
    return list(range(done.position - number + 1, done.position + 1))


def refusal(answer: httpx2.Response) -> tuple[int, str, int, str]:
    """Return the status, and message, status and code of seed 001's body for errors."""
    body = answer.json()
    assert set(body) == {"message", "status", "timestamp", "details"}
    return answer.status_code, body["message"], body["status"], body["details"]["code"]


async def test_nothing_to_send(client: httpx2.AsyncClient, behind: Behind) -> None:
    answer = await client.post(SEND)
    assert (answer.status_code, answer.json(), answer.headers["X-Position"]) == (200, NOTHING, "0")
    assert behind.log.events == []


async def test_what_was_sent_is_counted(client: httpx2.AsyncClient, behind: Behind, cli: ScriptedCli) -> None:
    ids = await record(behind, 1, 3)
    cli.ends = [Ended(exit_code=0, output="", rejected={f"AC{ids[1]}": "price"})]
    answer = await client.post(SEND)
    assert answer.json() == {
        "processedCount": 3,
        "fileName": "transactions_20250621_100000_1.csv",
        "status": "partial",
        "message": "3 executions sent in 1 batch, 1 of them rejected",
        "rejectedCount": 1,
    }
    assert answer.headers["X-Position"] == str(len(behind.log.events))
    await record(behind, 10, 1)
    assert (await client.post(SEND)).json()["message"] == "1 execution sent in 1 batch"


async def test_a_failure_of_the_cli_is_a_502_until_it_is_retried(
    client: httpx2.AsyncClient, behind: Behind, cli: ScriptedCli
) -> None:
    await record(behind, 1, 3)
    cli.ends = [BADLY] * 8
    positions = []
    for _ in range(2):
        answer = await client.post(SEND)
        assert refusal(answer) == (502, "the accounting CLI failed on batch 1: exit code 1", 502, "cli-failed")
        positions.append(answer.headers["X-Position"])
    at = positions[-1]
    assert at == str(len(behind.log.events))
    (shown,) = (await client.get("/api/v1/batches", params={"at_least": at})).json()["items"]
    assert (shown["status"], shown["attempts"], shown["cliExitCode"]) == ("FAILED", 8, 1)
    answer = await client.post("/api/v1/batches/1/retry")
    assert (answer.status_code, answer.json()["processedCount"]) == (200, 3)
    answer = await client.post("/api/v1/batches/1/retry")
    assert refusal(answer)[:2] == (409, "batch 1 is SENT: only a FAILED one can be retried")


async def test_a_folder_that_takes_nothing_is_a_500(client: httpx2.AsyncClient, behind: Behind) -> None:
    await record(behind, 1, 3)
    behind.folder.failure = "/files: No space left on device"
    status, message, _, code = refusal(await client.post(SEND))
    assert (status, code) == (500, "file-not-written")
    assert "No space left on device" in message
    behind.folder.failure = None
    assert (await client.post(SEND)).json()["processedCount"] == 3


async def test_the_second_run_is_a_409(client: httpx2.AsyncClient, behind: Behind) -> None:
    async with behind.one_run.alone():
        answer = await client.post(SEND)
    assert refusal(answer) == (409, "batch process already in progress", 409, "batch-in-progress")


async def test_a_cancelled_batch_is_answered_and_goes_out_with_the_next(
    client: httpx2.AsyncClient, behind: Behind, cli: ScriptedCli
) -> None:
    await record(behind, 1, 3)
    cli.ends = [BADLY] * 4
    await client.post(SEND)
    stale = await client.post("/api/v1/batches/1/cancel", headers={"If-Match": '"1"'})
    assert refusal(stale)[0] == 412
    batch = await EventStore(behind.log).load(Batch, "1")
    assert batch is not None
    version = batch.version
    answer = await client.post("/api/v1/batches/1/cancel", headers={"If-Match": f'"{version}"'})
    assert (answer.status_code, answer.json()["status"], answer.headers["ETag"]) == (
        200,
        "CANCELLED",
        f'"{version + 1}"',
    )
    assert refusal(await client.post("/api/v1/batches/1/cancel"))[0] == 409
    assert (await client.post(SEND)).json()["processedCount"] == 3
    shown: dict[str, Any] = (await client.get("/api/v1/batches/1")).json()
    assert (shown["status"], shown["takenBy"]) == ("CANCELLED", 2)


@pytest.mark.parametrize("what", ["retry", "cancel"])
async def test_batches_that_are_not_there(client: httpx2.AsyncClient, what: str) -> None:
    assert refusal(await client.post(f"/api/v1/batches/7/{what}"))[:2] == (404, "batch not found")
    assert refusal(await client.post(f"/api/v1/batches/x/{what}"))[:2] == (400, "invalid batch ID")
    assert refusal(await client.post(f"/api/v1/batches/{'9' * 40}/{what}"))[:2] == (404, "batch not found")


async def test_the_same_key_again_sends_nothing_more(
    client: httpx2.AsyncClient, behind: Behind, cli: ScriptedCli
) -> None:
    await record(behind, 1, 3)
    key = {"Idempotency-Key": "tonight"}
    first = await client.post(SEND, headers=key)
    await record(behind, 10, 1)
    again = await client.post(SEND, headers=key)
    assert (again.content, again.headers["Idempotency-Replayed"]) == (first.content, "true")
    assert again.headers["X-Position"] == first.headers["X-Position"]
    assert len(cli.given) == 1
    other = await client.post("/api/v1/batches/1/retry", headers=key)
    assert refusal(other)[0] == 422


async def test_a_failure_is_not_remembered(client: httpx2.AsyncClient, behind: Behind, cli: ScriptedCli) -> None:
    await record(behind, 1, 3)
    cli.ends = [BADLY] * 4
    key = {"Idempotency-Key": "tonight"}
    assert (await client.post(SEND, headers=key)).status_code == 502
    assert (await client.post(SEND, headers=key)).status_code == 200


async def test_no_version_fits_a_run(client: httpx2.AsyncClient, behind: Behind) -> None:
    await record(behind, 1, 3)
    assert refusal(await client.post(SEND, headers={"If-Match": '"1"'}))[0] == 412
    assert (await client.get("/api/v1/batches")).json()["items"] == []


async def test_the_batch_is_answered_at_once_where_that_is_wanted(
    client: httpx2.AsyncClient, behind: Behind, cli: ScriptedCli
) -> None:
    later = {"Prefer": "respond-async"}
    assert (await client.post(SEND, headers=later)).json() == NOTHING
    await record(behind, 1, 3)
    answer = await client.post(SEND, headers=later)
    assert (answer.status_code, answer.json()["status"], answer.json()["count"]) == (202, "RUNNING", 3)
    place = answer.headers["Location"]
    assert place.startswith("/api/v1/batches/1?at_least=")
    while (await client.get(place)).json()["status"] == "RUNNING":
        pass
    assert (await client.get(place)).json()["status"] == "SENT"


async def test_the_answer_at_once_is_of_the_oldest_that_is_unfinished(
    client: httpx2.AsyncClient, behind: Behind, cli: ScriptedCli
) -> None:
    await record(behind, 1, 3)
    cli.ends = [BADLY] * 4
    await client.post(SEND)
    await record(behind, 10, 2)
    answer = await client.post(SEND, headers={"Prefer": "respond-async"})
    assert (answer.status_code, answer.json()["id"], answer.json()["status"]) == (202, 1, "RUNNING")


async def test_an_answer_at_once_is_the_same_for_the_same_key(client: httpx2.AsyncClient, behind: Behind) -> None:
    await record(behind, 1, 3)
    headers = {"Prefer": "respond-async", "Idempotency-Key": "tonight"}
    first = await client.post(SEND, headers=headers)
    again = await client.post(SEND, headers=headers)
    assert (first.status_code, again.status_code) == (202, 202)
    assert (again.content, again.headers["Location"]) == (first.content, first.headers["Location"])
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_the_same_key_cancels_once(client: httpx2.AsyncClient, behind: Behind, cli: ScriptedCli) -> None:
    await record(behind, 1, 3)
    cli.ends = [BADLY] * 4
    await client.post(SEND)
    key = {"Idempotency-Key": "give up"}
    first = await client.post("/api/v1/batches/1/cancel", headers=key)
    events = len(behind.log.events)
    again = await client.post("/api/v1/batches/1/cancel", headers=key)
    assert (again.content, again.headers["Idempotency-Replayed"]) == (first.content, "true")
    assert (again.headers["ETag"], len(behind.log.events)) == (first.headers["ETag"], events)


async def test_a_key_that_is_too_long_is_a_422(client: httpx2.AsyncClient) -> None:
    assert refusal(await client.post(SEND, headers={"Idempotency-Key": "k" * 256}))[0] == 422
