"""What a rebalance is asked with: options, previews, conditions, versions."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.api.asking import is_problem, pointers
from tests.api.doubles import Behind
from tests.api.rebalancing import AWAY, BOND, TECH, market, model, rebalance


@pytest.mark.parametrize("text", ["", "yes", "True", "1"])
async def test_a_preview_that_is_misspelt_does_not_trade(client: httpx2.AsyncClient, behind: Behind, text: str) -> None:
    for path in ("portfolio/ACC-1", "model/5f1d7a0c2b9e4f6d8a3c1e07"):
        answer = await client.post(f"/api/v1/rebalance/{path}?preview={text}", json={"buy_onyl": True})
        assert pointers(is_problem(answer, 422, "invalid-request")) == ["preview", "/buy_onyl"]
    assert behind.log.events == []


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({"buy_onyl": True, "mode": "fast", "buy_only": "true"}, ["/mode", "/buy_only", "/buy_onyl"]),
        (
            {"min_cash": -1, "min_trade": "1e20", "lot_size": {TECH: 0}},
            ["/min_cash", "/min_trade", f"/lot_size/{TECH}"],
        ),
        ({"min_cash": {"percent": 101}}, ["/min_cash/percent"]),
        ({"min_cash": {"part": 1}}, ["/min_cash/percent", "/min_cash/part"]),
        ({"min_cash": None, "do_not_trade": "x"}, ["/min_cash", "/do_not_trade"]),
        ({"buy_only": True, "sell_only": True, "do_not_trade": [TECH, TECH]}, ["/sell_only", "/do_not_trade/1"]),
        ({"do_not_trade": [TECH], "lot_size": {TECH: 10}}, [f"/lot_size/{TECH}"]),
        ([], [""]),
    ],
)
async def test_options_that_do_not_fit_name_every_fault(
    client: httpx2.AsyncClient, behind: Behind, body: Any, places: list[str]
) -> None:
    for path in ("portfolio/ACC-1", f"model/{'0' * 24}"):
        answer = await client.post(f"/api/v1/rebalance/{path}", json=body)
        assert pointers(is_problem(answer, 422, "invalid-request")) == places
    assert behind.log.events == []


@pytest.mark.parametrize(
    ("option", "names"),
    [("do_not_trade", [f"S{i}" for i in range(300_000)]), ("lot_size", {f"S {i}": 0 for i in range(300_000)})],
)
async def test_an_option_that_names_far_too_many_is_told_by_their_number_alone(
    client: httpx2.AsyncClient, option: str, names: Any
) -> None:
    """Each of the names compared with all the others would take hours, in which nobody else is answered."""
    answer = await client.post("/api/v1/rebalance/portfolio/ACC-1", json={option: names})
    problem = is_problem(answer, 422, "invalid-request")
    detail = problem["errors"][0]["detail"]
    assert pointers(problem) == [f"/{option}"]
    assert "at most" in detail


@pytest.mark.parametrize(
    ("option", "value", "detail"),
    [
        ("mode", None, "null is not 'to_target', 'breached_only' or 'to_band'"),
        ("mode", True, "true is not 'to_target', 'breached_only' or 'to_band'"),
        ("mode", "fast", "'fast' is not 'to_target', 'breached_only' or 'to_band'"),
        ("buy_only", "true", "a text is not true or false"),
        ("buy_only", None, "null is not true or false"),
        ("do_not_trade", TECH, "a text is not an array"),
        ("do_not_trade", {}, "an object is not an array"),
        ("lot_size", [], "an array is not an object"),
        ("lot_size", 1.5, "1.5 is not an object"),
        ("min_trade", "1e999", "'1e999' is out of range"),
    ],
)
async def test_a_value_of_another_type_is_told_as_json_calls_it(
    client: httpx2.AsyncClient, option: str, value: Any, detail: str
) -> None:
    answer = await client.post("/api/v1/rebalance/portfolio/ACC-1", json={option: value})
    assert is_problem(answer, 422, "invalid-request")["errors"] == [{"pointer": f"/{option}", "detail": detail}]


async def test_options_reach_the_problem_exactly(client: httpx2.AsyncClient, behind: Behind) -> None:
    await market(client, "ACC-1")
    model_id = await model(client, "ACC-1")
    body = (
        '{"mode":"to_band","min_cash":{"percent":2.5},"sell_only":true,"min_trade":"0.10","lot_size":'
        f'{{"{TECH}":0.00000001}},"do_not_trade":["{BOND}"],"on_infeasible":"nearest"}}'
    )
    await client.post(f"/api/v1/rebalance/model/{model_id}?preview=true", content=body)
    options = behind.optimiser.asked[0].options
    assert (options.mode, options.on_infeasible, options.buy_only, options.sell_only) == (
        "to_band",
        "nearest",
        False,
        True,
    )
    assert [str(options.min_cash_percent), str(options.min_cash), str(options.min_trade)] == ["2.5", "0", "0.10"]
    assert (options.do_not_trade, {name: f"{lot:f}" for name, lot in options.lot_size.items()}) == (
        (BOND,),
        {TECH: "0.00000001"},
    )


async def test_a_security_that_is_neither_held_nor_modelled_is_a_slip(client: httpx2.AsyncClient) -> None:
    await market(client, "ACC-1")
    model_id = await model(client, "ACC-1")
    body = {"do_not_trade": [TECH, AWAY], "lot_size": {"X": 1}}
    answer = await rebalance(client, json=body)
    assert pointers(is_problem(answer, 422, "invalid-request")) == ["/do_not_trade/1", "/lot_size/X"]
    for query, headers in (("?preview=true", {}), ("", {}), ("", {"Prefer": "respond-async"})):
        whole = await client.post(f"/api/v1/rebalance/model/{model_id}{query}", json=body, headers=headers)
        assert pointers(is_problem(whole, 422, "invalid-request")) == ["/do_not_trade/1", "/lot_size/X"]


async def test_nothing_new_can_meet_a_condition(client: httpx2.AsyncClient) -> None:
    await market(client, "ACC-1")
    await model(client, "ACC-1")
    is_problem(await rebalance(client, headers={"If-Match": '"1"'}), 412, "stale-version")
    is_problem(await rebalance(client, headers={"If-Match": "*"}), 404, "not-found")


async def test_a_rebalance_is_deleted_by_its_version(client: httpx2.AsyncClient) -> None:
    await market(client, "ACC-1")
    await model(client, "ACC-1")
    rebalance_id = (await rebalance(client)).json()["rebalance_id"]
    path = f"/api/v1/rebalances/{rebalance_id}"
    is_problem(await client.delete(path), 428, "precondition-required")
    is_problem(await client.delete(f"{path}?version=x"), 422, "invalid-request")
    is_problem(await client.delete(f"{path}?version=2"), 409, "version-conflict")
    is_problem(await client.delete(path, headers={"If-Match": '"2"'}), 412, "stale-version")
    is_problem(await client.delete(f"{path}?version=2", headers={"If-Match": '"3"'}), 412, "stale-version")
    headers = {"If-Match": '"1"', "Idempotency-Key": "d"}
    gone = await client.delete(path, headers=headers)
    assert (gone.status_code, gone.content) == (204, b"")
    assert "content-type" not in gone.headers
    assert (await client.delete(path, headers=headers)).headers["idempotency-replayed"] == "true"
    is_problem(await client.delete(path, headers={"If-Match": '"1"'}), 404, "not-found")
    is_problem(await client.delete(f"{path}?version=1"), 404, "not-found")
    is_problem(await client.delete("/api/v1/rebalances/x%00?version=1"), 404, "not-found")
    is_problem(await client.get(path), 404, "not-found")


async def test_a_parameter_that_is_not_known_is_refused_before_anything_is_recorded(
    client: httpx2.AsyncClient, behind: Behind
) -> None:
    await market(client, "ACC-1")
    model_id = await model(client, "ACC-1")
    before = await behind.log.head()
    for path in ("portfolio/ACC-1", f"model/{model_id}"):
        answer = await client.post(f"/api/v1/rebalance/{path}?prewiew=true")
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["parameter"] == "prewiew"
    assert await behind.log.head() == before
