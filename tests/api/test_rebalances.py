"""The commands on rebalances: what is answered, recorded, refused, and answered again."""

from __future__ import annotations

import httpx2

from api.numbers import loads
from domain.errors import Unavailable
from domain.rebalance import RebalanceRecorded, RebalanceRunFinished, RebalanceRunPriced, RebalanceRunRequested
from tests.api.asking import is_problem, pricing, trade, updating
from tests.api.doubles import Behind
from tests.api.rebalancing import AWAY, BOND, TECH, market, model, rebalance


async def test_a_portfolio_is_rebalanced_and_recorded(client: httpx2.AsyncClient, behind: Behind) -> None:
    await market(client, "ACC-1")
    model_id = await model(client, "ACC-1")
    before = len(behind.log.events)
    answer = await rebalance(client)
    assert answer.status_code == 200, answer.text
    assert (answer.headers["etag"], answer.headers["x-position"]) == ('"1"', str(before + 4))
    requested, priced, finished, recorded = behind.log.events[before:]
    assert isinstance(requested, RebalanceRunRequested)
    assert isinstance(priced, RebalanceRunPriced)
    assert isinstance(recorded, RebalanceRecorded)
    assert isinstance(finished, RebalanceRunFinished)
    assert [requested.portfolios, requested.asynchronous, finished.failures] == [("ACC-1",), False, ()]
    assert (priced.price_position, priced.source) == (before, "price book")
    shown = answer.json()
    assert list(shown) == [
        "portfolio_id", "portfolio_name", "rebalance_id", "market_value", "cash_before", "cash_after", "transactions",
        "drifts", "model_id", "model_version", "run_id", "created_at", "version", "certificate",
    ]  # fmt: skip
    assert shown["model_id"] == model_id
    assert shown["run_id"] == requested.originator_id.partition("/")[2]
    assert '"market_value":100000.00,"cash_before":100000.00,"cash_after":9966.02,' in answer.text
    assert shown["transactions"] == [
        {
            "transaction_type": "BUY",
            "security_id": security_id,
            "quantity": quantity,
            "price": price,
            "trade_date": "2025-06-21",
        }
        for security_id, quantity, price in ((BOND, 302, 99.5), (TECH, 399, 150.3383))
    ]
    assert [(row["security_id"], row["actual"]) for row in shown["drifts"]] == [(BOND, 30.049), (TECH, 59.985)]
    assert shown["certificate"]["status"] == "OPTIMAL"
    read = await client.get(f"/api/v1/rebalances/{shown['rebalance_id']}")
    assert read.content == answer.content[:-1] + b',"orders":null}'


async def test_the_trade_date_is_that_of_new_york(client: httpx2.AsyncClient, behind: Behind) -> None:
    await market(client, "ACC-1")
    await model(client, "ACC-1")
    behind.now = behind.now.replace(day=22, hour=3, minute=59)
    answer = await rebalance(client)
    assert {each["trade_date"] for each in answer.json()["transactions"]} == {"2025-06-21"}


async def test_what_is_held_outside_the_model_is_sold_first(client: httpx2.AsyncClient) -> None:
    await market(client, "ACC-1")
    await model(client, "ACC-1")
    sold = updating(trade("BUY", "10.5", AWAY, 10))
    await client.post("/api/v1/portfolio/ACC-1/update", json=sold)
    shown = loads((await rebalance(client)).content)
    assert [each["transaction_type"] for each in shown["transactions"]] == ["SELL", "BUY", "BUY"]
    assert str(shown["transactions"][0]["quantity"]) == "10.5"
    assert [row["security_id"] for row in shown["drifts"]] == [AWAY, BOND, TECH]


async def test_a_preview_records_nothing(client: httpx2.AsyncClient, behind: Behind) -> None:
    await market(client, "ACC-1")
    model_id = await model(client, "ACC-1")
    before = len(behind.log.events)
    for path in ("portfolio/ACC-1", f"model/{model_id}"):
        answer = await client.post(
            f"/api/v1/rebalance/{path}?preview=true", headers={"Idempotency-Key": "k", "Prefer": "respond-async"}
        )
        assert answer.status_code == 200
        shown = answer.json()[0] if path.startswith("model") else answer.json()
        assert (shown["rebalance_id"], shown["run_id"], shown["version"]) == (None, None, None)
        assert len(shown["transactions"]) == 2
        assert answer.headers["x-position"] == str(before)
        assert "etag" not in answer.headers
    assert len(behind.log.events) == before
    assert behind.log.keys == {}
    assert (await rebalance(client, headers={"Idempotency-Key": "k"})).json()["rebalance_id"]


