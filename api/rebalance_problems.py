"""Why a portfolio was not rebalanced, as the problem that is answered: alone, in a run, or asked for later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from api.problems import CATALOGUE, Problem
from domain.rebalance import Explanation, Failure, Fix
from domain.values import money
from read_side.wire import amount, number


def problem_of_failure(failure: Failure, model_id: str) -> Problem:
    """Return what is answered for a portfolio of a run that has no result.

    Where the run did not keep what explains it, ``explained_by`` says which request tells that.
    """
    code = failure.code if failure.code in CATALOGUE else "internal-error"
    if failure.left_out:
        alone = f"/api/v1/rebalance/portfolio/{failure.portfolio_id}?model_id={model_id}&preview=true"
        return Problem(code=code, detail=failure.detail, members={"securities": [], "explained_by": f"POST {alone}"})
    return Problem(code=code, detail=failure.detail, members=members(failure.securities, failure.explanation))


def error_json(failure: Failure, model_id: str, instance: str) -> msgspec.Raw:
    """Return a portfolio without result as it stands among those that have one: its id and the problem."""
    problem = problem_of_failure(failure, model_id)
    told = {"portfolio_id": failure.portfolio_id, "error": msgspec.Raw(problem.body(instance))}
    return msgspec.Raw(msgspec.json.encode(told))


def members(securities: Sequence[str], explanation: Explanation | None) -> dict[str, Any]:
    """Return the members that the problem has beside the common ones: the securities it is about, and what repairs it.

    Percentages, prices and quantities are exact, money has its cents.
    """
    if explanation is None:
        return {"securities": list(securities)} if securities else {}
    of_all = {
        "short_by": explanation.short_by,
        "minimum_value": explanation.minimum_value,
        "spendable": explanation.spendable,
    }
    shown: dict[str, Any] = {
        "securities": [
            {
                "security_id": each.security_id,
                "price": number(each.price),
                "held": number(each.held),
                "target": number(each.target),
                "low_drift": number(each.low_drift),
                "high_drift": number(each.high_drift),
                "min_shares": number(each.min_shares),
                "max_shares": number(each.max_shares),
                "reason": each.reason,
                **({"option": each.option} if each.option else {}),
                "fixes": [_fix(fix) for fix in each.fixes],
            }
            for each in explanation.securities
        ]
    }
    shown |= {name: amount(money(value)) for name, value in of_all.items() if value is not None}
    return shown | ({"fixes": [_fix(fix) for fix in explanation.fixes]} if explanation.fixes else {})


def _fix(fix: Fix) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if fix.set:  # in an order of its own: a fix out of the log tells its figures in another one than a new one
        shown["set"] = {name: number(value) for name, value in sorted(fix.set.items(), reverse=True)}
        if (percent := shown["set"].pop("min_cash_percent", None)) is not None:
            shown["set"]["min_cash"] = {"percent": percent}  # as a request says it
    if fix.drop:
        shown["drop"] = list(fix.drop)
    if fix.gives_quantity is not None:
        shown["gives_quantity"] = number(fix.gives_quantity)
    return shown
