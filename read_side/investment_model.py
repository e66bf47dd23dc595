"""The view of investment models, of two kinds of rows, and what can be asked of it (seed 002).

One kind are the models themselves, the other the models that a portfolio follows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol

from domain.errors import NotFound
from domain.investment_model import ModelPosition
from domain.portfolio import PORTFOLIO_ID
from read_side.lookup import Lookup, settled
from read_side.signals import Signals
from read_side.store import Counted, Kind, Listed, Row, SearchableViewStore, View
from read_side.wire import encode, moment, number

SORTS = ("model_id", "name", "last_rebalance_date")
"""The members by which models are sorted."""
_MODEL_ID = re.compile(r"[0-9a-f]{24}\Z")


class ModelRow(Row, frozen=True, kw_only=True, gc=False, tag="model"):
    """A live model; ``version`` is the aggregate's, which a rebalance does not move."""

    model_id: str
    name: str
    positions: tuple[ModelPosition, ...]
    portfolios: tuple[str, ...]
    last_rebalance_date: datetime | None = None
    version: int

    @property
    def key(self) -> str:
        """Where the row stands."""
        return self.model_id


class FollowedRow(Row, frozen=True, kw_only=True, gc=False, tag="followed"):
    """The ids of the live models that a portfolio follows, one at least, in the order in which it came to."""

    portfolio_id: str
    model_ids: tuple[str, ...]

    @property
    def key(self) -> str:
        """Where the row stands."""
        return followed_key(self.portfolio_id)


InvestmentModelRow = ModelRow | FollowedRow

INVESTMENT_MODELS: View[InvestmentModelRow] = View(
    name="investment_models",
    row=InvestmentModelRow,
    key="key",
    fields={"model_id": Kind.KEYWORD, "name": Kind.KEYWORD, "last_rebalance_date": Kind.MOMENT},
    rest=0.1,
    copied=True,
)


def followed_key(portfolio_id: str) -> str:
    """Return the key of the row of the models that a portfolio follows."""
    return f"portfolio/{portfolio_id}"


class InvestmentModels:
    """The queries on models.

    Each takes ``at_least``, the log position the answer must include, and ``wait``, how many seconds to wait for it;
    raises ``NotYet`` when the view is still behind then, and ``StoreUnavailable``.
    """

    def __init__(self, store: SearchableViewStore, signals: Signals) -> None:
        self._store = store
        self._signals = signals
        self._lookup = Lookup(INVESTMENT_MODELS, store, signals)

    async def by_id(self, model_id: str, *, at_least: int = 0, wait: float = 2.0) -> ModelRow:
        """Return the model; raises ``NotFound``."""
        known = _MODEL_ID.match(model_id)
        row = await self._lookup.get(model_id, at_least=at_least, wait=wait) if known else None
        if not isinstance(row, ModelRow):
            raise NotFound(f"model {model_id[:100]!a} does not exist")
        return row

    async def last_rebalance_date(self, model_id: str, *, at_least: int = 0, wait: float = 2.0) -> datetime | None:
        """Return when the model was last rebalanced; None where it never was, or is not there."""
        try:
            return (await self.by_id(model_id, at_least=at_least, wait=wait)).last_rebalance_date
        except NotFound:
            return None

    async def of_portfolio(self, portfolio_id: str, at_least: int = 0, wait: float = 2.0) -> tuple[str, ...]:
        """Return the ids of the live models that the portfolio follows, in the order in which it came to."""
        if not PORTFOLIO_ID.match(portfolio_id):
            return ()
        row = await self._lookup.get(followed_key(portfolio_id), at_least=at_least, wait=wait)
        return row.model_ids if isinstance(row, FollowedRow) else ()

    async def list(
        self,
        sort: tuple[str, ...] = ("name",),
        *,
        offset: int = 0,
        limit: int = 50,
        at_least: int = 0,
        wait: float = 2.0,
    ) -> Counted[InvestmentModelRow]:
        """Return a part of all models and how many there are; ``sort`` are ``SORTS``, with ``-`` for descending.

        Models that were never rebalanced come last in both directions; between equals the ``model_id`` decides.
        """
        asked = Listed(has="name", sort=sort, offset=offset, limit=limit, at_least=at_least)

        async def ask() -> Counted[InvestmentModelRow]:
            return await self._store.listed(INVESTMENT_MODELS, asked)

        return await settled(ask, INVESTMENT_MODELS, self._store, self._signals, at_least=at_least, wait=wait)


class Model(Protocol):
    """A model as it is shown: a row of the view, or the aggregate."""

    @property
    def model_id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def portfolios(self) -> tuple[str, ...]: ...
    @property
    def version(self) -> int: ...


def model_json(model: Model, positions: Iterable[ModelPosition], last_rebalance_date: datetime | None) -> bytes:
    """Return the model as it is answered (seed 002 ``ModelDTO``); targets and drifts in percent, exactly."""
    return encode(_shown(model, positions, last_rebalance_date))


def row_json(row: ModelRow) -> bytes:
    """Return a row of the view as it is answered."""
    return model_json(row, row.positions, row.last_rebalance_date)


def list_json(rows: Iterable[InvestmentModelRow]) -> bytes:
    """Return the models among the rows as a bare array."""
    return encode([_shown(row, row.positions, row.last_rebalance_date) for row in rows if isinstance(row, ModelRow)])


def _shown(model: Model, positions: Iterable[ModelPosition], last_rebalance_date: datetime | None) -> dict[str, Any]:
    return {
        "model_id": model.model_id,
        "name": model.name,
        "positions": [
            {
                "security_id": position.security_id,
                "target": number(position.target),
                "low_drift": number(position.low_drift),
                "high_drift": number(position.high_drift),
            }
            for position in positions
        ],
        "portfolios": model.portfolios,
        "last_rebalance_date": None if last_rebalance_date is None else moment(last_rebalance_date),
        "version": model.version,
    }
