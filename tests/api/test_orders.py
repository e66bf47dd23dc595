"""Orders over HTTP: sent and cancelled, read with their fills, taken as a file, and told beside the rebalance."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from api.app import create_app
from api.numbers import loads
from domain.order import OrdersSent
from tests.api.asking import is_problem, trade, updating
from tests.api.doubles import Behind
from tests.api.rebalancing import BOND, TECH, market, model, rebalance
from tests.projections.ordering import executed
from tests.write_side.stores import by


async def made(client: httpx2.AsyncClient) -> str:
    """Rebalance 100,000 in cash: 302 of BOND at 99.5 and 399 of TECH at 150.3383 are to be bought."""
    await market(client, "ACC-1")
    await model(client, "ACC-1")
    rebalance_id: str = (await rebalance(client)).json()["rebalance_id"]
    return rebalance_id


def path(rebalance_id: str) -> str:
    return f"/api/v1/rebalances/{rebalance_id}/orders"


async def send(client: httpx2.AsyncClient, rebalance_id: str, **headers: str) -> httpx2.Response:
    return await client.post(path(rebalance_id), headers=_named(headers))


async def cancel(client: httpx2.AsyncClient, rebalance_id: str, **headers: str) -> httpx2.Response:
    return await client.post(f"{path(rebalance_id)}/cancel", headers=_named(headers))


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


async def fill(behind: Behind, order_id: str, quantity: str, price: str, service_id: int = 1, **others: Any) -> int:
    appended = await behind.log.append([executed(service_id, order_id, quantity, price, **others)], by())
    return appended.position


def order(rebalance_id: str, line: int, security_id: str, quantity: int, price: str) -> str:
    return (
        f'{{"order_id":"{rebalance_id}-{line}","transaction_type":"BUY","security_id":"{security_id}",'
        f'"quantity":{quantity},"price":{price}'
    )


async def test_orders_are_sent_and_told_again(client: httpx2.AsyncClient, behind: Behind) -> None:
    one = await made(client)
    before = len(behind.log.events)
    answer = await send(client, one)
    assert (answer.status_code, answer.headers["etag"], answer.headers["x-position"]) == (201, '"2"', str(before + 2))
    assert answer.text == (
        f'{{"rebalance_id":"{one}","portfolio_id":"ACC-1","status":"OPEN","sent_at":"2025-06-21T10:00:00Z",'
        f'"cancelled_at":null,"orders":[{order(one, 1, BOND, 302, "99.5")}}},{order(one, 2, TECH, 399, "150.3383")}}}],'
        f'"position":{before + 2}}}'
    )
    again = await send(client, one)
    assert (again.status_code, again.content, again.headers["etag"]) == (200, answer.content, '"2"')
    await fill(behind, f"{one}-2", "200", "150.35")
    filled = await send(client, one)
    assert (filled.status_code, filled.json()["orders"]) == (200, answer.json()["orders"])
    assert len([event for event in behind.log.events if isinstance(event, OrdersSent)]) == 1


async def test_orders_are_read_with_what_is_filled(client: httpx2.AsyncClient, behind: Behind) -> None:
    one = await made(client)
    await send(client, one)
    first = await fill(behind, f"{one}-2", "200", "150.35", 1, security_id=TECH)
    second = await fill(behind, f"{one}-2", "99.5", "150.1", 2, security_id=TECH)
    odd = await fill(behind, f"{one}-1", "7", "99", 3, security_id=BOND, side="SELL")
    answer = await client.get(path(one), params={"at_least": odd})
    assert (answer.status_code, answer.headers["etag"], answer.headers["vary"]) == (200, '"2"', "Accept")
    # 30,070 and 14,934.95 for 299.5; of 100,000 that are 45.0263...% at 150.3383
    assert answer.text == (
        f'{{"rebalance_id":"{one}","portfolio_id":"ACC-1","status":"OPEN","sent_at":"2025-06-21T10:00:00Z",'
        f'"cancelled_at":null,"orders":['
        f'{order(one, 1, BOND, 302, "99.5")},"filled":0,"open":302,"average_price":null,"status":"OPEN",'
        f'"execution_ids":[],"execution_count":0}},'
        f'{order(one, 2, TECH, 399, "150.3383")},"filled":299.5,"open":99.5,"average_price":150.26694491,'
        f'"status":"OPEN","execution_ids":[{first},{second}],"execution_count":2}}],'
        f'"mismatched":[{{"execution_id":{odd},"order_id":"{one}-1","portfolio_id":"ACC-1","transaction_type":"SELL",'
        f'"security_id":"{BOND}","quantity_filled":7,"average_price":99}}],"mismatched_count":1,'
        f'"residual":[{{"security_id":"{BOND}","target":30,"low_drift":5,"high_drift":5,"actual":0,"drift":-30,'
        f'"in_band":false}},{{"security_id":"{TECH}","target":60,"low_drift":5,"high_drift":5,"actual":45.0263,'
        f'"drift":-14.9737,"in_band":false}}],"cash_after":54995.05}}'
    )


async def test_more_than_was_ordered_is_shown_as_it_is(client: httpx2.AsyncClient, behind: Behind) -> None:
    one = await made(client)
    await send(client, one)
    await fill(behind, f"{one}-1", "310", "99.5", 1, security_id=BOND)
    await fill(behind, f"{one}-2", "399", "150.3383", 2, security_id=TECH)
    shown = loads((await client.get(path(one))).content)
    assert shown["status"] == "FILLED"
    assert [(each["filled"], each["open"], each["status"]) for each in shown["orders"]] == [
        (310, 0, "FILLED"), (399, 0, "FILLED"),
    ]  # fmt: skip
    assert str(shown["cash_after"]) == "9170.02"  # 100,000 less 30,845 and 59,984.9817
    assert [str(each["actual"]) for each in shown["residual"]] == ["30.845", "59.985"]
    is_problem(await cancel(client, one), 409, "rule-violated")


async def test_what_came_before_the_orders_counts(behind: Behind) -> None:
    behind.booked = False
    transport = httpx2.ASGITransport(app=create_app(behind.deps()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://foliolog") as client:
        one = await made(client)
        await fill(behind, f"{one}-2", "100", "150", security_id=TECH)
        is_problem(await client.get(path(one)), 404, "not-found")
        assert (await client.get(f"/api/v1/rebalances/{one}")).json()["orders"] is None
        await send(client, one)
        assert [each["filled"] for each in (await client.get(path(one))).json()["orders"]] == [0, 100]


async def test_a_fill_that_is_not_booked_keeps_other_orders_back(client: httpx2.AsyncClient, behind: Behind) -> None:
    one = await made(client)
    await send(client, one)
    await cancel(client, one)
    other = (await rebalance(client)).json()["rebalance_id"]
    late = await fill(behind, f"{one}-2", "10", "150", security_id=TECH)
    problem = is_problem(await send(client, other), 409, "rule-violated")
    assert problem["detail"] == (
        f"execution {late} names order {one}-2 and is not booked: NONE; book it first, "
        f"POST /api/v1/executions/{late}/book"
    )
    assert (await client.post(f"/api/v1/executions/{late}/book")).status_code == 200
    problem = is_problem(await send(client, other), 409, "rule-violated")
    assert f"{TECH} (0 then, 10 now)" in problem["detail"]
    again = (await rebalance(client)).json()["rebalance_id"]
    assert (await send(client, again)).status_code == 201


async def test_orders_are_cancelled_and_may_be_filled_later(client: httpx2.AsyncClient, behind: Behind) -> None:
    one = await made(client)
    problem = is_problem(await cancel(client, one), 404, "not-found")
    assert problem["detail"] == f"orders of rebalance '{one}' were not sent"
    sent = (await send(client, one)).json()
    behind.now = behind.now.replace(hour=15)
    answer = await cancel(client, one)
    assert (answer.status_code, answer.headers["etag"]) == (200, '"3"')
    position = int(answer.headers["x-position"])
    changed = {"status": "CANCELLED", "cancelled_at": "2025-06-21T15:00:00Z", "position": position}
    assert answer.json() == {**sent, **changed}
    problem = is_problem(await cancel(client, one), 409, "rule-violated")
    assert problem["instance"] == f"{path(one)}/cancel"
    again = await send(client, one)
    assert (again.status_code, again.json()) == (200, answer.json())
    await fill(behind, f"{one}-2", "200", "150.35", security_id=TECH)
    shown = (await client.get(path(one))).json()
    assert [(each["filled"], each["open"], each["status"]) for each in shown["orders"]] == [
        (0, 0, "CANCELLED"), (200, 0, "CANCELLED"),
    ]  # fmt: skip
    assert (shown["status"], shown["cancelled_at"]) == ("CANCELLED", "2025-06-21T15:00:00Z")


async def test_a_desk_takes_them_as_a_file(client: httpx2.AsyncClient) -> None:
    one = await made(client)
    await send(client, one)
    answer = await client.get(path(one), headers={"Accept": "text/csv"})
    assert answer.headers["content-type"].partition(";")[0] == "text/csv"
    assert answer.headers["content-disposition"] == f'attachment; filename="orders_{one}.csv"'
    assert answer.text == (
        "ClOrdID,Account,Symbol,Side,OrderQty,OrdType,TimeInForce\n"
        f"{one}-1,ACC-1,{BOND},BUY,302,MARKET,DAY\n"
        f"{one}-2,ACC-1,{TECH},BUY,399,MARKET,DAY\n"
    )
    assert (answer.headers["etag"], answer.headers["vary"]) == ('"2"', "Accept")
    await cancel(client, one)
    gone = await client.get(path(one), headers={"Accept": "text/csv"})
    assert gone.text == "ClOrdID,Account,Symbol,Side,OrderQty,OrdType,TimeInForce\n"


@pytest.mark.parametrize(
    ("accept", "csv"),
    [
        ("*/*", False),
        ("text/html, */*;q=0.1", False),
        ("application/json", False),
        ("text/csv;q=0", False),
        ("text/csv;q=0.5, application/json", False),
        ("Text/CSV; charset=utf-8; q=0.9, application/json;q=0.5, */*", True),
        ("text/csv;q=x", True),
        (";;,,", False),
    ],
)
async def test_what_is_wanted_is_what_accept_says(client: httpx2.AsyncClient, accept: str, csv: bool) -> None:
    one = await made(client)
    await send(client, one)
    answer = await client.get(path(one), headers={"Accept": accept})
    assert answer.headers["content-type"].startswith("text/csv" if csv else "application/json")
    is_problem(await client.get(path("x"), headers={"Accept": accept}), 404, "not-found")


async def test_refusals_are_problems_and_change_nothing(client: httpx2.AsyncClient, behind: Behind) -> None:
    one = await made(client)
    for missing in ("x", "0" * 24, "a%20b"):
        is_problem(await send(client, missing), 404, "not-found")
        is_problem(await cancel(client, missing), 404, "not-found")
        is_problem(await client.get(path(missing)), 404, "not-found")
    await client.post("/api/v1/portfolio/ACC-1/update", json=updating(trade("IN", "12.5", TECH, 1)))
    before = len(behind.log.events)
    problem = is_problem(await send(client, one, Idempotency_Key="k"), 409, "rule-violated")
    assert f"{TECH} (0 then, 12.5 now)" in problem["detail"]
    assert problem["instance"] == path(one)
    await client.put("/api/v1/portfolio/ACC-1/status", json={"status": "SUSPENDED"})
    assert "is SUSPENDED" in is_problem(await send(client, one), 409, "rule-violated")["detail"]
    assert (len(behind.log.events), behind.log.keys) == (before + 1, {})
    is_problem(await client.get(path(one), params={"at_least": 10**9}), 503, "projection-behind")
    is_problem(await client.get(path(one), params={"at_least": "x"}), 422, "invalid-request")


async def test_a_key_gives_the_first_answer_again(client: httpx2.AsyncClient) -> None:
    one = await made(client)
    first = await send(client, one, Idempotency_Key="k")
    await cancel(client, one)
    again = await send(client, one, Idempotency_Key="k")
    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    other = await send(client, one, Idempotency_Key="another")
    third = await send(client, one, Idempotency_Key="another")
    assert (other.status_code, third.status_code, third.content) == (200, 200, other.content)
    assert (other.json()["status"], third.headers["idempotency-replayed"]) == ("CANCELLED", "true")
    is_problem(await cancel(client, one, Idempotency_Key="k"), 422, "idempotency-key-reused")


async def test_a_condition_is_kept(client: httpx2.AsyncClient) -> None:
    one = await made(client)
    is_problem(await send(client, one, If_Match="*"), 404, "not-found")
    is_problem(await send(client, one, If_Match='"2"'), 412, "stale-version")
    is_problem(await send(client, one, If_Match="2"), 400, "malformed-if-match")
    version = (await send(client, one)).headers["etag"]
    assert (await client.get(path(one))).headers["etag"] == version
    is_problem(await cancel(client, one, If_Match='"1"'), 412, "stale-version")
    assert (await send(client, one, If_Match="*")).status_code == 200
    assert (await cancel(client, one, If_Match=version)).status_code == 200


async def test_a_rebalance_shows_its_orders_and_lists_do_not(client: httpx2.AsyncClient, behind: Behind) -> None:
    one = await made(client)
    plain = (await client.get(f"/api/v1/rebalances/{one}")).json()
    assert plain["orders"] is None
    await send(client, one)
    await fill(behind, f"{one}-1", "302", "99.5", 1, security_id=BOND)
    last = await fill(behind, f"{one}-2", "200", "150.35", 2, security_id=TECH)
    answer = await client.get(f"/api/v1/rebalances/{one}", params={"at_least": last})
    assert answer.headers["etag"] == '"1"'
    # 200 * 150.3383 are 30.06766 of 100,000, the target is 60
    assert answer.text.endswith(
        ',"orders":{"status":"OPEN","sent_at":"2025-06-21T10:00:00Z","ordered":2,"filled":1,"open":1,'
        '"largest_drift":29.9323}}'
    )
    assert {**answer.json(), "orders": None} == plain
    del plain["orders"]
    assert (await client.get("/api/v1/rebalances")).json() == [plain]
    is_problem(await client.get(f"/api/v1/rebalances/{one}", params={"at_least": 10**9}), 503, "projection-behind")