async def test_which_model(client: httpx2.AsyncClient) -> None:
    await market(client, "ACC-1", "ACC-2")
    is_problem(await rebalance(client, "NONE"), 404, "not-found")
    is_problem(await rebalance(client, "a%20b"), 404, "not-found")
    is_problem(await rebalance(client), 404, "no-model")
    first = await model(client, "ACC-1", "NONE")
    second = await model(client, "ACC-1", name="Income", tech=20)
    ambiguous = is_problem(await rebalance(client), 409, "ambiguous-model")
    assert first in ambiguous["detail"]
    assert second in ambiguous["detail"]
    named = await rebalance(client, params={"model_id": second})
    assert (named.status_code, named.json()["model_id"]) == (200, second)
    is_problem(await rebalance(client, "NONE"), 404, "not-found")
    is_problem(await rebalance(client, "ACC-2", params={"model_id": second}), 404, "no-model")
    is_problem(await rebalance(client, params={"model_id": "0" * 24}), 404, "not-found")
    is_problem(await rebalance(client, params={"model_id": "../x\0"}), 404, "not-found")
    await client.delete(f"/api/v1/models/{first}")
    assert (await rebalance(client)).json()["model_id"] == second
    is_problem(await client.post(f"/api/v1/rebalance/model/{first}"), 404, "not-found")


async def test_refusals_of_a_portfolio_in_their_order_change_nothing(
    client: httpx2.AsyncClient, behind: Behind
) -> None:
    await market(client, "ACC-1", "ACC-2", cash=0)
    await model(client, "ACC-1", "ACC-2")
    await client.post("/api/v1/portfolio/ACC-1/update", json=updating(trade("IN", 5, AWAY, 0)))
    await client.post("/api/v1/portfolio/ACC-1/update", json=updating(trade("IN", 5, "X", 0)))
    before = len(behind.log.events)
    problem = is_problem(await rebalance(client), 422, "missing-price")
    assert problem["securities"] == [AWAY, "X"]
    assert len(behind.log.events) == before
    await client.post("/api/v1/portfolio/ACC-1/update", json=updating(trade("SHORT", 5, BOND, 99.5)))
    assert is_problem(await rebalance(client), 422, "short-holding")["securities"] == [BOND]
    empty = await rebalance(client, "ACC-2")
    assert (empty.status_code, empty.json()["transactions"], empty.json()["market_value"]) == (200, [], 0)
    await client.post("/api/v1/portfolio/ACC-2/update", json=updating(trade("FEE", 1)))
    is_problem(await rebalance(client, "ACC-2"), 422, "non-positive-market-value")


async def test_what_fits_no_band_is_told_with_its_securities(client: httpx2.AsyncClient) -> None:
    await market(client, "ACC-1", cash=100)
    await model(client, "ACC-1")
    problem = is_problem(await rebalance(client), 422, "no-feasible-solution")
    assert problem["title"] == "no feasible solution exists"
    assert [each["security_id"] for each in problem["securities"]] == [BOND, TECH]
    assert problem["securities"][1] == {
        "security_id": TECH,
        "price": 150.3383,
        "held": 0,
        "target": 60,
        "low_drift": 5,
        "high_drift": 5,
        "min_shares": 1,
        "max_shares": 0,
        "reason": "band-narrower-than-one-share",
        "fixes": [],
    }


async def test_a_model_answers_one_for_each_portfolio_in_its_order(client: httpx2.AsyncClient, behind: Behind) -> None:
    await market(client, "ACC-1", "ACC-2", "POOR")
    await client.post("/api/v1/portfolio/POOR/update", json=updating(trade("WD", "99900")))
    model_id = await model(client, "ACC-2", "NONE", "POOR", "ACC-1")
    before = len(behind.log.events)
    answer = await client.post(f"/api/v1/rebalance/model/{model_id}", content=b"")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-length"] == str(len(answer.content))
    assert "etag" not in answer.headers
    good, unknown, poor, other = answer.json()
    assert [good["portfolio_id"], other["portfolio_id"]] == ["ACC-2", "ACC-1"]
    assert (unknown["portfolio_id"], poor["portfolio_id"]) == ("NONE", "POOR")
    assert unknown["error"] == (await rebalance(client, "NONE")).json()
    assert poor["error"] == (await rebalance(client, "POOR")).json()
    assert poor["error"]["code"] == "no-feasible-solution"
    assert [type(event) for event in behind.log.events[before:]] == [
        RebalanceRunRequested,
        RebalanceRunPriced,
        RebalanceRunFinished,
        RebalanceRecorded,
        RebalanceRecorded,
    ]
    assert len({good["run_id"], other["run_id"]}) == 1


