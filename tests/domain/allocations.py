"""The words of the tests about allocations by asset class."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from domain.asset_allocation import Allocation, Basis, RebalanceRequest, Share, allocation_hash
from domain.portfolio import Portfolio
from tests.domain.portfolios import NOW, opened

Decide = Callable[[Portfolio], None]


def percents(**by_asset: str | int) -> dict[str, Decimal]:
    """What somebody asks for."""
    return {asset: Decimal(percent) for asset, percent in by_asset.items()}


def shares(**by_asset: str | int) -> Allocation:
    """What is made of it."""
    return tuple(Share(asset, Decimal(percent)) for asset, percent in by_asset.items())


def set_to(**by_asset: str | int) -> Decide:
    return lambda portfolio: portfolio.set_allocation(percents(**by_asset), NOW)


def to_target(**by_asset: str | int) -> Decide:
    return lambda portfolio: portfolio.request_rebalance(Basis.TARGET, percents(**by_asset), NOW)


def from_market(**by_asset: str | int) -> Decide:
    return lambda portfolio: portfolio.request_rebalance(Basis.MARKET, percents(**by_asset), NOW)


def book(up_to_version: int = 10**6) -> Decide:
    return lambda portfolio: portfolio.book_rebalances(up_to_version, NOW)


def allocated(*decisions: Decide) -> Portfolio:
    """Return a portfolio of 60 stocks, 30 bonds and 10 gold, which is its version 2, after these decisions."""
    portfolio = opened()
    set_to(stocks=60, bonds=30, gold=10)(portfolio)
    for decide in decisions:
        decide(portfolio)
    return portfolio


def request(version: int, basis: Basis, current: Allocation, allocation: Allocation) -> RebalanceRequest:
    return RebalanceRequest(version, basis, current, allocation, allocation_hash(allocation))
