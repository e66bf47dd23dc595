"""The view of the orders of rebalances with what is filled of them, and what can be asked of it."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import msgspec

from domain.errors import NotFound
from domain.execution import TradeType
from domain.order import Order, OrderSet, OrderStatus, Residual, order_status, residuals, set_status
from domain.values import EXACT, ZERO
from read_side.lookup import settled
from read_side.rebalance import RebalanceRow, Rebalances, RunRow
from read_side.signals import Signals
from read_side.store import Row, Rows, View, ViewStore

_ID = re.compile(r"[0-9a-f]{24}\Z")
"""The ids of rebalances; nothing else is asked of the database."""


class Fill(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one execution has brought for the order that it names; its id is a log position."""

    execution_id: int
    order_id: str
    portfolio_id: str
    transaction_type: TradeType
    security_id: str
    quantity_filled: Decimal
    average_price: Decimal


class OrderLine(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An order and what is filled of it: how much, for how much money, exactly, by which executions."""

    order: Order
    filled: Decimal = ZERO
    amount: Decimal = ZERO
    execution_ids: tuple[int, ...] = ()


class OrdersRow(Row, frozen=True, kw_only=True, gc=False):
    """The orders of a rebalance.

    ``unmatched`` are fills that name one of its orders and are of another portfolio, security or side, or name one
    that it does not have; while ``sent_at`` is None no orders are known, and all that came before them wait there.
    ``version`` is the blotter's after the last event that was about these orders.
    """

    rebalance_id: str
    portfolio_id: str = ""
    version: int = 0
    sent_at: datetime | None = None
    cancelled_at: datetime | None = None
    lines: tuple[OrderLine, ...] = ()
    unmatched: tuple[Fill, ...] = ()

    @property
    def statuses(self) -> list[OrderStatus]:
        """Where each of the orders stands."""
        cancelled = self.cancelled_at is not None
        return [order_status(line.order.quantity, line.filled, cancelled=cancelled) for line in self.lines]

    @property
    def status(self) -> OrderStatus:
        """Where the orders stand together."""
        return set_status(self.statuses, cancelled=self.cancelled_at is not None)

    @property
    def moved(self) -> dict[str, Decimal]:
        """What the fills have brought of each security, negative for what was sold."""
        return {
            line.order.security_id: line.filled if _bought(line) else line.filled.copy_negate() for line in self.lines
        }


ORDERS: View[OrdersRow] = View(name="orders", row=OrdersRow, key="rebalance_id", rest=0.1)


class Standing(msgspec.Struct, frozen=True):
    """Orders that were sent, as they were, and where they stand."""

    orders: OrderSet
    status: OrderStatus


@dataclass(frozen=True, slots=True)
class Sent:
    """The orders of a rebalance, with it and its run; None where it was deleted since."""

    row: OrdersRow
    sent_at: datetime
    of: tuple[RunRow, RebalanceRow] | None

    @property
    def residuals(self) -> list[Residual] | None:
        """What every security is now, None where the rebalance was deleted."""
        return None if self.of is None else residuals(*self.of, self.row.moved)

    @property
    def cash_after(self) -> Decimal | None:
        """Cash of the rebalance with what sells have brought and buys have cost so far, exactly."""
        if self.of is None:
            return None
        cash = self.of[1].cash_before
        for line in self.row.lines:
            cash = (EXACT.subtract if _bought(line) else EXACT.add)(cash, line.amount)
        return cash


class Orders:
    """The queries on orders.

    Each takes ``at_least``, the log position the answer must include, and ``wait``, how many seconds to wait for it;
    raises ``NotYet`` when a view that is needed is still behind then, and ``StoreUnavailable``.
    """

    def __init__(self, store: ViewStore, signals: Signals, rebalances: Rebalances) -> None:
        self._store, self._signals, self._rebalances = store, signals, rebalances

    async def of_rebalance(self, rebalance_id: str, *, at_least: int = 0, wait: float = 2.0) -> Sent:
        """Return the orders of the rebalance; raises ``NotFound`` where none were sent."""
        deadline = time.monotonic() + wait
        row = (await self._rows([rebalance_id], at_least, wait)).get(rebalance_id)
        if row is None or row.sent_at is None:
            raise NotFound(f"orders of rebalance {rebalance_id[:100]!a} were not sent")
        since = max(at_least, row.position)
        try:
            of = await self._rebalances.by_id(rebalance_id, at_least=since, wait=max(0.0, deadline - time.monotonic()))
        except NotFound:
            return Sent(row, row.sent_at, None)
        return Sent(row, row.sent_at, of)

    async def beside(
        self, run: RunRow, rebalance: RebalanceRow, *, at_least: int = 0, wait: float = 2.0
    ) -> Sent | None:
        """Return the orders of a rebalance that was read already; None where none were sent."""
        key = rebalance.rebalance_id
        row = (await self._rows([key], at_least, wait)).get(key)
        return None if row is None or row.sent_at is None else Sent(row, row.sent_at, (run, rebalance))

    async def standing(
        self, rebalance_ids: Collection[str], at_least: int, wait: float = 2.0
    ) -> Mapping[str, Standing]:
        """Return of these rebalances those whose orders were sent, and where they stand."""
        rows = await self._rows(rebalance_ids, at_least, wait)
        return {
            key: Standing(
                OrderSet(
                    rebalance_id=key,
                    orders=tuple(line.order for line in row.lines),
                    sent_at=row.sent_at,
                    cancelled_at=row.cancelled_at,
                ),
                row.status,
            )
            for key, row in rows.items()
            if row.sent_at is not None
        }

    async def _rows(self, rebalance_ids: Collection[str], at_least: int, wait: float) -> Mapping[str, OrdersRow]:
        keys = [rebalance_id for rebalance_id in rebalance_ids if _ID.match(rebalance_id)]

        async def ask() -> Rows[OrdersRow]:
            return await self._store.get_many(ORDERS, keys)

        return (await settled(ask, ORDERS, self._store, self._signals, at_least=at_least, wait=wait)).rows


def _bought(line: OrderLine) -> bool:
    return line.order.transaction_type is TradeType.BUY
