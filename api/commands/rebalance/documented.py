"""What the OpenAPI document says about the commands on rebalances."""

from __future__ import annotations

from typing import Any, Final

from api.documented import COMMAND_PROBLEMS, Responses, answered, examples, headers, problems
from api.shown_rebalances import REBALANCE

_TECH = "TECH123456789012345678AB"
_OPTIONS: Final[dict[str, Any]] = {
    "defaults": {},
    "only_what_is_outside_its_band": {"mode": "breached_only", "min_cash": {"percent": 2}},
    "only_sales": {"sell_only": True, "min_trade": 100, "do_not_trade": [_TECH]},
    "round_lots": {"mode": "to_band", "lot_size": {_TECH: 100}, "min_cash": "2500.50", "on_infeasible": "nearest"},
    "invalid_contradiction": {"buy_only": True, "sell_only": True},
}
OPTIONS: Final[dict[str, Any]] = {
    "requestBody": {"required": False, "content": {"application/json": {"examples": examples(**_OPTIONS)}}}
}
_FAILED: Final[dict[str, Any]] = {
    "portfolio_id": "ACC-2",
    "error": {
        "type": "/problems/missing-price",
        "title": "There is no price of a security",
        "status": 422,
        "detail": f"there is no price of {_TECH}",
        "instance": "/api/v1/rebalance/portfolio/ACC-2",
        "code": "missing-price",
        "securities": [_TECH],
    },
}
_OPERATION: Final[dict[str, Any]] = {
    "operation_id": "6f2b0c9e1d7a4b53a8c4e0f19d2b7c65",
    "status": "RUNNING",
    "total": 2,
    "done": 0,
    "failed": 0,
    "position": 42,
}
_PROBLEMS: Final = (*COMMAND_PROBLEMS, "not-found", "unavailable", "projection-behind")

OF_PORTFOLIO: Final[Responses] = {
    200: answered("The rebalance", "X-Position", "ETag", "Idempotency-Replayed", rebalanced=REBALANCE),
    **problems(
        *_PROBLEMS,
        "no-model",
        "ambiguous-model",
        "missing-price",
        "short-holding",
        "non-positive-market-value",
        "no-feasible-solution",
        not_found="portfolio ACC-1 does not exist",
        missing_price=f"there is no price of {_TECH}",
    ),
}
OF_MODEL: Final[Responses] = {
    200: answered(
        "One for each portfolio, in the model's order",
        "X-Position",
        "Idempotency-Replayed",
        rebalanced=[REBALANCE, _FAILED],
    ),
    202: answered(
        "It is recorded and will be done",
        "X-Position",
        "Location",
        "Idempotency-Replayed",
        accepted=_OPERATION,
    ),
    **problems(*_PROBLEMS, not_found="model '5f1d7a0c2b9e4f6d8a3c1e07' does not exist"),
}
DELETED: Final[Responses] = {
    204: {"description": "It is gone", "headers": headers("X-Position", "Idempotency-Replayed")},
    **problems(*COMMAND_PROBLEMS, "not-found", "version-conflict", "precondition-required"),
}