async def test_a_run_without_any_result_is_recorded(client: httpx2.AsyncClient, behind: Behind) -> None:
    model_id = await model(client, "NONE")
    await market(client)
    answer = await client.post(f"/api/v1/rebalance/model/{model_id}")
    assert [each["error"]["code"] for each in answer.json()] == ["not-found"]
    finished = behind.log.events[-1]
    assert isinstance(finished, RebalanceRunFinished)
    assert [each.portfolio_id for each in finished.failures] == ["NONE"]


async def test_the_same_key_gives_the_same_rebalances_again(client: httpx2.AsyncClient, behind: Behind) -> None:
    await market(client, "ACC-1", "ACC-2")
    model_id = await model(client, "ACC-1", "NONE", "ACC-2")
    for path, key in ((f"model/{model_id}", "m"), ("portfolio/ACC-1", "p")):
        headers = {"Idempotency-Key": key}
        first = await client.post(f"/api/v1/rebalance/{path}", headers=headers)
        shown = first.json()[0] if key == "m" else first.json()
        await client.delete(f"/api/v1/rebalances/{shown['rebalance_id']}?version=1")
        before = len(behind.log.events)
        await client.post("/api/v1/prices", json=pricing({TECH: 1}))
        again = await client.post(f"/api/v1/rebalance/{path}", headers=headers)
        assert again.content == first.content
        assert again.headers["idempotency-replayed"] == "true"
        assert {name: again.headers.get(name) for name in ("x-position", "etag")} == {
            name: first.headers.get(name) for name in ("x-position", "etag")
        }
        assert len(behind.log.events) == before + 1
        other = await client.post(f"/api/v1/rebalance/{path}?preview=true", headers=headers)
        is_problem(other, 422, "idempotency-key-reused")
        assert len(behind.log.keys["anonymous", key].answer.body) < 60


async def test_later_is_202_and_the_run_is_in_the_log(client: httpx2.AsyncClient, behind: Behind) -> None:
    await market(client, "ACC-1")
    model_id = await model(client, "ACC-1", "ACC-2")
    headers = {"Prefer": "wait=1, Respond-Async; x=1", "Idempotency-Key": "k"}
    answer = await client.post(f"/api/v1/rebalance/model/{model_id}", headers=headers, json={"min_cash": 5})
    assert answer.status_code == 202
    requested = behind.log.events[-1]
    assert isinstance(requested, RebalanceRunRequested)
    assert requested.asynchronous
    run_id = requested.originator_id.partition("/")[2]
    position = len(behind.log.events)
    assert answer.headers["location"] == f"/api/v1/operations/{run_id}?at_least={position}"
    assert answer.headers["preference-applied"] == "respond-async"
    assert answer.text == (
        f'{{"operation_id":"{run_id}","status":"RUNNING","total":2,"done":0,"failed":0,"position":{position}}}'
    )
    again = await client.post(f"/api/v1/rebalance/model/{model_id}", headers=headers, json={"min_cash": 5})
    assert (again.status_code, again.content) == (202, answer.content)
    assert again.headers["location"] == answer.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    assert len(behind.log.events) == position
    assert (await client.get(answer.headers["location"])).json()["status"] == "RUNNING"


async def test_a_port_that_is_away_is_503_and_nothing_happened(client: httpx2.AsyncClient, behind: Behind) -> None:
    await market(client, "ACC-1")
    model_id = await model(client, "ACC-1")
    before = len(behind.log.events)
    behind.optimiser.failure = Unavailable("the optimiser is away")
    for path in ("portfolio/ACC-1", f"model/{model_id}"):
        is_problem(await client.post(f"/api/v1/rebalance/{path}"), 503, "unavailable")
    assert len(behind.log.events) == before
