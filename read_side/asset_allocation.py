"""The views of allocations and of what rebalances have to trade, and what can be asked of them (seed 000)."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from domain.asset_allocation import Action, Allocation
from domain.errors import NotFound, NotYet, RebalancePending
from domain.portfolio import PORTFOLIO_ID
from read_side import lookup
from read_side.signals import Signals
from read_side.store import Counted, Kind, Listed, Row, Rows, SearchableViewStore, View
from read_side.wire import encode, number


class Pending(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A rebalance that is not booked yet: version and position of its request."""

    version: int
    position: int


class AllocationRow(Row, frozen=True, kw_only=True):
    """The target allocation of a user, as it counts now, and the rebalances that are pending, the oldest first."""

    user_id: str
    allocation: Allocation
    pending: tuple[Pending, ...] = ()


ALLOCATIONS = View(name="allocations", row=AllocationRow, key="user_id", rest=0.1)


class RebalanceTransactionRow(Row, frozen=True, kw_only=True, gc=False):
    """One transaction of a rebalance (seed 000 ``RebalanceTransaction``), which nothing changes any more.

    ``number`` is its place in the rebalance, which was booked at ``position``.
    """

    user_id: str
    action: Action
    asset: str
    rebalance_percent: Decimal
    number: int

    @property
    def key(self) -> str:
        """Where the row stands: keys of one user sort in booking order."""
        return f"{self.user_id}/{self.position:019d}/{self.number:05d}"


REBALANCE_TRANSACTIONS = View(
    name="rebalance_transactions",
    row=RebalanceTransactionRow,
    key="key",
    fields={"user_id": Kind.KEYWORD},
    rest=0.1,
    copied=True,
)


class KnownPortfolio(Protocol):
    """Of a portfolio: its version, and the position of the event that gave it."""

    @property
    def version(self) -> int: ...
    @property
    def position(self) -> int: ...


class KnowsPortfolios(Protocol):
    """Knows the version of every portfolio: ``read_side.portfolio.Portfolios``."""

    async def by_id(self, portfolio_id: str, *, at_least: int = 0, wait: float = 2.0) -> KnownPortfolio:
        """Return the portfolio; raises ``NotFound``, and ``NotYet`` while that cannot be said at ``at_least``."""


class Allocations:
    """The queries on allocations.

    Each takes ``at_least``, the log position the answer must include, and ``wait``, how many seconds to wait for it;
    with ``settled`` also for what is pending of what was asked for up to that position (without one: up to the head of
    the log). Raises ``NotFound`` for a user without an allocation, ``NotYet`` when a view that
    is needed is still behind then, ``RebalancePending`` when something is still pending, and ``StoreUnavailable``.
    """

    def __init__(
        self,
        store: SearchableViewStore,
        signals: Signals,
        portfolios: KnowsPortfolios,
        head: Callable[[], Awaitable[int]],
    ) -> None:
        """``head`` returns the position of the last event of the log."""
        self._store = store
        self._signals = signals
        self._portfolios = portfolios
        self._head = head

    async def of_user(
        self, user_id: str, *, settled: bool = False, at_least: int = 0, wait: float = 2.0
    ) -> tuple[AllocationRow, int | None]:
        """Return the allocation of the user, and the version of the portfolio: the allocation is not older than it.

        The version is None where it cannot be told in time: it is in another view, and needs both of them.
        """
        deadline = time.monotonic() + wait
        row, here = await self._row(user_id, settled=settled, at_least=at_least, deadline=deadline)
        try:
            portfolio = await self._portfolios.by_id(user_id, at_least=row.position, wait=deadline - time.monotonic())
            if here < portfolio.position:
                row, _ = await self._read(user_id, portfolio.position, deadline)
        except NotYet:
            return row, None
        return row, portfolio.version

    async def transactions_of(
        self, user_id: str, *, settled: bool = False, at_least: int = 0, wait: float = 2.0
    ) -> list[RebalanceTransactionRow]:
        """Return all transactions of the user's rebalances, in the order in which they were booked."""
        deadline = time.monotonic() + wait
        row, _ = await self._row(user_id, settled=settled, at_least=at_least, deadline=deadline)

        enough = max(at_least, row.position)

        async def ask() -> Counted[RebalanceTransactionRow]:
            asked = Listed(equals={"user_id": user_id}, at_least=enough)
            return await self._store.listed(REBALANCE_TRANSACTIONS, asked)

        found = await lookup.settled(
            ask,
            REBALANCE_TRANSACTIONS,
            self._store,
            self._signals,
            at_least=enough,
            wait=deadline - time.monotonic(),
        )
        return found.rows

    async def _row(self, user_id: str, *, settled: bool, at_least: int, deadline: float) -> tuple[AllocationRow, int]:
        until = await self._head() if settled and not at_least else at_least
        row, here = await self._read(user_id, until, deadline)
        while settled and (waiting := [request.position for request in row.pending if request.position <= until]):
            try:
                row, here = await self._read(user_id, here + 1, deadline)
            except NotYet:
                raise RebalancePending(user_id, waiting) from None
        return row, here

    async def _read(self, user_id: str, at_least: int, deadline: float) -> tuple[AllocationRow, int]:
        """Return the user's row and the position it was read at."""
        if not PORTFOLIO_ID.match(user_id):
            raise _without(user_id)

        async def ask() -> Rows[AllocationRow]:
            return await self._store.get_many(ALLOCATIONS, [user_id])

        wait = deadline - time.monotonic()
        read = await lookup.settled(ask, ALLOCATIONS, self._store, self._signals, at_least=at_least, wait=wait)
        if (row := read.rows.get(user_id)) is None:
            raise _without(user_id)
        return row, read.checkpoint.position


def _without(user_id: str) -> NotFound:
    return NotFound(f"portfolio {user_id[:100]!a} has no allocation")


def accepted_json(user_id: str, member: str, percents: Mapping[str, Decimal], message: str) -> bytes:
    """Return the answer to an accepted request: what was asked for, under the name it has there, and the message."""
    shown = {asset: number(percent) for asset, percent in percents.items()}
    return _envelope({"user_id": user_id, member: shown}, message)


def allocation_json(row: AllocationRow) -> bytes:
    """Return the allocation as it is answered: percentages by asset, and how many rebalances are pending."""
    shown = {share.asset: number(share.percent) for share in row.allocation}
    return _envelope({"user_id": row.user_id, "allocation": shown, "pending": len(row.pending)}, "Portfolio found")


def transactions_json(rows: Iterable[RebalanceTransactionRow]) -> bytes:
    """Return the transactions as they are answered, with the members of the seed."""
    shown = [
        {
            "user_id": row.user_id,
            "action": row.action,
            "asset": row.asset,
            "rebalance_percent": number(row.rebalance_percent),
        }
        for row in rows
    ]
    return _envelope(shown, "Transactions found")


def _envelope(data: Any, message: str) -> bytes:
    """Return seed 000's ``APIResponse``."""
    return encode({"success": True, "data": data, "message": message})
