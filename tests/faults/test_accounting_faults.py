"""Accounting fails in each way that it can: it is answered as agreed, and the batch goes out when that is over."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import httpx2
import pytest

from tests.journeys.desk import asked, told
from tests.journeys.fills import Fill, reported
from tests.journeys.office import SEND, Office, at, ended, newest, refused, sent
from tests.servers.application import Application, application

EXECUTIONS: Final = "/api/v1/executions"
LIMIT: Final = 15
"""Seconds that a run of the CLI may take: long enough for each that ends by itself."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def office(folder: Path) -> Office:
    return Office(folder / "office")


@pytest.fixture(scope="module")
def app(folder: Path, office: Office) -> Iterator[Application]:
    with application(folder, CLI_TIMEOUT=str(LIMIT), **office.environment) as app:
        yield app


@pytest.fixture
async def http(app: Application) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=app.url, timeout=120) as http:
        yield http


@pytest.mark.parametrize("name", ["csv.errors", "errors", "-errors"])
async def test_rows_that_accounting_rejects_are_told_and_go_out_again_when_asked(
    name: str, http: httpx2.AsyncClient, office: Office
) -> None:
    first = {"csv.errors": 101, "errors": 111, "-errors": 121}[name]
    ids = list((await reported(http, [Fill(first + each, "NOBODY") for each in range(4)]))[0])
    office.switch("--reject", "2", f"--error-name={name}")
    answer = await asked(http, "POST", SEND)
    body = told(answer)
    assert (body["processedCount"], body["status"], body["rejectedCount"]) == (4, "partial", 2)
    number = await newest(http, int(answer.headers["X-Position"]))
    batch = await ended(http, number)
    assert (batch["status"], batch["rejectedCount"], batch["fileName"]) == ("PARTIAL", 2, body["fileName"])
    for execution_id, status in zip(ids, ["SENT", "REJECTED"] * 2, strict=True):
        shown = told(await asked(http, "GET", f"{EXECUTIONS}/{execution_id}", headers=at(answer.headers["X-Position"])))
        assert (shown["sendStatus"], shown["rejectReason"]) == (
            status,
            "rejected on request" if status == "REJECTED" else None,
        )
    office.switch()
    assert told(await asked(http, "POST", SEND))["processedCount"] == 0
    again = await asked(http, "POST", f"{EXECUTIONS}/{ids[1]}/resend")
    assert (told(again)["sendStatus"], told(again)["rejectReason"]) == ("PENDING", None)
    refused(await http.post(f"{EXECUTIONS}/{ids[1]}/resend"), 409, "PENDING", "rule-violated")
    refused(await http.post(f"{EXECUTIONS}/{ids[0]}/resend"), 409, "SENT", "rule-violated")
    office.resent.add(ids[1])
    assert told(await asked(http, "POST", SEND))["processedCount"] == 1
    office.judge(await ended(http, number + 1), [ids[1]])
    assert ids[3] not in office.booked()


async def failing(
    http: httpx2.AsyncClient, service_id: int, status: int, message: str, code: str
) -> tuple[int, list[int]]:
    """Report an execution and send it, which fails so; return the batch and its execution."""
    found, position = await reported(http, [Fill(service_id, "NOBODY")])
    number = 1 + await newest(http, int(position))
    refused(await http.post(SEND), status, message, code)
    batch = await ended(http, number)
    assert batch["status"] == "FAILED"
    assert batch["reason"]
    return number, list(found)


async def test_a_failed_batch_goes_first_and_again_until_it_is_through(
    http: httpx2.AsyncClient, office: Office
) -> None:
    office.switch("--exit", "1")
    number, ids = await failing(http, 201, 502, "failed on batch [0-9]+: exit code 1", "cli-failed")
    batch = await ended(http, number)
    assert (batch["attempts"], batch["cliExitCode"]) == (2, 1)
    assert "0 booked, 1 duplicates" in batch["cliOutput"]  # the second time
    later, _ = await reported(http, [Fill(202, "NOBODY")])
    refused(await http.post(SEND), 502, "exit code 1", "cli-failed")
    assert (await ended(http, number))["attempts"] == 4
    assert (await http.get(f"/api/v1/batches/{number + 1}")).status_code == 404
    office.switch("--fail-first", "99")
    refused(await http.post(f"/api/v1/batches/{number}/retry"), 502, "exit code 1", "cli-failed")
    office.switch()
    retried = told(await asked(http, "POST", f"/api/v1/batches/{number}/retry"))
    assert (retried["processedCount"], retried["status"]) == (1, "success")
    office.judge(await ended(http, number), ids, attempts=7, runs=7)
    refused(await http.post(f"/api/v1/batches/{number}/retry"), 409, "is SENT", "rule-violated")
    refused(await http.post(f"/api/v1/batches/{number}/cancel"), 409, "is SENT", "rule-violated")
    office.switch("--fail-first", "1")
    assert told(await asked(http, "POST", SEND))["processedCount"] == 1
    office.judge(await ended(http, number + 1), later, attempts=2, runs=2)


