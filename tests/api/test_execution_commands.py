"""What is asked of executions after they were reported: again under a key, looked up, sent again, booked by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from domain.execution import Booking, Execution
from tests.api.executing import PATH, Reported, created, error, is_refused, reporting, row
from tests.domain.executions import SECURITY


@pytest.fixture
async def reported() -> AsyncIterator[Reported]:
    async with reporting() as running:
        yield running


# --- keys and conditions ---


async def test_a_key_gives_equal_bytes_and_ids(reported: Reported) -> None:
    await reported.post(row(9))
    reported.desk.owners.known[3] = "away"
    rows, headers = [row(1), row(9), row(2), row(3), row(1)], {"Idempotency-Key": "k"}
    first = await reported.post(*rows, headers=headers)
    await reported.post(row(10))
    reported.desk.owners.known.clear()
    again = await reported.post(*rows, headers=headers)
    assert (first.status_code, again.status_code) == (207, 207)
    assert (again.content, again.headers["x-position"]) == (first.content, first.headers["x-position"])
    assert (again.headers["idempotency-replayed"], "idempotency-replayed" in first.headers) == ("true", False)
    ids = [result.get("executionId") for result in first.json()["results"]]
    assert ids == [2, 1, 3, None, 2]
    events = await reported.log.at([2, 3])
    assert [event.stream for event in events] == ["execution/1", "execution/2"]
    is_reused = await reported.post(row(1), headers=headers)
    assert (is_reused.status_code, is_reused.json()["details"]["code"]) == (422, "idempotency-key-reused")


async def test_a_400_is_not_remembered(reported: Reported) -> None:
    reported.desk.owners.known[1] = "away"
    headers = {"Idempotency-Key": "k"}
    assert (await reported.post(row(1), headers=headers)).status_code == 400
    reported.desk.owners.known.clear()
    again = await reported.post(row(1), headers=headers)
    assert (again.status_code, "idempotency-replayed" in again.headers) == (201, False)


async def test_nothing_new_can_meet_a_condition(reported: Reported) -> None:
    assert (await reported.post(row(1), headers={"If-Match": '"1"'})).status_code == 412
    assert (await reported.post(row(1), headers={"If-Match": "*"})).status_code == 404
    assert reported.log.events == []


# --- failed ones again ---


async def test_failed_ones_are_tried_again(reported: Reported) -> None:
    nothing = await reported.client.post(f"{PATH}/retry")
    assert (nothing.status_code, nothing.json()) == (
        200,
        {"processedCount": 0, "skippedCount": 0, "errorCount": 0, "results": []},
    )
    reported.desk.owners.known = {1: "away", 2: "away"}
    await reported.post(row(1), row(2))
    reported.desk.owners.known = {2: "still away"}
    some = await reported.client.post(f"{PATH}/retry", headers={"Idempotency-Key": "k"})
    assert (some.status_code, some.json()["results"]) == (
        207,
        [created(1, 3), error(2, "failed to get portfolio ID: still away")],
    )
    reported.desk.owners.known = {}
    rest = await reported.client.post(f"{PATH}/retry")
    assert (rest.status_code, rest.json()["results"], rest.headers["x-position"]) == (200, [created(2, 6)], "7")
    again = await reported.client.post(f"{PATH}/retry", headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.content, again.headers["idempotency-replayed"]) == (207, some.content, "true")


# --- sending again ---


async def test_a_rejected_one_is_sent_again(reported: Reported) -> None:
    await reported.post(row(1), row(2))
    await reported.sent(unknown=2)
    headers = {"Idempotency-Key": "k"}
    answer = await reported.client.post(f"{PATH}/2/resend", headers=headers)
    assert (answer.status_code, answer.headers["etag"], answer.headers["x-position"]) == (200, '"2"', "9"), answer.text
    body = answer.json()
    assert [body[name] for name in ("id", "executionServiceId", "version", "sendStatus", "rejectReason")] == [
        2,
        2,
        2,
        "PENDING",
        None,
    ]
    assert body["securityId"] == SECURITY
    is_refused(
        await reported.client.post(f"{PATH}/2/resend"), 409, "execution 2 is PENDING: only a REJECTED one is sent again"
    )
    again = await reported.client.post(f"{PATH}/2/resend", headers=headers)
    assert (again.content, again.headers["idempotency-replayed"]) == (answer.content, "true")
    await reported.sent()
    is_refused(
        await reported.client.post(f"{PATH}/2/resend"), 409, "execution 2 is SENT: only a REJECTED one is sent again"
    )
    assert (await reported.client.post(f"{PATH}/2/resend", headers=headers)).content == answer.content


async def test_why_one_was_rejected_is_known_without_its_batch(reported: Reported) -> None:
    await reported.post(row(1), row(2))
    await reported.sent(unknown=2)
    reported.log.reads.clear()
    assert (await reported.client.post(f"{PATH}/2/resend")).status_code == 200
    await reported.open()
    assert (await reported.client.post(f"{PATH}/1/book")).json()["sendStatus"] == "SENT"
    assert set(reported.log.reads) == {"execution/2", "execution/1"}


async def test_one_that_is_not_rejected_is_not_sent_again(reported: Reported) -> None:
    await reported.post(row(1))
    told = "only a REJECTED one is sent again"
    is_refused(await reported.client.post(f"{PATH}/1/resend"), 409, f"execution 1 is PENDING: {told}")
    await reported.started()
    is_refused(await reported.client.post(f"{PATH}/1/resend"), 409, f"execution 1 is PENDING: {told}")


@pytest.mark.parametrize("name", ["x", "", "1.0", "0x1", "1 2", "%00"])
@pytest.mark.parametrize("what", ["resend", "book"])
async def test_what_is_no_id_is_refused(reported: Reported, name: str, what: str) -> None:
    answer = await reported.client.post(f"{PATH}/{name}/{what}")
    if name:
        is_refused(answer, 400, "invalid execution ID")
    else:
        assert answer.status_code == 404


@pytest.mark.parametrize("name", ["0", "-1", "2", "99", str(2**63), "1" * 100])
@pytest.mark.parametrize("what", ["resend", "book"])
async def test_what_is_no_execution_is_not_found(reported: Reported, name: str, what: str) -> None:
    await reported.post(row(1))
    await reported.open()
    is_refused(await reported.client.post(f"{PATH}/{name}/{what}"), 404, "execution not found")


# --- booking by hand ---


async def test_one_is_booked_by_hand(reported: Reported) -> None:
    await reported.post(row(1))
    refused = await reported.client.post(f"{PATH}/1/book")
    is_refused(refused, 409, "portfolio ACC-1 does not exist")
    parked = await reported.desk.store.load(Execution, "1")
    assert parked is not None
    assert parked.booking is Booking.PARKED
    await reported.open()
    await reported.sent(unknown=1)
    answer = await reported.client.post(f"{PATH}/1/book", headers={"Idempotency-Key": "k"})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert [body[name] for name in ("booking", "bookingReason", "sendStatus", "rejectReason", "version")] == [
        "BOOKED",
        None,
        "REJECTED",
        "unknown",
        3,
    ]
    assert answer.headers["etag"] == '"3"'
    is_refused(await reported.client.post(f"{PATH}/1/book"), 409, "execution 1 is booked already")
    again = await reported.client.post(f"{PATH}/1/book", headers={"Idempotency-Key": "k"})
    assert (again.content, again.headers["idempotency-replayed"]) == (answer.content, "true")


async def test_one_that_was_sent_again_is_booked_as_pending(reported: Reported) -> None:
    await reported.open()
    await reported.post(row(1))
    await reported.sent(unknown=2)
    await reported.client.post(f"{PATH}/2/resend")
    body = (await reported.client.post(f"{PATH}/2/book")).json()
    assert (body["sendStatus"], body["rejectReason"], body["booking"]) == ("PENDING", None, "BOOKED")


async def test_nothing_filled_is_nothing_to_book(reported: Reported) -> None:
    await reported.open()
    await reported.post(row(1, quantityFilled=0))
    is_refused(await reported.client.post(f"{PATH}/2/book"), 409, "nothing of execution 2 is filled")
