"""The names of seeds 003 and 004 as they are on the wire: members in the seed's order, kinds of JSON, and enumerations.

What stands in quotes here is copied from the seeds' documents.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from api.numbers import loads
from tests.api.asking import opening, pricing, trade, updating

PORTFOLIO = "/api/v1/portfolio/portfolio_001"
STRUCTS = """
struct PortfolioState {
    portfolio_id: String
    total_value: Float
    cash_balance: Float
    positions: List<Position>
    weights: Map<String, Float>
    last_updated: DateTime
    status: PortfolioStatus
}

struct Position {
    instrument_id: String
    position_type: PositionType
    quantity: Float
    market_value: Float
    weight: Float
    unrealized_pnl: Float
    cost_basis: Float
    last_updated: DateTime
}

struct PortfolioUpdate {
    portfolio_id: String
    updates: List<PositionUpdate>
    timestamp: DateTime
}

struct PositionUpdate {
    instrument_id: String
    quantity_change: Float
    price: Float
    transaction_type: String
}

struct PerformanceMetricsData {
    daily_return: Float
    ytd_return: Float
}
"""
POSITION_TYPES = "LONG, SHORT, CASH"
PORTFOLIO_STATUSES = "ACTIVE, SUSPENDED, LIQUIDATING, CLOSED"
EXAMPLE = """
        portfolio_id: "portfolio_001",
        total_value: 1000000.00,
        cash_balance: 50000.00,
        positions: [
            {
                instrument_id: "AAPL",
                quantity: 500,
                market_value: 75125.00,
                weight: 0.075,
                unrealized_pnl: 1250.00
            }
        ],
"""
KINDS: dict[str, type] = {"String": str, "Float": Decimal, "DateTime": str}


def members(name: str) -> dict[str, str]:
    """Return the members of a struct by name, in order, with their types."""
    found = re.search(rf"struct {name} {{\n(.*?)}}", STRUCTS, re.DOTALL)
    assert found is not None
    return dict(line.strip().split(": ") for line in found[1].strip().splitlines())


@pytest.fixture
async def state(client: httpx2.AsyncClient) -> httpx2.Response:
    """The state of the seed's example, made by the requests of its structs."""
    await client.post("/api/v1/portfolios", json=opening("portfolio_001", cash_balance="998750.00"))
    updates = [trade("BUY", 500, "AAPL", 147.75), trade("BUY", 2500, "MSFT", 349.95)]
    body = updating(*updates, portfolio_id="portfolio_001", timestamp="2025-06-21T10:00:00.000Z")
    assert set(body) == set(members("PortfolioUpdate"))
    assert all(set(update) == set(members("PositionUpdate")) for update in updates)
    assert (await client.post(f"{PORTFOLIO}/update", json=body)).status_code == 200
    await client.post("/api/v1/prices", json=pricing({"AAPL": 150.25}))
    return await client.get(f"{PORTFOLIO}/state")


def test_the_figures_of_the_example_are_on_the_wire(state: httpx2.Response) -> None:
    shown = EXAMPLE.replace("0.075,", "0.075125,")  # the example shows three places
    for name, figure in re.findall(r"(\w+): ([\d.]+|\"\w+\")", shown):
        assert f'"{name}":{figure}' in state.text
    assert '"last_updated":"2025-06-21T10:00:00Z"' in state.text


def test_members_are_the_seed_s_in_its_order_then_ours(state: httpx2.Response) -> None:
    told = loads(state.content)
    assert list(told) == [*members("PortfolioState"), "portfolio_name", "overdrawn"]
    for position in told["positions"]:
        assert list(position) == list(members("Position"))
        fits(position, members("Position"))
    fits(told, members("PortfolioState"))
    assert list(told["weights"]) == [position["instrument_id"] for position in told["positions"]]
    assert type(told["overdrawn"]) is bool


def fits(told: dict[str, Any], kinds: dict[str, str]) -> None:
    """Check the JSON kinds of the plain members; a whole number is one too."""
    for name, kind in kinds.items():
        value = Decimal(told[name]) if type(told[name]) is int else told[name]
        assert type(value) is KINDS.get(kind, type(value)), name


async def test_enumerations_are_spelled_as_in_the_seed(client: httpx2.AsyncClient, state: httpx2.Response) -> None:
    await client.post(f"{PORTFOLIO}/update", json=updating(trade("SHORT", 1, "TSLA", 1)))
    positions = (await client.get(f"{PORTFOLIO}/positions")).json()
    assert [position["position_type"] for position in positions] == ["LONG", "LONG", "SHORT", "CASH"]
    assert {position["position_type"] for position in positions} == set(POSITION_TYPES.split(", "))
    document = (await client.get("/openapi.json")).json()["components"]["schemas"]
    assert document["Status"]["enum"] == PORTFOLIO_STATUSES.split(", ")
    assert document["Position"]["properties"]["position_type"]["enum"] == POSITION_TYPES.split(", ")
    assert list(document["PortfolioState"]["properties"]) == list(loads(state.content))


async def test_performance_has_the_members_of_003(client: httpx2.AsyncClient, state: httpx2.Response) -> None:
    told = loads((await client.get(f"{PORTFOLIO}/performance")).content)
    returns = {"daily_return", "ytd_return", "mtd_return", "since_inception"}
    assert set(told) == {"portfolio_id", "as_of", *returns, "series"}
    assert set(members("PerformanceMetricsData")) < set(told)
    assert [list(day) for day in told["series"]] == [["date", "total_value", "net_flow", "return"]]
