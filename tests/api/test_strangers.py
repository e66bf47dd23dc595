"""What those learn who have no API key: that it lives and which part does not, and nothing of what is in it."""

from __future__ import annotations

from dataclasses import replace

import httpx2
import pytest

from api.app import Application, create_app
from api.queries.system import Part, State
from api.security.keys import collected, entry_of
from tests.api.doubles import Behind

BROKEN = [
    Part("view portfolios", State.DOWN, {"position": 2, "error": "event 3 of portfolio/ACC-1 cannot be read"}),
    Part("hot copy", State.DEGRADED),
]


@pytest.fixture
def app(behind: Behind) -> Application:
    """The application where one has a key."""
    return create_app(replace(behind.deps(), keys=collected([("keys", entry_of("flk_one", "one", ["read"]))])))


@pytest.mark.parametrize("parts", [BROKEN, BROKEN[1:]])
async def test_errors_are_for_those_with_a_key(client: httpx2.AsyncClient, behind: Behind, parts: list[Part]) -> None:
    behind.health.told = parts
    whole = [{"name": part.name, "state": part.state, **part.members} for part in parts]
    bare = [{name: value for name, value in part.items() if name != "error"} for part in whole]
    assert (await client.get("/readyz")).json()["parts"] == bare
    assert (await client.get("/readyz", headers={"Authorization": "Bearer flk_other"})).json()["parts"] == bare
    assert (await client.get("/readyz", headers={"Authorization": "Bearer flk_one"})).json()["parts"] == whole


async def test_without_keys_everybody_is_told(behind: Behind) -> None:
    behind.health.told = BROKEN
    transport = httpx2.ASGITransport(app=create_app(behind.deps()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        assert "ACC-1" in (await client.get("/readyz")).text
