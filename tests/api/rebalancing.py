"""Short names for what tests of rebalances send: a market, models, portfolios."""

from __future__ import annotations

from typing import Any

import httpx2

from tests.api.asking import opening, pricing

TECH = "TECH123456789012345678AB"
BOND = "BOND123456789012345678AB"
AWAY = "AWAY123456789012345678AB"


def position(security_id: str, target: Any, drift: Any = 5) -> dict[str, Any]:
    return {"security_id": security_id, "target": target, "low_drift": drift, "high_drift": drift}


async def model(client: httpx2.AsyncClient, *portfolios: str, name: str = "Growth", **targets: Any) -> str:
    """Make a model with TECH at 60 and BOND at 30 percent, unless said otherwise; return its id."""
    positions = [position(TECH, targets.get("tech", 60)), position(BOND, targets.get("bond", 30))]
    body = {"name": name, "positions": positions, "portfolios": list(portfolios)}
    answer = await client.post("/api/v1/models", json=body)
    assert answer.status_code == 201, answer.text
    model_id: str = answer.json()["model_id"]
    return model_id


async def market(client: httpx2.AsyncClient, *portfolios: str, cash: Any = 100_000) -> None:
    """Price both securities and open the portfolios."""
    await client.post("/api/v1/prices", json=pricing({TECH: "150.3383", BOND: 99.5}))
    for portfolio_id in portfolios:
        await client.post("/api/v1/portfolios", json=opening(portfolio_id, cash_balance=cash))


async def rebalance(client: httpx2.AsyncClient, of: str = "ACC-1", **request: Any) -> httpx2.Response:
    return await client.post(f"/api/v1/rebalance/portfolio/{of}", **request)
