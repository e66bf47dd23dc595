"""Target allocations by asset class: what one may be, its hash, and the transactions from one to another (seed 000)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from typing import TypeAlias

import msgspec

from domain.errors import Fault, Invalid
from domain.values import EXACT, ZERO, outside_bounds, plain

WHOLE = Decimal(100)
"""Percent."""
MAX_ASSETS = 1000
MAX_ASSET = 200
"""Characters of the name of an asset class."""


class Share(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How much of a portfolio an asset class is, in percent."""

    asset: str
    percent: Decimal


Allocation: TypeAlias = tuple[Share, ...]
"""Shares of 100 percent together, in the order in which they were given; an asset at 0 is not among them."""


class Basis(StrEnum):
    """What the new allocation of a rebalance is."""

    TARGET = "target"
    """Where the portfolio is to go: it is the portfolio's allocation afterwards."""
    MARKET = "market"
    """Where the market has moved the portfolio: it is brought back to its allocation, which stays."""


class Action(StrEnum):
    """What is done with an asset (seed 000 ``RebalanceTransaction``)."""

    BUY = "BUY"
    SELL = "SELL"


class AssetTransaction(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """So much of an asset is to be bought or sold, in percent of the portfolio, always positive."""

    action: Action
    asset: str
    percent: Decimal


class RebalanceRequest(msgspec.Struct, frozen=True, array_like=True):
    """A rebalance that is pending: ``version`` is that of its event, ``current`` the target that those before leave."""

    version: int
    basis: Basis
    current: Allocation
    allocation: Allocation
    allocation_hash: str


def wrong_share(asset: str, percent: Decimal) -> str | None:
    """Return what keeps these from being a share at all, or None; whether it is negative is another question."""
    if not asset.strip():
        return "is no name of an asset"
    if len(asset) > MAX_ASSET:
        return f"has {len(asset)} characters, at most {MAX_ASSET} are taken"
    if not asset.isprintable() and any(sign < " " or "\x7f" <= sign <= "\x9f" for sign in asset):
        return "holds a control character, which cannot be shown"
    return outside_bounds(percent)


def allocation_of(percents: Mapping[str, Decimal]) -> Allocation:
    """Return the allocation that these percentages by asset are; raises ``Invalid`` for the first thing wrong.

    They add up to 100 exactly. Those at 0 are left out. The messages are seed 000's.
    """
    if not percents:
        raise _invalid("allocation is required")
    if len(percents) > MAX_ASSETS:
        raise _invalid(f"allocation has {len(percents)} assets, at most {MAX_ASSETS} are taken")
    for asset, percent in percents.items():
        if wrong := wrong_share(asset, percent):
            raise _invalid(f"{asset[:100]!a} {wrong}")
    total = ZERO
    for percent in percents.values():
        if percent < 0:
            raise _invalid("allocation percentages cannot be negative")
        total = EXACT.add(total, percent)
    if total != WHOLE:
        raise _invalid("allocation percentages must sum to 100")
    return tuple(Share(asset, Decimal(plain(percent))) for asset, percent in percents.items() if percent)


def _invalid(detail: str) -> Invalid:
    return Invalid(Fault("/allocation", detail))


def allocation_hash(allocation: Allocation) -> str:
    """Return the SHA-256, in lower-case hex, of the allocation as JSON: sorted keys, no spaces, shortest numbers.

    So the order in which it was given and trailing zeros do not count; the text is UTF-8, unescaped (contract "000").
    """
    ordered = sorted(allocation, key=lambda share: share.asset)
    text = msgspec.json.encode({share.asset: msgspec.Raw(plain(share.percent).encode()) for share in ordered})
    return sha256(text).hexdigest()


def same(one: Allocation, other: Allocation) -> bool:
    """Whether the allocations have the same assets with the same percentages, in whatever order."""
    return set(one) == set(other)


def transactions(before: Allocation, after: Allocation) -> tuple[AssetTransaction, ...]:
    """Return what has to be bought and sold to get from one allocation to the other.

    An asset that one of them does not have counts as 0 there. The order is that of the assets before, then of those
    that are new.
    """
    had = {share.asset: share.percent for share in before}
    wanted = {share.asset: share.percent for share in after}
    found = []
    for asset in had | wanted:
        change = EXACT.subtract(wanted.get(asset, ZERO), had.get(asset, ZERO))
        if change:
            action = Action.BUY if change > 0 else Action.SELL
            found.append(AssetTransaction(action, asset, Decimal(plain(change.copy_abs()))))
    return tuple(found)


def needed(request: RebalanceRequest) -> tuple[AssetTransaction, ...]:
    """Return the transactions of a rebalance: to the new allocation, or from it back to what the ones before leave."""
    if request.basis is Basis.TARGET:
        return transactions(request.current, request.allocation)
    return transactions(request.allocation, request.current)
