"""Short names for what the tests of seed 000 send and expect."""

from __future__ import annotations

from typing import Any

import httpx2

SEED = {"stocks": 60, "bonds": 30, "gold": 10}
NEW = {"stocks": 70, "bonds": 20, "gold": 10}
UNREADABLE = "Invalid request body"


async def allocate(client: httpx2.AsyncClient, user_id: str = "1", **by_asset: Any) -> httpx2.Response:
    return await client.post("/portfolio", json={"user_id": user_id, "allocation": by_asset or SEED})


async def rebalance(client: httpx2.AsyncClient, basis: str | None = None, **by_asset: Any) -> httpx2.Response:
    asked = {"user_id": "1", "new_allocation": by_asset or NEW} | ({} if basis is None else {"basis": basis})
    return await client.post("/rebalance", json=asked)


def is_refused(answer: httpx2.Response, status: int, message: str) -> None:
    assert (answer.status_code, answer.json()) == (status, {"success": False, "message": message})
    assert answer.headers["content-type"] == "application/json"
