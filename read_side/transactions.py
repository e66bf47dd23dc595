"""The view of transactions, every one of every portfolio, and what can be asked of it (seed 004)."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from domain.errors import NotFound
from domain.portfolio import PORTFOLIO_ID, TransactionType
from domain.values import money
from read_side.lookup import settled
from read_side.signals import Signals
from read_side.store import Found, Kind, Row, Search, SearchableViewStore, View
from read_side.wire import amount, encode, moment, number


class TransactionRow(Row, frozen=True, kw_only=True, gc=False):
    """One transaction (seed 004 ``portfolio_transactions``), which nothing changes any more.

    ``transaction_value`` is what it moved, always positive; ``realized_pnl`` is the profit of a sale or a cover.
    """

    portfolio_id: str
    instrument_id: str
    transaction_type: TransactionType
    quantity: Decimal
    price: Decimal
    transaction_value: Decimal
    transaction_date: datetime
    realized_pnl: Decimal | None = None

    @property
    def key(self) -> str:
        """Where the row stands: keys of one portfolio sort by the position of the event."""
        return f"{self.portfolio_id}/{self.position:019d}"


TRANSACTIONS = View(
    name="transactions",
    row=TransactionRow,
    key="key",
    fields={
        "portfolio_id": Kind.KEYWORD,
        "instrument_id": Kind.KEYWORD,
        "transaction_type": Kind.KEYWORD,
        "transaction_date": Kind.MOMENT,
    },
    rest=0.1,
    copied=True,
)


class KnowsPortfolios(Protocol):
    """Says whether a portfolio exists: ``read_side.portfolio.Portfolios``."""

    async def by_id(self, portfolio_id: str, *, at_least: int = 0, wait: float = 2.0) -> Any:
        """Return the portfolio; raises ``NotFound``, and ``NotYet`` while that cannot be said at ``at_least``."""


class Transactions:
    """The queries on transactions.

    ``at_least`` is the log position the answer must include, ``wait`` how many seconds to wait for it; each raises
    ``NotYet`` when a view that is needed is still behind then, and ``StoreUnavailable``.
    """

    def __init__(self, store: SearchableViewStore, signals: Signals, portfolios: KnowsPortfolios) -> None:
        self._store = store
        self._signals = signals
        self._portfolios = portfolios

    async def of_portfolio(
        self,
        portfolio_id: str,
        *,
        instrument_id: str | None = None,
        transaction_type: TransactionType | None = None,
        earliest: datetime | None = None,
        latest: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
        at_least: int = 0,
        wait: float = 2.0,
    ) -> Found[TransactionRow]:
        """Return transactions of the portfolio, the last recorded first; ``earliest`` and ``latest`` are included.

        Raises ``NotFound`` for a portfolio that does not exist, ``Invalid`` for a cursor that no such page gave.
        """
        if not PORTFOLIO_ID.match(portfolio_id):
            raise NotFound(f"portfolio {portfolio_id[:100]!a} does not exist")
        deadline = time.monotonic() + wait
        equals = {
            "portfolio_id": portfolio_id,
            "instrument_id": instrument_id,
            "transaction_type": transaction_type and transaction_type.value,
        }
        asked = Search(
            equals={name: value for name, value in equals.items() if value is not None},
            between={"transaction_date": (earliest, latest)},
            key_below=_after(portfolio_id),
            sort="-portfolio_id",  # which is the same in all of them, so that the key is the order
            limit=limit,
            cursor=cursor,
            at_least=at_least,
        )

        async def ask() -> Found[TransactionRow]:
            return await self._store.search(TRANSACTIONS, asked)

        found = await settled(ask, TRANSACTIONS, self._store, self._signals, at_least=at_least, wait=wait)
        if not found.rows:
            await self._portfolios.by_id(portfolio_id, at_least=at_least, wait=deadline - time.monotonic())
        return found


def _after(portfolio_id: str) -> str:
    """Return what sorts behind all keys of the portfolio, for ``0`` comes next to ``/``.

    So the index over the keys alone, which the planner takes for a portfolio that has most of the rows, is not read
    through the portfolios behind it.
    """
    return f"{portfolio_id}0"


def list_json(rows: Iterable[TransactionRow], cursor: str | None) -> bytes:
    """Return a page of transactions as a list of ours: ``{"items": [...], "next": cursor or null}``."""
    return encode({"items": [_shown(row) for row in rows], "next": cursor})


def _shown(row: TransactionRow) -> dict[str, Any]:
    """Return the members of the seed in its order, then ours."""
    return {
        "portfolio_id": row.portfolio_id,
        "instrument_id": row.instrument_id,
        "transaction_type": row.transaction_type,
        "quantity": number(row.quantity),
        "price": number(row.price),
        "transaction_value": amount(money(row.transaction_value)),
        "transaction_date": moment(row.transaction_date),
        "realized_pnl": None if row.realized_pnl is None else amount(money(row.realized_pnl)),
        "position": row.position,
    }