async def test_what_a_cancelled_batch_had_goes_out_with_the_next(http: httpx2.AsyncClient, office: Office) -> None:
    office.switch("--fail-first", "9")
    number, ids = await failing(http, 211, 502, "exit code 1", "cli-failed")
    cancelled = told(await asked(http, "POST", f"/api/v1/batches/{number}/cancel"))
    assert (cancelled["status"], cancelled["id"]) == ("CANCELLED", number)
    office.resent.update(ids)  # the file of the cancelled batch stays
    office.switch()
    assert told(await asked(http, "POST", SEND))["processedCount"] == 1
    office.judge(await ended(http, number + 1), ids)


@pytest.mark.parametrize(
    ("service_id", "words", "message", "attempts"),
    [
        pytest.param(221, ("--hang", "600"), f"stopped after {LIMIT} s", 2, id="hangs"),
        pytest.param(222, ("--garbage",), "errors.csv is not UTF-8", 1, id="writes garbage"),
    ],
)
async def test_a_cli_that_does_not_end_well_fails_its_batch_when_it(
    service_id: int, words: tuple[str, ...], message: str, attempts: int, http: httpx2.AsyncClient, office: Office
) -> None:
    office.switch(*words)
    number, ids = await failing(http, service_id, 502, message, "cli-failed")
    assert (await ended(http, number))["attempts"] == attempts
    office.switch()
    assert told(await asked(http, "POST", SEND))["processedCount"] == 1
    office.judge(await ended(http, number), ids, attempts=attempts + 1, runs=attempts + 1)


async def test_a_cli_may_print_much_delete_its_file_and_leave_a_child_which_is_waited_for(
    http: httpx2.AsyncClient, office: Office
) -> None:
    found, position = await reported(http, [Fill(231, "NOBODY")])
    number = 1 + await newest(http, int(position))
    office.switch("--noise", "8", "--delete-input", "--leave-child", "600")
    assert told(await asked(http, "POST", SEND))["processedCount"] == 1
    office.switch()
    batch = await ended(http, number)
    office.judge(batch, found)
    assert len(batch["cliOutput"]) <= 16 * 1024
    assert "1 booked, 0 duplicates, 0 rejected" in batch["cliOutput"]
    found, _ = await reported(http, [Fill(232, "NOBODY")])
    answer = await http.post(SEND)
    refused(answer, 503, "earlier run still holds .*: process [0-9]+$", "unavailable")
    assert answer.headers["Retry-After"]
    os.kill(int(answer.json()["message"].rpartition(" ")[2]), signal.SIGKILL)
    office.judge(await ended(http, number + 1), found)


async def test_a_folder_that_cannot_be_used_fails_its_batch_until_it_can(
    http: httpx2.AsyncClient, office: Office
) -> None:
    office.files.mkdir(exist_ok=True)
    away = office.files.rename(office.folder / "away")
    office.files.write_text("a file in the place of the folder")
    try:
        number, ids = await failing(http, 241, 500, "files.*: (Not a directory|File exists)", "file-not-written")
    finally:
        office.files.unlink()
        away.rename(office.files)
        await sent(http)
    office.judge(await ended(http, number), ids)


async def test_a_file_that_cannot_be_written_fails_its_batch_until_it_can(
    http: httpx2.AsyncClient, office: Office
) -> None:
    office.switch("--exit", "1")
    number, ids = await failing(http, 242, 502, "exit code 1", "cli-failed")
    name = (await ended(http, number))["fileName"]
    (office.files / name).unlink()
    blocked = office.files / f".{name}.tmp"
    blocked.mkdir()
    refused(await http.post(SEND), 500, f"^the file {name} .*: Is a directory$", "file-not-written")
    batch = await ended(http, number)
    assert (batch["status"], batch["attempts"]) == ("FAILED", 2)
    blocked.rmdir()
    office.switch()
    await sent(http)
    office.judge(await ended(http, number), ids, attempts=3, runs=3)

    (office.files / ".batches" / str(number + 1)).write_text("a file in the place of its private folder")
    number, ids = await failing(http, 243, 500, "Not a directory", "file-not-written")
    (office.files / ".batches" / str(number)).unlink()
    await sent(http)
    office.judge(await ended(http, number), ids, attempts=2, runs=1)
