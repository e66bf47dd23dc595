"""The queries on rebalances: one, a part of all, those of portfolios, a run that goes on, and the check of one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from domain.base import Event
from domain.rebalance import (
    Explanation,
    Failure,
    Fix,
    Obstacle,
    Reason,
    RebalanceDeleted,
    RebalanceRecorded,
)
from tests.api.asking import is_problem, pointers
from tests.api.doubles import Behind
from tests.projections.rebalancing import BOND, GOLD, MODEL, NOW, TECH, a_rebalance, a_run, failure, run_id, whole
from write_side.log import Context

REBALANCES = "/api/v1/rebalances"
OPERATIONS = "/api/v1/operations"


async def recorded(behind: Behind, events: Sequence[Event]) -> list[str]:
    """Put these events into the log; return the ids of the rebalances among them."""
    await behind.log.append(events, Context(command_id=uuid4(), actor="tester", correlation_id="c"))
    return [event.originator_id.split("/")[1] for event in events if isinstance(event, RebalanceRecorded)]


async def ids(client: httpx2.AsyncClient, **params: Any) -> list[str]:
    answer = await client.get(REBALANCES, params=params)
    assert answer.status_code == 200, answer.text
    return [each["rebalance_id"] for each in answer.json()]


async def test_a_rebalance_is_shown_exactly(client: httpx2.AsyncClient, behind: Behind) -> None:
    run = a_run()
    rebalance = a_rebalance(run, "ACC-1", "100000.005", {GOLD: "0.5", TECH: "400.25"})
    await recorded(behind, [*run.collect_events(), *rebalance.collect_events()])
    answer = await client.get(f"{REBALANCES}/{rebalance.rebalance_id}", params={"at_least": 3})
    assert (answer.status_code, answer.headers["etag"]) == (200, '"1"')
    shown = json.loads(answer.text, parse_float=Decimal, parse_int=Decimal)
    worth = Decimal("100000.005") + Decimal("0.5") * Decimal("0.00012345") + Decimal("400.25") * Decimal("150.3383")
    assert shown["market_value"] == round(worth, 2)
    assert answer.text.startswith(
        f'{{"portfolio_id":"ACC-1","portfolio_name":"Portfolio ACC-1","rebalance_id":"{rebalance.rebalance_id}",'
        '"market_value":160172.91,"cash_before":100000.00,"cash_after":16048.24,'
    )
    assert [(each["transaction_type"], each["security_id"], each["quantity"]) for each in shown["transactions"]] == [
        ("SELL", GOLD, Decimal("0.5")),
        ("BUY", BOND, Decimal(483)),
        ("BUY", TECH, Decimal("238.75")),
    ]
    assert {each["security_id"]: each["actual"] for each in shown["drifts"]} == {
        BOND: Decimal("30.0041"),
        GOLD: 0,
        TECH: Decimal("59.9765"),
    }
    assert (shown["model_id"], shown["model_version"], shown["run_id"]) == (MODEL, 3, run_id(1))
    assert (shown["created_at"], shown["version"], shown["certificate"]["status"]) == (
        "2025-06-21T10:00:00Z",
        1,
        "OPTIMAL",
    )


async def test_a_part_is_listed_newest_first_with_the_count_of_all(client: httpx2.AsyncClient, behind: Behind) -> None:
    made: list[str] = []
    for number in range(1, 13):
        made += await recorded(behind, whole(number, ("A", "B")))
    newest = made[::-1]
    first = await client.get(REBALANCES)
    assert first.headers["x-total-count"] == "24"
    assert [each["rebalance_id"] for each in first.json()] == newest[:10]
    assert await ids(client, offset=20) == newest[20:]
    assert await ids(client, offset=1, limit=3) == newest[1:4]
    assert await ids(client, limit=100) == newest
    beyond = await client.get(REBALANCES, params={"offset": 24})
    assert (beyond.text, beyond.headers["x-total-count"]) == ("[]", "24")


async def test_nothing_is_an_empty_list(client: httpx2.AsyncClient) -> None:
    answer = await client.get(REBALANCES)
    assert (answer.status_code, answer.text, answer.headers["x-total-count"]) == (200, "[]", "0")


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("limit=0", ["limit"]),
        ("limit=101", ["limit"]),
        ("limit=x&offset=-1", ["offset", "limit"]),
        ("offset=1e3", ["offset"]),
        ("offset=99999999999999999", ["offset"]),
        ("offset=&at_least=x", ["offset", "at_least"]),
    ],
)
async def test_a_query_that_does_not_fit_names_every_parameter(
    client: httpx2.AsyncClient, query: str, places: list[str]
) -> None:
    assert pointers(is_problem(await client.get(f"{REBALANCES}?{query}"), 422, "invalid-request")) == places


async def test_all_rebalances_of_portfolios_are_found(client: httpx2.AsyncClient, behind: Behind) -> None:
    a1, b1, _ = await recorded(behind, whole(2, ("A", "B", "C")))
    a2, c2 = await recorded(behind, whole(3, ("A", "C")))
    for portfolios, found in (
        (["A"], [a2, a1]),
        (["B", "A", "A", "NONE"], [a2, b1, a1]),
        ([], []),
        (["\x00", "x" * 300], []),
    ):
        body = json.dumps({"portfolios": portfolios, "ours": 1})
        answer = await client.post(f"{REBALANCES}/search", content=body)
        assert answer.status_code == 200, answer.text
        assert [each["rebalance_id"] for each in answer.json()] == found
        assert answer.headers["x-total-count"] == str(len(found))
    assert c2 not in found


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({}, ["/portfolios"]),
        ({"portfolios": "A"}, ["/portfolios"]),
        ({"portfolios": None}, ["/portfolios"]),
        ({"portfolios": ["A", 1, None]}, ["/portfolios/1", "/portfolios/2"]),
        ([], [""]),
        ({"portfolios": ["A"] * 10_001}, ["/portfolios"]),
    ],
)
async def test_a_search_that_does_not_fit_names_every_place(
    client: httpx2.AsyncClient, body: Any, places: list[str]
) -> None:
    problem = is_problem(await client.post(f"{REBALANCES}/search", json=body), 422, "invalid-request")
    assert pointers(problem) == places


async def test_a_search_without_json_is_refused(client: httpx2.AsyncClient) -> None:
    is_problem(await client.post(f"{REBALANCES}/search", content=b"{"), 400, "not-json")
    is_problem(await client.post(f"{REBALANCES}/search"), 400, "not-json")


async def test_the_search_takes_nothing_but_post(client: httpx2.AsyncClient) -> None:
    refused = await client.put(f"{REBALANCES}/search", json={"portfolios": []})
    is_problem(refused, 405, "method-not-allowed")
    assert refused.headers["allow"] == "POST"
    assert "GET" in (await client.put(f"{REBALANCES}/searched")).headers["allow"]


async def test_what_is_not_there_is_404(client: httpx2.AsyncClient, behind: Behind) -> None:
    [made] = await recorded(behind, whole(1, ("A",)))
    for missing in ("none", "f" * 24, run_id(1), "%00", "search", "a%20b"):
        for path in (f"{REBALANCES}/{missing}", f"{REBALANCES}/{missing}/verification"):
            is_problem(await client.get(path), 404, "not-found")
    for missing in ("none", made, run_id(1), run_id(2)):
        is_problem(await client.get(f"{OPERATIONS}/{missing}"), 404, "not-found")
    deleted = RebalanceDeleted(originator_id=f"rebalance/{made}", originator_version=2, timestamp=NOW)
    await recorded(behind, [deleted])
    assert await ids(client) == []
    for path in (f"{REBALANCES}/{made}", f"{REBALANCES}/{made}/verification"):
        is_problem(await client.get(path), 404, "not-found")


async def test_every_query_waits_for_its_position(client: httpx2.AsyncClient, behind: Behind) -> None:
    [made] = await recorded(behind, whole(1, ("A",), asynchronous=True))
    for path in ("", f"/{made}", f"/{made}/verification"):
        for headers, params in (({"X-Min-Position": "5"}, {}), ({}, {"at_least": "5"})):
            behindhand = await client.get(f"{REBALANCES}{path}", headers=headers, params=params)
            is_problem(behindhand, 503, "projection-behind")
            assert behindhand.headers["retry-after"]
    is_problem(await client.get(f"{OPERATIONS}/{run_id(1)}?at_least=5"), 503, "projection-behind")
    searched = await client.post(f"{REBALANCES}/search?at_least=5", json={"portfolios": []})
    is_problem(searched, 503, "projection-behind")


async def test_an_operation_tells_how_far_it_is_and_what_has_failed(client: httpx2.AsyncClient, behind: Behind) -> None:
    run = a_run(portfolios=("A", "B", "C"), asynchronous=True)
    await recorded(behind, run.collect_events())
    path = f"{OPERATIONS}/{run.run_id}"
    begun = {
        "operation_id": run.run_id,
        "status": "RUNNING",
        "model_id": MODEL,
        "model_version": 3,
        "requested_at": "2025-06-21T10:00:00Z",
        "total": 3,
        "done": 0,
        "failed": 0,
        "errors": [],
        "rebalances": [],
    }
    assert (await client.get(path)).json() == begun
    [made] = await recorded(behind, a_rebalance(run, "A").collect_events())
    assert (await client.get(path)).json() == {**begun, "done": 1, "rebalances": [made]}
    obstacle = Obstacle(
        security_id=TECH,
        price=Decimal("150.3383"),
        held=Decimal(0),
        target=Decimal(60),
        low_drift=Decimal("0.01"),
        high_drift=Decimal(0),
        min_shares=Decimal(2),
        max_shares=Decimal(1),
        reason=Reason.BAND_NARROWER_THAN_ONE_SHARE,
        fixes=(Fix(set={"low_drift": Decimal("20.123456")}, gives_quantity=Decimal(1)), Fix(drop=("buy_only",))),
    )
    explained = Explanation(securities=(obstacle,), short_by=Decimal("12.345"))
    infeasible = Failure("C", "no-feasible-solution", "no quantities fit", (TECH,), explained)
    odd = Failure("D", "nothing-known", "odd")
    run.finish((failure("B"), infeasible, odd, Failure("E", "no-feasible-solution", "no quantities fit")), NOW)
    await recorded(behind, run.collect_events())
    done = await client.get(path)
    shown = done.json()
    assert (shown["status"], shown["done"], shown["failed"], shown["rebalances"]) == ("DONE", 1, 4, [made])
    unknown, narrow, strange, left_out = shown["errors"]
    assert unknown == {
        "portfolio_id": "B",
        "error": {
            "type": "/problems/not-found",
            "title": "There is no such thing",
            "status": 404,
            "detail": "portfolio B does not exist",
            "instance": path,
            "code": "not-found",
        },
    }
    assert (narrow["portfolio_id"], narrow["error"]["code"]) == ("C", "no-feasible-solution")
    assert '"price":150.3383,"held":0,"target":60,"low_drift":0.01,' in done.text
    assert '"fixes":[{"set":{"low_drift":20.123456},"gives_quantity":1},{"drop":["buy_only"]}]' in done.text
    assert '"short_by":12.34}' in done.text
    assert (strange["error"]["status"], strange["error"]["code"]) == (500, "internal-error")
    assert "explained_by" not in narrow["error"]
    assert (left_out["error"]["securities"], left_out["error"]["explained_by"]) == (
        [],
        f"POST /api/v1/rebalance/portfolio/E?model_id={MODEL}&preview=true",
    )


async def test_a_rebalance_is_checked_from_the_log(client: httpx2.AsyncClient, behind: Behind) -> None:
    [made] = await recorded(behind, whole(1, ("A",)))
    path = f"{REBALANCES}/{made}/verification"
    holds = await client.get(path, params={"at_least": 4})
    assert holds.json() == {"rebalance_id": made, "valid": True, "faults": [], "checked_at_position": 4}
    event = behind.log.events[2]
    assert isinstance(event, RebalanceRecorded)
    behind.log.events[2] = replace(event, quantities={**event.quantities, TECH: Decimal(1)})
    altered = (await client.get(path)).json()
    assert altered["valid"] is False
    assert any("below-band" in fault for fault in altered["faults"])
