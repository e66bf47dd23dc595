"""Short names for what the tests of the HTTP layer send and expect."""

from __future__ import annotations

from typing import Any

import httpx2

from api.problems import CATALOGUE

JSON = {"Content-Type": "application/json"}


def opening(portfolio_id: str = "ACC-1", **members: Any) -> dict[str, Any]:
    return {"portfolio_id": portfolio_id, "portfolio_name": "Growth", **members}


def moving(*amounts: Any, **members: Any) -> dict[str, Any]:
    """An update that deposits these amounts."""
    updates = [{"transaction_type": "DEP", "quantity_change": amount} for amount in amounts]
    return {"updates": updates, "timestamp": "2025-06-21T10:00:00Z", **members}


def trade(kind: str, quantity: Any, instrument_id: str | None = None, price: Any = None) -> dict[str, Any]:
    """One update; what is None is left out."""
    members = {"transaction_type": kind, "quantity_change": quantity, "instrument_id": instrument_id, "price": price}
    return {name: value for name, value in members.items() if value is not None}


def updating(*updates: dict[str, Any], **members: Any) -> dict[str, Any]:
    """An update of these, at one time."""
    return {"updates": list(updates), "timestamp": "2025-06-21T10:00:00Z", **members}


def pricing(prices: dict[str, Any], as_of: str = "2025-06-21T10:00:00Z") -> dict[str, Any]:
    """An upload of prices."""
    return {"as_of": as_of, "prices": prices}


def is_problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """Check that the answer is this problem, whole and in its own type; return its members."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code
    assert problem["type"] == f"/problems/{code}"
    assert problem["status"] == status == CATALOGUE[code].status
    assert problem["title"] == CATALOGUE[code].title
    assert problem["detail"]
    assert problem["instance"].startswith("/")
    return problem


def pointers(problem: dict[str, Any]) -> list[str]:
    """Return where the faults are: JSON pointers, and names of parameters and headers."""
    return [next(name for place, name in fault.items() if place != "detail") for fault in problem["errors"]]


def raw(headers: dict[str, str]) -> dict[bytes, bytes]:
    """Return the headers as UTF-8, which the client would not send by itself."""
    return {name.encode(): value.encode() for name, value in headers.items()}
