"""Models as they are read: lists in any order and parts, and the last rebalance in every answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx2
import pytest

from domain.errors import NotYet, StoreUnavailable
from tests.api.asking import is_problem, pointers
from tests.api.doubles import Behind
from tests.api.memory_log import NOW
from tests.api.modelling import MODELS, made, modelled, weighted
from tests.domain.models import BOND, MODEL_ID, rebalanced


def note(behind: Behind, path: str, days: int = 0) -> int:
    """Let the model have been rebalanced; return the position."""
    event = rebalanced(path.rpartition("/")[2], NOW + timedelta(days=days), len(behind.log.events))
    behind.log.events.append(event)
    behind.log.times.append(NOW)
    behind.signals.hear_head(len(behind.log.events))
    return len(behind.log.events)


async def test_a_rebalance_shows_in_every_answer_and_moves_no_version(
    client: httpx2.AsyncClient, behind: Behind
) -> None:
    path = await made(client)
    head = note(behind, path, 1)
    read = await client.get(path, params={"at_least": head})
    assert (read.json()["last_rebalance_date"], read.headers["etag"]) == ("2025-06-22T10:00:00Z", '"1"')
    for place, body in (("positions", weighted(BOND, 1)), ("portfolios", {"portfolios": ["ACC-2"]})):
        answer = await client.post(f"{path}/{place}", json=body)
        assert answer.json()["last_rebalance_date"] == "2025-06-22T10:00:00Z"
    note(behind, path, 2)
    answer = await client.put(path, json=modelled("Other", version=3), headers={"If-Match": '"3"'})
    assert (answer.json()["last_rebalance_date"], answer.json()["version"]) == ("2025-06-23T10:00:00Z", 4)


async def test_an_answer_does_not_wait_for_ever_for_a_rebalance(
    client: httpx2.AsyncClient, behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await made(client)
    asked = []

    async def behind_it(view: Any, position: int, wait: float) -> None:
        asked.append((position, wait))
        if position:
            raise NotYet("investment_models", position, 0)

    monkeypatch.setattr(behind.views, "wait_for", behind_it)
    answer = await client.post(f"{path}/portfolios", json={"portfolios": ["ACC-2"]})
    assert (answer.status_code, answer.json()["last_rebalance_date"]) == (200, None)
    assert [position for position, _ in asked] == [2, 0]
    assert asked[0][1] <= 0.5


async def test_what_cannot_be_read_before_a_command_has_changed_nothing(
    client: httpx2.AsyncClient, behind: Behind
) -> None:
    path = await made(client)
    behind.views.failure = StoreUnavailable("the database is away")
    is_problem(await client.post(f"{path}/portfolios", json={"portfolios": ["ACC-2"]}), 503, "store-unavailable")
    assert len(behind.log.events) == 2


async def test_models_are_listed_in_parts_in_any_order(client: httpx2.AsyncClient, behind: Behind) -> None:
    paths = [await made(client, name) for name in ("b", "B", "a", "ä")]
    for path, days in ((paths[0], 2), (paths[2], 1), (paths[3], 2)):
        note(behind, path, days)

    async def names(query: str) -> str:
        answer = await client.get(f"{MODELS}?{query}")
        assert (answer.status_code, answer.headers["x-total-count"]) == (200, "4"), answer.text
        return " ".join(model["name"] for model in answer.json())

    ids = sorted("bBaä", key=lambda name: paths["bBaä".index(name)])
    for query, expected in [
        ("", "B a b ä"),
        ("sort_by=-name", "ä b a B"),
        ("sort_by=%2Bname", "B a b ä"),
        ("sort_by=+name", "B a b ä"),
        ("sort_by=name&offset=1&limit=2", "a b"),
        ("offset=4", ""),
        ("sort_by=last_rebalance_date,-name", "a ä b B"),
        ("sort_by=-last_rebalance_date,+name", "b ä a B"),
        ("sort_by=model_id", " ".join(ids)),
        ("sort_by=-model_id,name", " ".join(reversed(ids))),
    ]:
        assert await names(query) == expected, query


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("limit=0", ["limit"]),
        ("limit=1001", ["limit"]),
        ("offset=-1&limit=x", ["offset", "limit"]),
        ("offset=1.0", ["offset"]),
        ("sort_by=", ["sort_by"]),
        ("sort_by=Name", ["sort_by"]),
        ("sort_by=name,", ["sort_by"]),
        ("sort_by=version,--name&offset=9999999999999999", ["offset", "sort_by", "sort_by"]),
        ("at_least=x&limit=0", ["limit", "at_least"]),
    ],
)
async def test_a_list_that_cannot_be_names_every_parameter(
    client: httpx2.AsyncClient, query: str, places: list[str]
) -> None:
    problem = is_problem(await client.get(f"{MODELS}?{query}"), 422, "invalid-request")
    assert pointers(problem) == places
    if query.startswith("sort_by=version"):
        assert "'version' is not one of model_id, name, last_rebalance_date" in problem["detail"]


async def test_a_query_waits_for_its_position(client: httpx2.AsyncClient) -> None:
    await made(client)
    for place in (MODELS, f"{MODELS}/{MODEL_ID}"):
        answer = await client.get(place, params={"at_least": 3}, headers={"Prefer": "wait=0"})
        is_problem(answer, 503, "projection-behind")
