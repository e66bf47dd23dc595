"""The shapes of rebalances as the OpenAPI document shows them, and their examples (seed 002 ``RebalanceDTO``)."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Final

from pydantic import WithJsonSchema

from api.documented import PROBLEM_SCHEMA
from api.shown import Figure, Shown
from api.shown_orders import SUMMARY, OrdersSummaryShown
from domain.rebalance import BoundBy, Proof


class TradeShown(Shown):
    """One transaction of a rebalance."""

    transaction_type: Annotated[str, WithJsonSchema({"type": "string", "enum": ["BUY", "SELL"]})]
    security_id: str
    quantity: Figure
    price: Figure
    trade_date: date
    """The day in New York."""


class DriftShown(Shown):
    """A security held or modelled, before and after; target, drifts and ``actual`` in percent."""

    security_id: str
    original_quantity: Figure
    adjusted_quantity: Figure
    target: Figure
    low_drift: Figure
    high_drift: Figure
    actual: Figure
    """The weight afterwards, with four places."""


class BreachShown(Shown):
    """A band that is left, and by how much money."""

    security_id: str
    rule: str
    by: Figure


class CertificateShown(Shown):
    """What is known of the answer: how good it is, what proves that, and the digest of what it was made from."""

    status: Proof
    minimises: str
    objective: Figure
    lower_bound: Figure
    gap: Figure
    """How much better anything else could be, in money."""
    bound_by: BoundBy
    method: str
    solver: str | None
    input_sha256: str
    options: list[str]
    """The options that were not as by default."""
    breaches: list[BreachShown]


class RebalanceShown(Shown):
    """A rebalance of a portfolio (seed 002 ``RebalanceDTO``); what is a preview has neither ids nor a version."""

    portfolio_id: str
    portfolio_name: str
    rebalance_id: str | None
    market_value: Figure
    cash_before: Figure
    cash_after: Figure
    transactions: list[TradeShown]
    """Sells first."""
    drifts: list[DriftShown]
    model_id: str
    model_version: int
    run_id: str | None
    created_at: datetime
    version: int | None
    certificate: CertificateShown


class RebalanceWithOrdersShown(RebalanceShown):
    """A recorded rebalance, and what has become of it."""

    orders: OrdersSummaryShown | None
    """Null where no orders were sent for it."""


class FailedShown(Shown):
    """A portfolio that has no result, and why: a problem as `GET /problems/{code}` explains it.

    A run keeps the code and the sentence of every failure, and about a megabyte of what explains them, the first
    portfolios first. Where that was left out, `securities` is empty and `explained_by` names the request that tells it
    of this portfolio alone; its body has the options of the run.
    """

    portfolio_id: str
    error: Annotated[dict[str, Any], WithJsonSchema(dict(PROBLEM_SCHEMA))]


class OperationShown(Shown):
    """An asynchronous run."""

    operation_id: str
    status: Annotated[str, WithJsonSchema({"type": "string", "enum": ["RUNNING", "DONE"]})]
    model_id: str
    model_version: int
    requested_at: datetime
    total: int
    """Portfolios of the run."""
    done: int
    """Of these so many have a rebalance."""
    failed: int
    errors: list[FailedShown]
    rebalances: list[str]
    """Ids of the rebalances, as they were recorded; one that was deleted since is not found."""


class VerificationShown(Shown):
    """What a check of a recorded rebalance from the log alone has found."""

    rebalance_id: str
    valid: bool
    faults: list[str]
    """What does not hold."""
    checked_at_position: int
    """How far the log had come."""


REBALANCE: Final[dict[str, Any]] = {
    "portfolio_id": "ACC-1",
    "portfolio_name": "Growth",
    "rebalance_id": "0c4ad8a3f5b35e0d9f3b7a11",
    "market_value": 100000,
    "cash_before": 100000,
    "cash_after": 40015.02,
    "transactions": [
        {
            "transaction_type": "BUY",
            "security_id": "TECH123456789012345678AB",
            "quantity": 399,
            "price": 150.3383,
            "trade_date": "2025-06-21",
        }
    ],
    "drifts": [
        {
            "security_id": "TECH123456789012345678AB",
            "original_quantity": 0,
            "adjusted_quantity": 399,
            "target": 60,
            "low_drift": 2,
            "high_drift": 5,
            "actual": 59.985,
        }
    ],
    "model_id": "5f1d7a0c2b9e4f6d8a3c1e07",
    "model_version": 3,
    "run_id": "6f2b0c9e1d7a4b53a8c4e0f19d2b7c65",
    "created_at": "2025-06-21T10:00:00Z",
    "version": 1,
    "certificate": {
        "status": "OPTIMAL",
        "minimises": "deviation",
        "objective": 15.02,
        "lower_bound": 15.02,
        "gap": 0,
        "bound_by": "separability",
        "method": "nearest",
        "solver": None,
        "input_sha256": "349acc472da8c8532eb5f24ea6bdaf8fcd298db63276b03842fa1d79b368b5d2",
        "options": [],
        "breaches": [],
    },
}
REBALANCE_WITH_ORDERS: Final[dict[str, Any]] = {**REBALANCE, "orders": SUMMARY}
OPERATION: Final[dict[str, Any]] = {
    "operation_id": "6f2b0c9e1d7a4b53a8c4e0f19d2b7c65",
    "status": "DONE",
    "model_id": "5f1d7a0c2b9e4f6d8a3c1e07",
    "model_version": 3,
    "requested_at": "2025-06-21T10:00:00Z",
    "total": 2,
    "done": 1,
    "failed": 1,
    "errors": [
        {
            "portfolio_id": "ACC-2",
            "error": {
                "type": "/problems/not-found",
                "title": "There is no such thing",
                "status": 404,
                "detail": "portfolio ACC-2 does not exist",
                "instance": "/api/v1/operations/6f2b0c9e1d7a4b53a8c4e0f19d2b7c65",
                "code": "not-found",
            },
        }
    ],
    "rebalances": ["0c4ad8a3f5b35e0d9f3b7a11"],
}
VERIFICATION: Final[dict[str, Any]] = {
    "rebalance_id": "0c4ad8a3f5b35e0d9f3b7a11",
    "valid": True,
    "faults": [],
    "checked_at_position": 42,
}
