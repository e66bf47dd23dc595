"""Commands on investment models: rules with all faults at once, versions and conditions.

The way of a model from its making to its end stands byte for byte in ``tests/wire/002-models.http``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2
import pytest

from tests.api.asking import is_problem, pointers
from tests.api.doubles import Behind
from tests.api.modelling import MODELS, made, modelled, weighted
from tests.domain.models import BOND, GOLD, MODEL_ID, TECH, security


async def test_unknown_members_are_ignored_everywhere(client: httpx2.AsyncClient) -> None:
    path = await made(client, model_id="x", last_rebalance_date="x", positions=[weighted(ticker="T")])
    more = {"what": {"is": ["this"]}}
    bodies: list[tuple[str, str, dict[str, Any]]] = [
        ("PUT", path, modelled(version=1)),
        ("POST", f"{path}/positions", weighted(BOND, 1)),
        ("PUT", f"{path}/positions/{BOND}", weighted(BOND, 2)),
        ("POST", f"{path}/portfolios", {"portfolios": ["ACC-1"]}),
    ]
    for method, place, body in bodies:
        answer = await client.request(method, place, json=body | more)
        assert answer.status_code == 200, answer.text


FAULTS: list[tuple[Any, list[str]]] = [
    ({}, ["/name", "/positions", "/portfolios"]),
    ([], [""]),
    ({"name": None, "positions": {}, "portfolios": "x"}, ["/name", "/positions", "/portfolios"]),
    (modelled("x" * 201, portfolios=[]), ["/name", "/portfolios"]),
    (modelled("a\tb"), ["/name"]),
    (modelled(positions=[5, {}]), ["/positions/0"] + [f"/positions/1/{name}" for name in weighted()]),
    (modelled(positions=[weighted(target="x", low=101, high=None)]), [f"/positions/0/{n}" for n in [*weighted()][1:]]),
    (modelled(positions=[weighted(target=60.001), weighted(BOND, 0.0049)]), [f"/positions/{n}/target" for n in (0, 1)]),
    (modelled(positions=[weighted(TECH, 1), weighted(TECH, 2)]), ["/positions/1/security_id"]),
    (modelled(positions=[weighted("x"), weighted(), weighted(BOND), weighted()]), [
        "/positions/0/security_id", "/positions/3/security_id", "/positions"
    ]),
    (modelled(positions=[weighted(security(n), "0.5", 0, 0) for n in range(101)]), ["/positions"]),
    (modelled(positions=[weighted(security(n), 1, 0, 0) for n in range(101)]), ["/positions", "/positions"]),
    (modelled(positions=[weighted(security(n), 0, 0, 0) for n in range(1001)]), ["/positions"]),
    (modelled(positions=[weighted(low="0.0000001", high=2)]), ["/positions/0/low_drift"]),
    (modelled(positions=[weighted(low=3, high=2.999999)]), ["/positions/0/high_drift"]),
    (modelled(portfolios=["a", "", "a", 5, "b", "b"]), [f"/portfolios/{number}" for number in (1, 3, 2, 5)]),
]  # fmt: skip


@pytest.mark.parametrize(("body", "places"), FAULTS)
async def test_every_fault_of_a_model_is_told_at_once(
    client: httpx2.AsyncClient, behind: Behind, body: Any, places: list[str]
) -> None:
    assert pointers(is_problem(await client.post(MODELS, json=body), 422, "invalid-request")) == places
    assert behind.log.events == []
    path = await made(client)
    if isinstance(body, dict):
        problem = is_problem(await client.put(path, json={**body, "version": 1}), 422, "invalid-request")
        assert pointers(problem) == places


@pytest.mark.parametrize("version", [None, "1", 1.5, -1, True, 10**18, [1]])
async def test_a_version_is_a_whole_number(client: httpx2.AsyncClient, version: Any) -> None:
    path = await made(client)
    answer = await client.put(path, json=modelled(version=version))
    assert pointers(is_problem(answer, 422, "invalid-request")) == ["/version"]
    assert pointers(is_problem(await client.put(path, json=modelled()), 422, "invalid-request")) == ["/version"]


async def test_a_limit_of_what_is_taken(client: httpx2.AsyncClient) -> None:
    full = [weighted(security(number), "0.95", "0.000001", 100) for number in range(100)]
    answer = await client.post(MODELS, json=modelled("é" * 200, positions=[*full, weighted(GOLD, 0)]))
    assert len(answer.json()["positions"]) == 100
    answer = await client.post(MODELS, json=modelled("none", positions=[weighted(target=0.0)]))
    assert answer.json()["positions"] == []
    answer = await client.post(f"{MODELS}", json=modelled(" \u00a0日本 / x ", portfolios=["x" * 100, "A_.:-"]))
    assert answer.json()["name"] == "日本 / x"


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({}, ["/security_id", "/target", "/low_drift", "/high_drift"]),
        (weighted("short", 95.005, 3, 2), ["/security_id", "/target", "/high_drift"]),
        (weighted(BOND, 35.005), ["/target"]),
        (weighted(BOND, 1, version="x"), ["/version"]),
    ],
)
async def test_every_fault_of_a_position_is_told_at_once(
    client: httpx2.AsyncClient, body: dict[str, Any], places: list[str]
) -> None:
    path = await made(client)
    answer = await client.post(f"{path}/positions", json=body)
    assert pointers(is_problem(answer, 422, "invalid-request")) == places


async def test_a_position_of_the_path_is_the_one_of_the_body(client: httpx2.AsyncClient) -> None:
    path = await made(client)
    place = f"{path}/positions/{TECH}"
    other = await client.put(place, json=weighted(BOND))
    assert pointers(is_problem(other, 422, "invalid-request")) == ["/security_id"]
    changed = await client.put(place, json={"target": "0.005", "low_drift": 0, "high_drift": 1e1})
    assert changed.json()["positions"] == [weighted(TECH, 0.005, 0, 10)]
    gone = await client.put(place, json=weighted(TECH, 0))
    assert gone.json()["positions"] == []
    for missing in (TECH, "x", "%00"):
        answer = await client.put(f"{path}/positions/{missing}", json=weighted(missing, 1) | {"security_id": None})
        is_problem(answer, 404, "not-found")
        is_problem(await client.delete(f"{path}/positions/{missing}"), 404, "not-found")


async def test_a_position_that_is_there_is_not_added(client: httpx2.AsyncClient, behind: Behind) -> None:
    path = await made(client)
    is_problem(await client.post(f"{path}/positions", json=weighted(TECH, 1)), 409, "already-exists")
    dropped = await client.post(f"{path}/positions", json=weighted(BOND, 0))
    assert (dropped.status_code, dropped.headers["etag"], len(behind.log.events)) == (200, '"1"', 2)


async def test_portfolios_come_twice_and_go_twice_without_an_event(client: httpx2.AsyncClient) -> None:
    path = await made(client)
    for _ in range(2):
        answer = await client.post(f"{path}/portfolios", json={"portfolios": ["ACC-2", "ACC-1", "ACC-2"]})
        assert (answer.json()["portfolios"], answer.headers["etag"]) == (["ACC-1", "ACC-2"], '"2"')
    for _ in range(2):
        answer = await client.delete(f"{path}/portfolios/ACC-1")
        assert (answer.json()["portfolios"], answer.headers["etag"]) == (["ACC-2"], '"3"')
    is_problem(await client.delete(f"{path}/portfolios/ACC-2"), 422, "last-portfolio")
    nobody: list[dict[str, Any]] = [{"portfolios": []}, {"portfolios": ["no id"]}, {}]
    for body in nobody:
        is_problem(await client.post(f"{path}/portfolios", json=body), 422, "invalid-request")


CHANGES: list[tuple[str, str, dict[str, Any] | None]] = [
    ("PUT", "", modelled("Other")),
    ("DELETE", "", None),
    ("POST", "/positions", weighted(BOND, 1)),
    ("PUT", f"/positions/{TECH}", weighted(TECH, 1)),
    ("DELETE", f"/positions/{TECH}", None),
    ("POST", "/portfolios", {"portfolios": ["ACC-3"]}),
    ("DELETE", "/portfolios/ACC-2", None),
]
"""Every command on a model, which is at version 2 and followed by ACC-1 and ACC-2."""


@pytest.mark.parametrize(("method", "place", "body"), CHANGES)
async def test_every_command_keeps_its_version_and_condition_if_match_first(
    client: httpx2.AsyncClient, behind: Behind, method: str, place: str, body: dict[str, Any] | None
) -> None:
    path = await made(client)
    await client.post(f"{path}/portfolios", json={"portfolios": ["ACC-2"]})

    async def ask(version: int | None, headers: Mapping[str, str], to: str = path) -> httpx2.Response:
        versioned = {} if version is None else {"version": version}
        if body is None:
            return await client.request(method, to + place, headers=headers, params=versioned)
        return await client.request(method, to + place, headers=headers, json=body | versioned)

    before = len(behind.log.events)
    refused: list[tuple[int, dict[str, str], int, str]] = [
        (1, {}, 409, "version-conflict"),
        (0, {"If-Match": "*"}, 409, "version-conflict"),
        (1, {"If-Match": '"2"'}, 409, "version-conflict"),
        (1, {"If-Match": '"1"'}, 412, "stale-version"),
        (2, {"If-Match": '"x"'}, 412, "stale-version"),
        (2, {"If-Match": "2"}, 400, "malformed-if-match"),
    ]
    for version, headers, status, code in refused:
        answer = await ask(version, headers)
        is_problem(answer, status, code)
        assert answer.headers.get("etag") == ('"2"' if status != 400 else None)
    for missing in (f"{MODELS}/{MODEL_ID}", f"{MODELS}/x", f"{MODELS}/%00", f"{path[:-1]}G"):
        for condition in ("*", '"1"', '"2"'):
            is_problem(await ask(2, {"If-Match": condition}, missing), 404, "not-found")
    assert len(behind.log.events) == before
    done = await ask(2, {"If-Match": '"2"'})
    assert done.status_code == (204 if (method, place) == ("DELETE", "") else 200), done.text
    assert done.headers["x-position"] == str(len(behind.log.events))
    if done.status_code == 200:
        assert (done.headers["etag"], done.json()["version"]) == ('"3"', 3)
        assert (await client.get(path)).content == done.content


async def test_a_condition_on_a_new_model_is_never_met(client: httpx2.AsyncClient) -> None:
    is_problem(await client.post(MODELS, json=modelled(), headers={"If-Match": "*"}), 404, "not-found")
    is_problem(await client.post(MODELS, json=modelled(), headers={"If-Match": '"1"'}), 412, "stale-version")


async def test_a_deleted_model_is_gone_and_its_name_free(client: httpx2.AsyncClient) -> None:
    path = await made(client)
    gone = await client.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    assert not {"etag", "content-type", "content-length"} & set(gone.headers)
    is_problem(await client.get(path), 404, "not-found")
    is_problem(await client.delete(path), 404, "not-found")
    assert (await client.get(MODELS)).headers["x-total-count"] == "0"
    assert await made(client) != path


async def test_a_key_gives_the_same_model_again(client: httpx2.AsyncClient, behind: Behind) -> None:
    headers = {"Idempotency-Key": "k"}
    first = await client.post(MODELS, json=modelled(), headers=headers)
    await client.delete(first.headers["location"])
    again = await client.post(MODELS, json=modelled(), headers=headers)
    assert (again.status_code, again.content) == (201, first.content)
    for name in ("location", "etag", "x-position"):
        assert again.headers[name] == first.headers[name]
    assert again.headers["idempotency-replayed"] == "true"
    is_problem(await client.post(MODELS, json=modelled("Other"), headers=headers), 422, "idempotency-key-reused")
    path = await made(client)
    told = [await client.delete(path, headers={"Idempotency-Key": "d"}) for _ in range(2)]
    assert [(gone.status_code, gone.content) for gone in told] == [(204, b"")] * 2
    assert told[1].headers["idempotency-replayed"] == "true"
    assert len(behind.log.events) == 8


async def test_a_version_in_a_query_is_a_number(client: httpx2.AsyncClient) -> None:
    path = await made(client)
    for place in ("", f"/positions/{TECH}", "/portfolios/ACC-1"):
        answer = await client.delete(f"{path}{place}?version=1.0")
        assert pointers(is_problem(answer, 422, "invalid-request")) == ["version"]
