"""The blotter of a portfolio: one set of orders after the other, each of one rebalance."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, Self, TypeAlias, assert_never

import msgspec

from domain.base import Aggregate, Created, Event
from domain.errors import NotFound, RuleViolated
from domain.execution import TradeType
from domain.order.filling import OrderStatus
from domain.rebalance.report import RebalanceFacts, RunFacts, trades

_ORDER_ID: Final = re.compile(r"([0-9a-f]{24})-([1-9][0-9]{0,8})\Z")


class Order(msgspec.Struct, frozen=True, gc=False):
    """One order; ``quantity`` is positive, ``price`` the one that the rebalance was made with, which is no limit."""

    order_id: str
    transaction_type: TradeType
    security_id: str
    quantity: Decimal
    price: Decimal


class OrderSet(msgspec.Struct, frozen=True, kw_only=True):
    """The orders of one rebalance, when they were sent, and when what was open of them was cancelled."""

    rebalance_id: str
    orders: tuple[Order, ...]
    sent_at: datetime
    cancelled_at: datetime | None = None


class BlotterBegun(Created):
    """Orders are sent for this portfolio; none was before."""

    TOPIC = "orders.begun.v1"


class OrdersSent(Event):
    """What this rebalance trades was given to the desk, in its order: the id of an order ends with its number."""

    TOPIC = "orders.sent.v1"
    rebalance_id: str
    run_id: str
    orders: tuple[Order, ...]


class OrdersCancelled(Event):
    """What is open of the orders of this rebalance is wanted no more; what is filled of them all the same counts."""

    TOPIC = "orders.cancelled.v1"
    rebalance_id: str


OrderEvent: TypeAlias = BlotterBegun | OrdersSent | OrdersCancelled


class Blotter(Aggregate):
    """The orders of a portfolio; its natural key is the portfolio id. Only the last set can be open."""

    TOPIC = "orders"

    last: OrderSet | None = None

    @classmethod
    def begin(cls, portfolio_id: str, at: datetime) -> Self:
        """Return the blotter before its first orders."""
        return cls._create(BlotterBegun, id=cls.stream(portfolio_id), timestamp=at)

    @property
    def portfolio_id(self) -> str:
        """The natural key."""
        return self.key

    def send(self, rebalance_id: str, run_id: str, orders: Sequence[Order], at: datetime, *, last_filled: bool) -> None:
        """Give the orders of a rebalance to the desk; those sent last stay as they are when they are sent again.

        ``last_filled`` says whether the last set is completely filled. Raises ``RuleViolated`` where there is nothing
        to trade, or where the last set is still open: its fills would change what the new one was made from.
        """
        last = self.last
        if last is not None and last.rebalance_id == rebalance_id:
            return
        if not orders:
            raise RuleViolated(f"rebalance {rebalance_id} trades nothing: there are no orders to be sent")
        if last is not None and last.cancelled_at is None and not last_filled:
            raise RuleViolated(
                f"orders of portfolio {self.portfolio_id} are open, those of rebalance {last.rebalance_id}: "
                f"let them be filled, or cancel them first"
            )
        self.trigger_event(OrdersSent, timestamp=at, rebalance_id=rebalance_id, run_id=run_id, orders=tuple(orders))

    def cancel(self, rebalance_id: str, at: datetime, *, status: OrderStatus) -> None:
        """Let what is open of the orders of this rebalance be wanted no more; ``status`` is where they stand.

        Raises ``RuleViolated`` where none is open, ``NotFound`` where they are not the last that were sent.
        """
        if status is not OrderStatus.OPEN:
            raise RuleViolated(f"the orders of rebalance {rebalance_id} are {status}: none is open to be cancelled")
        if self.last is None or self.last.rebalance_id != rebalance_id:
            raise NotFound(f"orders of rebalance {rebalance_id!r} were not sent")
        self.trigger_event(OrdersCancelled, timestamp=at, rebalance_id=rebalance_id)

    def evolve(self, event: OrderEvent) -> None:
        match event:
            case BlotterBegun():
                pass
            case OrdersSent():
                self.last = OrderSet(rebalance_id=event.rebalance_id, orders=event.orders, sent_at=event.timestamp)
            case OrdersCancelled(timestamp=at):
                self.last = None if self.last is None else msgspec.structs.replace(self.last, cancelled_at=at)
            case _:
                assert_never(event)


def orders_of(rebalance_id: str, run: RunFacts, rebalance: RebalanceFacts) -> tuple[Order, ...]:
    """Return the orders of a rebalance, one for each of its transactions in their order: sells first."""
    return tuple(
        Order(
            f"{rebalance_id}-{line}", TradeType(trade.transaction_type), trade.security_id, trade.quantity, trade.price
        )
        for line, trade in enumerate(trades(run, rebalance), 1)
    )


def place_of(order_id: str | None) -> tuple[str, int] | None:
    """Return the rebalance and the number of its order that this id names; None for an id that is none of ours."""
    found = _ORDER_ID.match(order_id or "")
    return (found[1], int(found[2])) if found else None
