"""What the OpenAPI document shows of the commands on investment models: examples of bodies, answers and refusals."""

from __future__ import annotations

from typing import Any, Final

from api.documented import COMMAND_PROBLEMS, Responses, answered, examples, problems
from api.shown_models import BONDS, MODEL_CHANGED, TECHNOLOGY

MISSING: Final = "model 5f1d7a0c2b9e4f6d8a3c1e07 does not exist"
TAKEN: Final = "the name 'Balanced Portfolio' is taken by model 5f1d7a0c2b9e4f6d8a3c1e07"
THERE: Final = f"model 5f1d7a0c2b9e4f6d8a3c1e07 has {BONDS['security_id']} already: PUT changes it"
_SEED = {"name": "Balanced Portfolio", "positions": [TECHNOLOGY], "portfolios": ["portfolio123456789012345"]}
_TOO_MUCH = {**_SEED, "positions": [TECHNOLOGY, {**BONDS, "target": 35.005}]}
NEW_MODELS: Final[dict[str, Any]] = {
    "of_the_seed": _SEED,
    "without_positions": {"name": "Sell everything", "positions": [], "portfolios": ["ACC-1", "ACC-2"]},
    "invalid_sum_of_targets": _TOO_MUCH,
}
REPLACEMENTS: Final[dict[str, Any]] = {
    "other_positions": {**_SEED, "positions": [TECHNOLOGY, BONDS], "version": 1},
    "other_name": {**_SEED, "name": "Growth", "version": 2},
    "invalid_sum_of_targets": {**_TOO_MUCH, "version": 1},
}
_CHANGE = {name: value for name, value in BONDS.items() if name != "security_id"}
ADDITIONS: Final[dict[str, Any]] = {
    "position": BONDS,
    "position_of_a_version": {**BONDS, "version": 1},
    "invalid_target": {**BONDS, "target": 30.001},
}
CHANGES: Final[dict[str, Any]] = {
    "other_target": {**_CHANGE, "target": 25},
    "whole_position": {**BONDS, "high_drift": 3},
    "invalid_band": {**_CHANGE, "high_drift": 0.5},
}
FOLLOWERS: Final[dict[str, Any]] = {
    "one": {"portfolios": ["ACC-1"]},
    "several": {"portfolios": ["ACC-1", "ACC-2"], "version": 1},
    "invalid_id": {"portfolios": ["not an id"]},
}


def changed(*codes: str, **details: str) -> Responses:
    """Return what a command on a model answers: the model, or one of these problems beside those of all of them."""
    model = answered("The model afterwards", "X-Position", "ETag", "Idempotency-Replayed", changed=MODEL_CHANGED)
    return {
        200: model,
        **problems(*COMMAND_PROBLEMS, "not-found", "version-conflict", *codes, not_found=MISSING, **details),
    }


def request_body(named: dict[str, Any]) -> dict[str, Any]:
    """Return the examples of a request's body for the OpenAPI document."""
    return {"requestBody": {"content": {"application/json": {"examples": examples(**named)}}}}
