"""The view of the orders of rebalances with what is filled of them, and what can be asked of it."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, TypeAlias

import msgspec

from domain.errors import NotFound
from domain.execution import Booking, TradeType
from domain.order import Order, OrderSet, OrderStatus, Residual, order_status, residuals, set_status
from domain.values import EXACT, ZERO
from read_side.lookup import settled
from read_side.rebalance import RebalanceRow, Rebalances, RunRow
from read_side.signals import Signals
from read_side.store import Found, Kind, Row, Rows, Search, SearchableViewStore, View

_ID = re.compile(r"[0-9a-f]{24}\Z")
"""The ids of rebalances; nothing else is asked of the database."""
SHOWN: Final = 100
"""So many executions are kept one by one for an order, and of those that fit none; the others are only counted."""


class Fill(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one execution has brought for the order that it names; its id is a log position."""

    execution_id: int
    order_id: str
    portfolio_id: str
    transaction_type: TradeType
    security_id: str
    quantity_filled: Decimal
    average_price: Decimal


class Fills(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is filled of an order: how much, for how much money, exactly, by how many executions, and the first 100."""

    quantity: Decimal = ZERO
    amount: Decimal = ZERO
    count: int = 0
    execution_ids: tuple[int, ...] = ()


class OrderLine(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An order and what is filled of it."""

    order: Order
    fills: Fills = Fills()


class OrdersRow(Row, frozen=True, kw_only=True, gc=False, tag="orders"):
    """The orders of a rebalance.

    ``unmatched`` are the first 100 fills that name one of its orders and are of another portfolio, security or side,
    or name one that it does not have, and ``unmatched_count`` says how many there are. While ``sent_at`` is None no
    orders are known, and all fills are unmatched: what they sum up to stands in rows of its own (``EarlyRow``).
    ``version`` is the blotter's after the last event that was about these orders.
    """

    rebalance_id: str
    portfolio_id: str = ""
    version: int = 0
    sent_at: datetime | None = None
    cancelled_at: datetime | None = None
    lines: tuple[OrderLine, ...] = ()
    unmatched: tuple[Fill, ...] = ()
    unmatched_count: int = 0

    @property
    def key(self) -> str:
        """Where the row stands."""
        return self.rebalance_id

    @property
    def statuses(self) -> list[OrderStatus]:
        """Where each of the orders stands."""
        cancelled = self.cancelled_at is not None
        return [order_status(line.order.quantity, line.fills.quantity, cancelled=cancelled) for line in self.lines]

    @property
    def status(self) -> OrderStatus:
        """Where the orders stand together."""
        return set_status(self.statuses, cancelled=self.cancelled_at is not None)

    @property
    def moved(self) -> dict[str, Decimal]:
        """What the fills have brought of each security, negative for what was sold."""
        return {
            line.order.security_id: line.fills.quantity if _bought(line) else line.fills.quantity.copy_negate()
            for line in self.lines
        }


class EarlyRow(Row, frozen=True, kw_only=True, gc=False, tag="early"):
    """Fills of one order that is not known yet: they count for it if it turns out to be as ``key`` says."""

    key: str
    fills: Fills


class UnbookedRow(Row, frozen=True, kw_only=True, gc=False, tag="unbooked"):
    """An execution that names one of our orders and has filled something that is not booked; booked, it is no row.

    One that is not ``recorded``, because the look-up of its portfolio has failed, has no id yet (``execution_id`` is
    0); its portfolio is that of the orders.
    """

    execution_id: int
    service_id: int
    order_id: str
    portfolio_id: str
    recorded: bool = True
    booking: Booking = Booking.NONE
    booking_reason: str | None = None
    """Why it is parked, or why the look-up has failed."""

    @property
    def key(self) -> str:
        """Where the row stands."""
        return unbooked_key(self.service_id)

    @property
    def unbooked_of(self) -> str:
        """The portfolio that does not have what it has filled."""
        return self.portfolio_id


OrderRows: TypeAlias = OrdersRow | EarlyRow | UnbookedRow
ORDERS: View[OrderRows] = View(
    name="orders",
    row=OrdersRow | EarlyRow | UnbookedRow,
    key="key",
    fields={"execution_id": Kind.POSITION, "unbooked_of": Kind.KEYWORD},
    rest=0.1,
)


def early_key(order_id: str, portfolio_id: str, side: TradeType, security_id: str) -> str:
    """Return the key of the row of fills that came before this order."""
    return f"early/{order_id}/{side}/{security_id}/{portfolio_id}"


def unbooked_key(service_id: int) -> str:
    """Return the key of the row of an execution that is not booked."""
    return f"unbooked/{service_id}"


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
            cash = (EXACT.subtract if _bought(line) else EXACT.add)(cash, line.fills.amount)
        return cash


class Orders:
    """The queries on orders.

    Each takes ``at_least``, the log position the answer must include, and ``wait``, how many seconds to wait for it;
    raises ``NotYet`` when a view that is needed is still behind then, and ``StoreUnavailable``.
    """

    def __init__(self, store: SearchableViewStore, signals: Signals, rebalances: Rebalances) -> None:
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

    async def unbooked(self, portfolio_id: str, at_least: int, wait: float = 2.0) -> UnbookedRow | None:
        """Return the first execution of this portfolio that names one of our orders and is not booked; None: all are.

        One with nothing filled is not asked for. However many there are, one row is read.
        """
        asked = Search(equals={"unbooked_of": portfolio_id}, sort="execution_id", limit=1)

        async def ask() -> Found[OrderRows]:
            return await self._store.search(ORDERS, asked)

        found = await settled(ask, ORDERS, self._store, self._signals, at_least=at_least, wait=wait)
        return next((row for row in found.rows if isinstance(row, UnbookedRow)), None)

    async def _rows(self, rebalance_ids: Collection[str], at_least: int, wait: float) -> Mapping[str, OrdersRow]:
        keys = [rebalance_id for rebalance_id in rebalance_ids if _ID.match(rebalance_id)]

        async def ask() -> Rows[OrderRows]:
            return await self._store.get_many(ORDERS, keys)

        read = await settled(ask, ORDERS, self._store, self._signals, at_least=at_least, wait=wait)
        return {key: row for key, row in read.rows.items() if isinstance(row, OrdersRow)}


def _bought(line: OrderLine) -> bool:
    return line.order.transaction_type is TradeType.BUY
