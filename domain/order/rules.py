"""What has to hold of a portfolio before orders are sent for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from domain.errors import RuleViolated
from domain.execution import Booking, TradeType
from domain.order.aggregate import Order
from domain.portfolio import Status
from domain.values import ZERO, plain

_NAMED: Final = 5
"""So many securities the sentence of a refusal names."""


def must_take(portfolio_id: str, status: Status, orders: Sequence[Order]) -> None:
    """Raise ``RuleViolated`` where a portfolio of this status would refuse what these orders bring (contract "004")."""
    if status in (Status.SUSPENDED, Status.CLOSED):
        raise RuleViolated(f"portfolio {portfolio_id} is {status}: it does not take trades")
    bought = [order.security_id for order in orders if order.transaction_type is TradeType.BUY]
    if status is Status.LIQUIDATING and bought:
        raise RuleViolated(
            f"portfolio {portfolio_id} is {status}: it takes sells only, and the rebalance buys {_named(bought)}"
        )


def must_hold_as_before(portfolio_id: str, then: Mapping[str, Decimal], now: Mapping[str, Decimal]) -> None:
    """Raise ``RuleViolated`` where a portfolio does not hold the quantities any more that it held then."""
    changed = [
        f"{security_id} ({plain(then.get(security_id, ZERO))} then, {plain(now.get(security_id, ZERO))} now)"
        for security_id in sorted(then.keys() | now.keys())
        if then.get(security_id, ZERO) != now.get(security_id, ZERO)
    ]
    if changed:
        raise RuleViolated(
            f"portfolio {portfolio_id} does not hold any more what the rebalance was made from: {_named(changed)}; "
            f"rebalance it again"
        )


def must_be_booked(execution_id: int, order_id: str, booking: Booking, reason: str | None) -> None:
    """Raise ``RuleViolated`` where what an execution has filled of an order is not in its portfolio.

    What the portfolio holds is then not what it will hold: orders made from that trade the same once more.
    """
    if booking is not Booking.BOOKED:
        why = f"{booking}: {reason}" if reason else str(booking)
        raise RuleViolated(
            f"execution {execution_id} names order {order_id} and is not booked: {why}; "
            f"book it first, POST /api/v1/executions/{execution_id}/book"
        )


def must_be_recorded(service_id: int, order_id: str, recorded: bool, reason: str | None) -> None:
    """Raise ``RuleViolated`` where an execution has filled something of an order and its portfolio is not found out.

    It is not booked before it is recorded, so the same goes for it as for one that is not booked.
    """
    if not recorded:
        raise RuleViolated(
            f"the execution with executionServiceId {service_id} names order {order_id} and is not recorded, "
            f"the look-up of its portfolio failed: {reason}; look it up first, POST /api/v1/executions/retry"
        )


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
