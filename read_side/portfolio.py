"""The view of portfolios and what can be asked of it (seed 004, Portfolio State Service)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from domain.errors import NotFound
from domain.portfolio import PORTFOLIO_ID, Holding, Status
from domain.values import ZERO
from read_side.lookup import Lookup, settled
from read_side.signals import Signals
from read_side.store import Found, HotCopy, Kind, Row, Search, SearchableViewStore, View

MAX_LIMIT = 1000


class PortfolioRow(Row, frozen=True, kw_only=True, gc=False):
    """The facts of one portfolio; they satisfy ``domain.valuation.Holdings``.

    ``version`` is the aggregate's, ``opened`` the position of its first event; ``realized`` is the profit of all sales
    and covers, ``income`` the dividends, ``fees`` the fees ever paid.
    """

    portfolio_id: str
    portfolio_name: str
    status: Status
    cash: Decimal
    cash_updated: datetime
    positions: dict[str, Holding] = msgspec.field(default_factory=dict)
    last_updated: datetime
    realized: Decimal = ZERO
    income: Decimal = ZERO
    fees: Decimal = ZERO
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
    version=2,
)


class Portfolios:
    """The queries on portfolios.

    Each takes ``at_least``, the log position the answer must include, and ``wait``, how many seconds to wait for it;
    raises ``NotYet`` when the view is still behind then, and ``StoreUnavailable``.
    """

    def __init__(self, store: SearchableViewStore, signals: Signals, hot: HotCopy | None = None) -> None:
        self._store = store
        self._signals = signals
        self._lookup = Lookup(PORTFOLIOS, store, signals, hot)

    async def by_id(self, portfolio_id: str, *, at_least: int = 0, wait: float = 2.0) -> PortfolioRow:
        """Return the facts of the portfolio; raises ``NotFound``."""
        known = PORTFOLIO_ID.match(portfolio_id)
        row = await self._lookup.get(portfolio_id, at_least=at_least, wait=wait) if known else None
        if row is None:
            raise NotFound(f"portfolio {portfolio_id} does not exist")
        return row

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
