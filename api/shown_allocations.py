"""The shapes of seed 000's answers as the OpenAPI document shows them."""

from __future__ import annotations

from typing import Any, Final, Literal

from api.shown import Figure, Shown
from domain.asset_allocation import Action


class UserAllocation(Shown):
    """A user's allocation, as it was asked for."""

    user_id: str
    allocation: dict[str, Figure]


class UserRebalance(Shown):
    """A rebalance, as it was asked for."""

    user_id: str
    new_allocation: dict[str, Figure]


class StoredAllocation(UserAllocation):
    """A user's allocation; an asset at 0 is not in it."""

    pending: int
    """So many rebalances are accepted and not booked yet."""


class RebalanceTransaction(Shown):
    """What a rebalance buys or sells of an asset, in percent of the portfolio."""

    user_id: str
    action: Action
    asset: str
    rebalance_percent: Figure


class _Accepted(Shown):
    success: Literal[True]
    message: str


class AllocationAccepted(_Accepted):
    """The answer to an allocation (seed 000 ``APIResponse``)."""

    data: UserAllocation


class RebalanceAccepted(_Accepted):
    """The answer to a rebalance."""

    data: UserRebalance


class AllocationFound(_Accepted):
    """The answer to who asks for an allocation."""

    data: StoredAllocation


class TransactionsFound(_Accepted):
    """The answer to who asks for the transactions of the rebalances."""

    data: list[RebalanceTransaction]


def _answer(data: Any, message: str) -> dict[str, Any]:
    return {"success": True, "data": data, "message": message}


ALLOCATION: Final[dict[str, Any]] = {"user_id": "1", "allocation": {"stocks": 60, "bonds": 30, "gold": 10}}
REBALANCE: Final[dict[str, Any]] = {"user_id": "1", "new_allocation": {"stocks": 70, "bonds": 20, "gold": 10}}
ALLOCATION_ACCEPTED: Final = _answer(ALLOCATION, "Portfolio request accepted")
REBALANCE_ACCEPTED: Final = _answer(REBALANCE, "Rebalance request accepted")
ALLOCATION_FOUND: Final = _answer({**ALLOCATION, "pending": 1}, "Portfolio found")
TRANSACTIONS_FOUND: Final = _answer(
    [
        {"user_id": "1", "action": "BUY", "asset": "stocks", "rebalance_percent": 10},
        {"user_id": "1", "action": "SELL", "asset": "bonds", "rebalance_percent": 10},
    ],
    "Transactions found",
)
