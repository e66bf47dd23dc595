"""The view of rebalances and of the runs they were made in, and what can be asked of it (contract "002")."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from domain.errors import NotFound, NotYet
from domain.investment_model import ModelPosition
from domain.rebalance import Certificate, Failure, Options
from read_side.lookup import settled
from read_side.rebalance_rendering import list_json, rebalance_json
from read_side.signals import Signals
from read_side.slices import Slices
from read_side.store import Counted, Kind, Listed, Row, Rows, SearchableViewStore, View

_ID = re.compile(r"[A-Za-z0-9_.:-]{1,100}\Z")
"""What can be the id of a rebalance or a run, so that nothing else is asked of the database."""


class RunRow(Row, frozen=True, kw_only=True, gc=False, tag="run"):
    """A run with everything its rebalances were made from but what the portfolios had.

    ``done`` counts the rebalances recorded; an asynchronous run, which is asked about while it goes on, also knows
    their ids. ``failed`` counts the failures, of which an asynchronous run has a row of their own; it is None while the
    run goes on, as ``prices`` are until it has them.
    """

    run_id: str
    model_id: str
    model_name: str
    model_version: int
    positions: tuple[ModelPosition, ...]
    portfolios: tuple[str, ...]
    options: Options
    asynchronous: bool
    requested_at: datetime
    prices: dict[str, Decimal] | None = None
    source: str = ""
    price_position: int = 0
    trade_date: str = ""
    done: int = 0
    rebalances: tuple[str, ...] = ()
    failed: int | None = None

    @property
    def key(self) -> str:
        """Where the row stands."""
        return self.run_id

    @property
    def finished(self) -> bool:
        """Whether every portfolio has its result or is among the failures."""
        return self.failed is not None


class FailuresRow(Row, frozen=True, kw_only=True, gc=False, tag="failures"):
    """Why portfolios of an asynchronous run have no result: megabytes at worst, of no use to who sees a rebalance."""

    run_id: str
    failures: tuple[Failure, ...]

    @property
    def key(self) -> str:
        """Where the row stands."""
        return failures_key(self.run_id)


def failures_key(run_id: str) -> str:
    """Return where the failures of a run stand."""
    return f"{run_id}.failures"


class RebalanceRow(Row, frozen=True, kw_only=True, gc=False, tag="rebalance"):
    """The result for one portfolio; ``version`` is the aggregate's, ``recorded`` the position of its first event."""

    rebalance_id: str
    run_id: str
    model_id: str
    portfolio_id: str
    portfolio_name: str
    market_value: Decimal
    cash_before: Decimal
    cash_after: Decimal
    held: dict[str, Decimal]
    quantities: dict[str, Decimal]
    certificate: Certificate
    created_at: datetime
    version: int
    recorded: int

    @property
    def key(self) -> str:
        """Where the row stands."""
        return self.rebalance_id


REBALANCES: View[RunRow | RebalanceRow | FailuresRow] = View(
    name="rebalances",
    row=RunRow | RebalanceRow | FailuresRow,
    key="key",
    fields={"portfolio_id": Kind.KEYWORD, "recorded": Kind.POSITION},
    rest=0.1,
    copied=True,
)

T = TypeVar("T", RunRow, RebalanceRow)


@dataclass(frozen=True, slots=True)
class Rebalanced:
    """Rebalances with their runs by id, and how many there are in all where these are a part."""

    rows: list[RebalanceRow]
    runs: Mapping[str, RunRow]
    total: int

    async def json(self) -> bytes:
        """Return them as a bare list of ``RebalanceDTO``, made with pauses: there can be thousands, of many lines."""
        slices, shown = Slices(), []
        for row in self.rows:
            shown.append(rebalance_json(self.runs[row.run_id], row))
            await slices.pause()
        return list_json(shown)


