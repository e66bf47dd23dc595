"""The routes of work that follows the log: what is parked is seen, and done again; readiness and metrics tell of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import httpx2
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from api import gauges, health
from api.queries.system import Part, State
from domain.base import Recorded
from domain.errors import Overloaded, StoreUnavailable
from domain.portfolio import PortfolioOpened
from read_side.signals import Signals
from read_side.work import ParkedWork, Progress
from tests.api.asking import is_problem, opening, pointers
from tests.api.doubles import Behind
from tests.write_side.memory_work import MemoryWork
from write_side.log import Context
from write_side.policies import Policy

PARKED = "/api/v1/work/parked"


@dataclass
class Acts:
    """A policy that notes what it is given, and fails as the test says."""

    acted: list[tuple[int, Context]] = field(default_factory=list)
    failure: Exception | None = None

    def policy(self) -> Policy:
        return Policy(name="test", handles=frozenset({PortfolioOpened}), act=self._act)

    async def _act(self, recorded: Recorded, context: Context) -> None:
        self.acted.append((recorded.position, context))
        if self.failure is not None:
            raise self.failure


@pytest.fixture
async def acts(client: httpx2.AsyncClient, behind: Behind) -> Acts:
    """A policy, and three openings, of which it could not work on the second and third."""
    acts = Acts()
    behind.policies["test"] = acts.policy()
    for number in range(1, 4):
        await client.post("/api/v1/portfolios", json=opening(f"P{number}"))
    for position in (2, 3):
        await behind.work.park("test", position, attempts=5, error="Overloaded: too much")
    return acts


async def test_what_is_parked_is_listed_the_latest_first(client: httpx2.AsyncClient, acts: Acts) -> None:
    page = (await client.get(PARKED, params={"limit": 1})).json()
    assert page["items"] == [
        {
            "policy": "test",
            "position": 3,
            "stream": "portfolio/P3",
            "topic": "portfolio.opened.v1",
            "attempts": 5,
            "error": "Overloaded: too much",
            "parked_at": "2025-06-21T10:00:00Z",
        }
    ]
    rest = (await client.get(PARKED, params={"limit": 1, "cursor": page["next"]})).json()
    assert [item["position"] for item in rest["items"]] == [2]
    assert rest["next"] is None


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("cursor=x", ["cursor"]),
        ("limit=0", ["limit"]),
        ("cursor=WzEsIlx1MDAwMCJd", ["cursor"]),
        ("cursor=W10", ["cursor"]),
    ],
)
async def test_a_query_that_does_not_fit_is_told(client: httpx2.AsyncClient, query: str, places: list[str]) -> None:
    assert pointers(is_problem(await client.get(f"{PARKED}?{query}"), 422, "invalid-request")) == places


async def test_a_position_is_waited_for_until_every_policy_has_passed_it(
    client: httpx2.AsyncClient, behind: Behind, acts: Acts
) -> None:
    at_least, now = f"{PARKED}?at_least=3", {"Prefer": "wait=0"}
    is_problem(await client.get(at_least, headers=now), 503, "projection-behind")
    behind.work.checkpoints |= {"test": 3, "other": 2}
    problem = is_problem(await client.get(at_least, headers=now), 503, "projection-behind")
    assert "work/other is at position 2" in problem["detail"]
    waiting = asyncio.create_task(client.get(at_least, headers={"Prefer": "wait=30"}))
    await asyncio.wait([waiting], timeout=0)
    await behind.work.save_checkpoint("other", 2, 3)
    assert len((await waiting).json()["items"]) == 2


async def test_what_is_done_again_is_parked_no_more(client: httpx2.AsyncClient, behind: Behind, acts: Acts) -> None:
    answer = await client.post(f"{PARKED}/test/2/retry", headers={"X-User": "operator"})
    assert (answer.status_code, answer.headers["x-position"]) == (200, "3")
    assert "etag" not in answer.headers
    assert answer.json()["done"] is True
    assert (answer.json()["policy"], answer.json()["position"], answer.json()["attempts"]) == ("test", 2, 5)
    [(position, context)] = acts.acted
    assert (position, context.actor) == (2, "worker")
    assert [item["position"] for item in (await client.get(PARKED)).json()["items"]] == [3]
    is_problem(await client.post(f"{PARKED}/test/2/retry"), 404, "not-found")


@pytest.mark.parametrize("failure", [RuntimeError("no sense"), Overloaded("too much")])
async def test_what_fails_again_says_why_and_stays_parked(
    client: httpx2.AsyncClient, behind: Behind, acts: Acts, failure: Exception
) -> None:
    acts.failure = failure
    problem = is_problem(await client.post(f"{PARKED}/test/2/retry"), 409, "rule-violated")
    assert f"{type(failure).__name__}: {failure}" in problem["detail"]
    [_, item] = (await client.get(PARKED)).json()["items"]
    assert (item["attempts"], item["error"]) == (6, f"{type(failure).__name__}: {failure}")


@pytest.mark.parametrize(
    "place", ["test/1", "test/4", "other/2", "test/0", "test/x", "test/%00", "%00/2", "test/" + "9" * 30]
)
async def test_what_is_not_parked_is_404(client: httpx2.AsyncClient, behind: Behind, acts: Acts, place: str) -> None:
    is_problem(await client.post(f"{PARKED}/{place}/retry"), 404, "not-found")
    assert acts.acted == []


async def test_a_policy_that_is_gone_is_told(client: httpx2.AsyncClient, behind: Behind, acts: Acts) -> None:
    behind.policies.clear()
    problem = is_problem(await client.post(f"{PARKED}/test/2/retry"), 409, "rule-violated")
    assert "no policy 'test'" in problem["detail"]
    assert len(behind.work.kept) == 2


async def test_an_event_that_the_policy_does_not_handle_is_done(
    client: httpx2.AsyncClient, behind: Behind, acts: Acts
) -> None:
    behind.policies["test"] = Policy(name="test", handles=frozenset(), act=acts.policy().act)
    assert (await client.post(f"{PARKED}/test/2/retry")).status_code == 200
    assert acts.acted == []


async def test_the_same_again_under_a_key_is_the_first_answer(
    client: httpx2.AsyncClient, behind: Behind, acts: Acts
) -> None:
    headers = {"Idempotency-Key": "k"}
    first = await client.post(f"{PARKED}/test/2/retry", headers=headers)
    again = await client.post(f"{PARKED}/test/2/retry", headers=headers)
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert len(acts.acted) == 1
    is_problem(await client.post(f"{PARKED}/test/3/retry", headers=headers), 422, "idempotency-key-reused")
    assert len(behind.log.events) == 3


async def test_no_version_fits_what_is_parked(client: httpx2.AsyncClient, behind: Behind, acts: Acts) -> None:
    is_problem(await client.post(f"{PARKED}/test/2/retry", headers={"If-Match": '"1"'}), 412, "stale-version")
    assert acts.acted == []
    assert (await client.post(f"{PARKED}/test/2/retry", headers={"If-Match": "*"})).status_code == 200


async def test_without_the_store_nothing_is_known(client: httpx2.AsyncClient, behind: Behind, acts: Acts) -> None:
    behind.work.failure = StoreUnavailable("away")
    is_problem(await client.get(PARKED), 503, "store-unavailable")
    is_problem(await client.post(f"{PARKED}/test/2/retry"), 503, "store-unavailable")


async def test_readiness_tells_of_what_is_parked() -> None:
    work = MemoryWork([], checkpoints={"a": 0})
    check = health.worker(ParkedWork(work, Signals()))
    assert await check() == [Part("worker", State.UP, {"parked": 0, "lag_events": 0})]
    work = MemoryWork([], checkpoints={"a": -3, "b": 0})  # three events behind
    work.kept = {("b", 1): None}  # type: ignore[dict-item]
    assert await health.worker(ParkedWork(work, Signals()))() == [
        Part("worker", State.DEGRADED, {"parked": 1, "lag_events": 3})
    ]


async def test_metrics_tell_of_what_is_parked_and_of_the_lag() -> None:
    measured = asyncio.Event()

    class Told(ParkedWork):
        async def progress(self) -> list[Progress]:
            measured.set()
            return [Progress("a", 5, 7, 2)]

    registry = CollectorRegistry()
    async with gauges.work(Told(MemoryWork([]), Signals()), registry):
        await measured.wait()
    told = generate_latest(registry).decode()
    assert 'foliolog_parked{policy="a"} 2.0' in told
    assert 'foliolog_policy_lag_events{policy="a"} 7.0' in told
