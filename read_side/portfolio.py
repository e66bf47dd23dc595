"""The view of portfolios and what can be asked of it (seed 004, Portfolio State Service)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import msgspec

from domain.errors import NotFound
from domain.portfolio import CASH, PORTFOLIO_ID, Status
from domain.valuation import ValuedPortfolio, ValuedPosition, value
from read_side.lookup import Lookup, settled
from read_side.signals import Signals
from read_side.store import Found, HotCopy, Kind, Row, Search, SearchableViewStore, View
from read_side.wire import amount, encode, moment, number

MAX_LIMIT = 1000


class PortfolioRow(Row, frozen=True, kw_only=True, gc=False):
    """The facts of one portfolio; they satisfy ``domain.valuation.Holdings``.

    ``version`` is the aggregate's, ``opened`` the position of its first event.
    """

    portfolio_id: str
    portfolio_name: str
    status: Status
    cash: Decimal
    last_updated: datetime
    version: int
    opened: int


PORTFOLIOS = View(
    name="portfolios",
    row=PortfolioRow,
    key="portfolio_id",
    fields={
        "portfolio_id": Kind.TEXT,
        "portfolio_name": Kind.TEXT,
        "status": Kind.KEYWORD,
        "opened": Kind.POSITION,
    },
    hot="portfolio:{}:facts",
)


_KEPT = 10_000
"""So many rendered states stay in memory; equal facts have equal bytes."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """JSON bytes as they are sent, and the aggregate's version for the ``ETag``."""

    body: bytes
    version: int


class Portfolios:
    """The queries on portfolios.

    Each takes ``at_least``, the log position the answer must include, and ``wait``, how many seconds to wait for it;
    raises ``NotYet`` when the view is still behind then, and ``StoreUnavailable``.
    """

    def __init__(self, store: SearchableViewStore, signals: Signals, hot: HotCopy | None = None) -> None:
        self._store = store
        self._signals = signals
        self._lookup = Lookup(PORTFOLIOS, store, signals, hot)
        self._rendered: dict[str, tuple[PortfolioRow, Rendered]] = {}

    async def by_id(self, portfolio_id: str, *, at_least: int = 0, wait: float = 2.0) -> PortfolioRow:
        """Return the facts of the portfolio; raises ``NotFound``."""
        known = PORTFOLIO_ID.match(portfolio_id)
        row = await self._lookup.get(portfolio_id, at_least=at_least, wait=wait) if known else None
        if row is None:
            raise NotFound(f"portfolio {portfolio_id} does not exist")
        return row

    async def state(self, portfolio_id: str, *, at_least: int = 0, wait: float = 2.0) -> Rendered:
        """Return the portfolio as seed 004's ``PortfolioState``; raises ``NotFound``."""
        row = await self.by_id(portfolio_id, at_least=at_least, wait=wait)
        known = self._rendered.get(portfolio_id)
        if known is not None and known[0] == row:
            return known[1]
        rendered = Rendered(state_json(value(row)), row.version)
        if len(self._rendered) >= _KEPT:
            self._rendered.clear()
        self._rendered[portfolio_id] = row, rendered
        return rendered

    async def search(
        self,
        text: str | None = None,
        status: Status | None = None,
        *,
        limit: int = 50,
        cursor: str | None = None,
        at_least: int = 0,
        wait: float = 2.0,
    ) -> Found[PortfolioRow]:
        """Return portfolios, the last opened first: with ``text`` in id or name whatever the case, in this status.

        Raises ``Invalid`` for a cursor that no such page gave.
        """
        asked = Search(
            equals={} if status is None else {"status": status.value},
            text=text,
            text_fields=("portfolio_id", "portfolio_name"),
            sort="-opened",
            limit=limit,
            cursor=cursor,
        )

        async def ask() -> Found[PortfolioRow]:
            return await self._store.search(PORTFOLIOS, asked)

        return await settled(ask, PORTFOLIOS, self._store, self._signals, at_least=at_least, wait=wait)

    async def in_status(self, status: Status, *, limit: int = 50, cursor: str | None = None) -> Found[PortfolioRow]:
        """Return the portfolios in this status, the last opened first."""
        return await self.search(status=status, limit=limit, cursor=cursor)


def state_json(portfolio: ValuedPortfolio) -> bytes:
    """Return seed 004's ``PortfolioState``, its members in the seed's order, then ours."""
    return encode(
        {
            "portfolio_id": portfolio.portfolio_id,
            "total_value": amount(portfolio.total_value),
            "cash_balance": amount(portfolio.cash_balance),
            "positions": [_position(position) for position in portfolio.positions],
            "weights": {position.instrument_id: number(position.weight) for position in portfolio.positions},
            "last_updated": moment(portfolio.last_updated),
            "status": portfolio.status,
            "portfolio_name": portfolio.portfolio_name,
            "overdrawn": portfolio.overdrawn,
        }
    )


def list_json(rows: Iterable[PortfolioRow], cursor: str | None) -> bytes:
    """Return a page of portfolios as a list of ours: ``{"items": [...], "next": cursor or null}``."""
    items = [
        {"portfolio_id": row.portfolio_id, "portfolio_name": row.portfolio_name, "status": row.status} for row in rows
    ]
    return encode({"items": items, "next": cursor})


def _position(position: ValuedPosition) -> dict[str, str | msgspec.Raw]:
    """Return one entry of ``positions``; the quantity of cash is money."""
    quantity = amount if position.instrument_id == CASH else number
    return {
        "instrument_id": position.instrument_id,
        "position_type": position.position_type,
        "quantity": quantity(position.quantity),
        "market_value": amount(position.market_value),
        "weight": number(position.weight),
        "unrealized_pnl": amount(position.unrealized_pnl),
        "cost_basis": amount(position.cost_basis),
        "last_updated": moment(position.last_updated),
    }
