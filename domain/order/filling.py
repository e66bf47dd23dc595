"""How far orders are filled, and what is left of the drifts that they were to remove."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec

from domain.investment_model import ModelPosition
from domain.rebalance.report import RebalanceFacts, RunFacts
from domain.values import EXACT, MAX_PLACES, ZERO, plain, quantized_ratio

_HUNDRED: Final = Decimal(100)
_NOT_MODELLED: Final = ModelPosition(security_id="", target=ZERO, low_drift=ZERO, high_drift=ZERO)


class OrderStatus(StrEnum):
    """Where an order, or all orders of a rebalance together, stand."""

    OPEN = "OPEN"
    FILLED = "FILLED"
    """Completely, also where that came after it was cancelled."""
    CANCELLED = "CANCELLED"


class Residual(msgspec.Struct, frozen=True):
    """A security as the fills so far leave it, in percent of the market value of the rebalance at its prices.

    ``actual`` has four places, ``drift`` is it less the target; whether it is ``in_band`` is decided exactly.
    """

    security_id: str
    target: Decimal
    low_drift: Decimal
    high_drift: Decimal
    actual: Decimal
    drift: Decimal
    in_band: bool


def order_status(quantity: Decimal, filled: Decimal, *, cancelled: bool) -> OrderStatus:
    """Return where an order over ``quantity`` stands of which so much is filled."""
    if filled >= quantity:
        return OrderStatus.FILLED
    return OrderStatus.CANCELLED if cancelled else OrderStatus.OPEN


def set_status(orders: Iterable[OrderStatus], *, cancelled: bool) -> OrderStatus:
    """Return where all orders of a rebalance stand together: FILLED once each of them is."""
    if all(status is OrderStatus.FILLED for status in orders):
        return OrderStatus.FILLED
    return OrderStatus.CANCELLED if cancelled else OrderStatus.OPEN


def open_quantity(quantity: Decimal, filled: Decimal, *, cancelled: bool) -> Decimal:
    """Return how much of an order the desk is still to fill: nothing of one that is cancelled or filled beyond it."""
    return ZERO if cancelled else max(ZERO, EXACT.subtract(quantity, filled))


def average_price(amount: Decimal, filled: Decimal) -> Decimal | None:
    """Return the price of what is filled for this amount, half-even to 8 places; None while nothing is."""
    return Decimal(plain(quantized_ratio(amount, filled, MAX_PLACES))) if filled else None


def residuals(run: RunFacts, rebalance: RebalanceFacts, filled: Mapping[str, Decimal]) -> list[Residual]:
    """Return what every security held or modelled is now, by security id.

    ``filled`` is what the orders have brought of each, negative for what was sold. Prices and market value are those
    of the rebalance, so only fills move a weight. A band holds with both its ends, as in the check of a rebalance.
    """
    modelled = {position.security_id: position for position in run.positions}
    prices, value, found = run.prices or {}, rebalance.market_value, []
    for security_id in sorted(rebalance.quantities):
        position = modelled.get(security_id, _NOT_MODELLED)
        quantity = EXACT.add(rebalance.held.get(security_id, ZERO), filled.get(security_id, ZERO))
        share = EXACT.multiply(EXACT.multiply(quantity, prices[security_id]), _HUNDRED)
        low = EXACT.multiply(value, EXACT.subtract(position.target, position.low_drift))
        high = EXACT.multiply(value, EXACT.add(position.target, position.high_drift))
        actual = quantized_ratio(share, value, 4)
        found.append(
            Residual(
                security_id,
                position.target,
                position.low_drift,
                position.high_drift,
                actual,
                EXACT.subtract(actual, position.target),
                low <= share <= high,
            )
        )
    return found