class Rebalances:
    """The queries on rebalances.

    Each takes ``at_least``, the log position the answer must include, and ``wait``, how many seconds to wait for it;
    raises ``NotYet`` when the view is still behind then, and ``StoreUnavailable``.
    """

    def __init__(self, store: SearchableViewStore, signals: Signals) -> None:
        self._store = store
        self._signals = signals

    async def by_id(self, rebalance_id: str, *, at_least: int = 0, wait: float = 2.0) -> tuple[RunRow, RebalanceRow]:
        """Return the rebalance and its run; raises ``NotFound``."""
        row = await self._row(rebalance_id, RebalanceRow, at_least, wait)
        if row is None:
            raise NotFound(f"rebalance {rebalance_id[:100]!a} does not exist")
        return (await self._runs([row]))[row.run_id], row

    async def newest(self, *, offset: int = 0, limit: int = 10, at_least: int = 0, wait: float = 2.0) -> Rebalanced:
        """Return the rebalances from ``offset`` on, the last recorded first; and how many there are in all."""
        asked = Listed(has="recorded", sort=("-recorded",), offset=offset, limit=limit)
        return await self._listed(asked, at_least, wait)

    async def of_portfolios(self, portfolios: Collection[str], *, at_least: int = 0, wait: float = 2.0) -> Rebalanced:
        """Return all rebalances of these portfolios, the last recorded first."""
        asked = Listed(any_of={"portfolio_id": portfolios}, has="recorded", sort=("-recorded",))
        return await self._listed(asked, at_least, wait)

    async def operation(
        self, run_id: str, *, at_least: int = 0, wait: float = 2.0
    ) -> tuple[RunRow, tuple[Failure, ...]]:
        """Return the asynchronous run with its failures.

        Raises ``NotFound``, also for a run that was answered when it was done.
        """
        row = await self._row(run_id, RunRow, at_least, wait)
        if row is None or not row.asynchronous:
            raise NotFound(f"operation {run_id[:100]!a} does not exist")
        return row, await self._failures(row) if row.failed else ()

    async def _failures(self, run: RunRow) -> tuple[Failure, ...]:
        """Return the failures of an asynchronous run that has some, read after it; raises ``NotYet`` as ``_runs``."""
        key = failures_key(run.run_id)
        read = await self._store.get_many(REBALANCES, [key])
        row = read.rows.get(key)
        if not isinstance(row, FailuresRow):
            raise NotYet(REBALANCES.name, run.position, read.checkpoint.position)
        return row.failures

    async def _row(self, key: str, kind: type[T], at_least: int, wait: float) -> T | None:
        keys = [key] if _ID.match(key) else []

        async def ask() -> Rows[RunRow | RebalanceRow | FailuresRow]:
            return await self._store.get_many(REBALANCES, keys)

        read = await settled(ask, REBALANCES, self._store, self._signals, at_least=at_least, wait=wait)
        row = read.rows.get(key)
        return row if isinstance(row, kind) else None

    async def _listed(self, asked: Listed, at_least: int, wait: float) -> Rebalanced:
        async def ask() -> Counted[RunRow | RebalanceRow | FailuresRow]:
            return await self._store.listed(REBALANCES, replace(asked, at_least=at_least))

        found = await settled(ask, REBALANCES, self._store, self._signals, at_least=at_least, wait=wait)
        rows = [row for row in found.rows if isinstance(row, RebalanceRow)]
        return Rebalanced(rows, await self._runs(rows), found.total)

    async def _runs(self, rows: Collection[RebalanceRow]) -> Mapping[str, RunRow]:
        """Return the runs of these rebalances, by id.

        Read after them, which is as good as together: what is shown of a run has stood since before its rebalances.
        Raises ``NotYet`` where the view was set back in between.
        """
        if not rows:
            return {}
        read = await self._store.get_many(REBALANCES, {row.run_id for row in rows})
        runs = {key: row for key, row in read.rows.items() if isinstance(row, RunRow)}
        if missing := [row.position for row in rows if row.run_id not in runs]:
            raise NotYet(REBALANCES.name, max(missing), read.checkpoint.position)
        return runs
