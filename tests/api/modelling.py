"""Investment models as the tests of the HTTP layer ask for them."""

from __future__ import annotations

from typing import Any

import httpx2

from tests.domain.models import TECH

MODELS = "/api/v1/models"


def weighted(security_id: str = TECH, target: Any = 60, low: Any = 2, high: Any = 5, **members: Any) -> dict[str, Any]:
    return {"security_id": security_id, "target": target, "low_drift": low, "high_drift": high, **members}


def modelled(name: str = "Balanced", **members: Any) -> dict[str, Any]:
    return {"name": name, "positions": [weighted()], "portfolios": ["ACC-1"], **members}


async def made(client: httpx2.AsyncClient, name: str = "Balanced", **members: Any) -> str:
    """Create a model and return its path."""
    answer = await client.post(MODELS, json=modelled(name, **members))
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"])
