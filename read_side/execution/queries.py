"""What can be asked of the view of executions (contract "001")."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from domain.errors import NotFound
from domain.execution import Sending, SendStatus
from read_side.batch import Batches
from read_side.execution.rendering import execution_json
from read_side.execution.rows import COUNT_KEY, EXECUTIONS, CountRow, ExecutionRow, ExecutionsRow, FailedRow
from read_side.lookup import settled
from read_side.signals import Signals
from read_side.slices import Slices
from read_side.store import Counted, Found, Listed, Rows, Search, SearchableViewStore
from read_side.wire import encode

_LAST: Final = 2**63 - 1
"""The greatest position that the database can compare with."""


@dataclass(frozen=True, slots=True)
class Executed:
    """A part of all executions, whether accounting has them by id, and how many there are in all."""

    rows: list[ExecutionRow]
    sendings: Mapping[int, Sending]
    total: int

    async def json(self, *, offset: int, limit: int) -> bytes:
        """Return them as the part from ``offset`` on that ``limit`` asked for (seed 001 ``ExecutionListResponse``).

        It is made with pauses: there can be a thousand.
        """
        slices, executions = Slices(), []
        for row in self.rows:
            sending = self.sendings[row.execution_id]
            executions.append(msgspec.Raw(execution_json(row, sending.status, sending.reason)))
            await slices.pause()
        pagination = {
            "totalElements": self.total,
            "totalPages": -(-self.total // limit),
            "currentPage": offset // limit,
            "pageSize": limit,
            "hasNext": offset + limit < self.total,
            "hasPrevious": offset > 0,
        }
        return encode({"executions": executions, "pagination": pagination})


class Executions:
    """The queries on executions; ``failed``, ``parked`` and ``sending_of`` are what commands on them ask.

    Each takes ``at_least``, the log position the answer must include, and ``wait``, how many seconds to wait for it;
    raises ``NotYet`` when a view that is needed is still behind then, and ``StoreUnavailable``.
    """

    def __init__(self, store: SearchableViewStore, signals: Signals, batches: Batches) -> None:
        self._store = store
        self._signals = signals
        self._batches = batches

    async def by_id(self, execution_id: int, *, at_least: int = 0, wait: float = 2.0) -> tuple[ExecutionRow, Sending]:
        """Return the execution, and whether accounting has it; raises ``NotFound``."""
        deadline = time.monotonic() + wait
        row = await self._row(execution_id, at_least, deadline)
        if row is None:
            raise NotFound("execution not found")
        return row, (await self._sendings([row], at_least, deadline))[execution_id]

    async def newest(self, *, offset: int = 0, limit: int = 50, at_least: int = 0, wait: float = 2.0) -> Executed:
        """Return the executions from ``offset`` on, the last recorded first, and how many there are in all.

        They are numbered, so that neither counting all nor passing over many takes time.
        """
        deadline = time.monotonic() + wait
        counted = await self._count(at_least, deadline)
        total, last = (counted.total, counted.total - offset) if counted else (0, 0)
        if counted is None or last < 1:
            return Executed([], {}, total)
        first = max(1, last - limit + 1)
        asked = Search(between={"ordinal": (first, last)}, sort="-ordinal", limit=limit)
        found, _ = await self._search(asked, max(at_least, counted.position), deadline)
        rows = [row for row in found if isinstance(row, ExecutionRow)]
        return Executed(rows, await self._sendings(rows, at_least, deadline), total)

    async def failed_page(
        self, *, limit: int = 50, cursor: str | None = None, at_least: int = 0, wait: float = 2.0
    ) -> tuple[list[FailedRow], str | None]:
        """Return a page of the failed executions, the last tried first, and the cursor of the next page or None.

        Raises ``Invalid`` for a cursor that no such page gave.
        """
        asked = Search(sort="-tried", limit=limit, cursor=cursor)
        found, following = await self._search(asked, at_least, time.monotonic() + wait)
        return [row for row in found if isinstance(row, FailedRow)], following

    async def failed(self, limit: int, at_least: int = 0, wait: float = 2.0) -> Sequence[int]:
        """Return ``executionServiceId`` of failed executions, the one whose last attempt is the oldest first."""
        asked = Listed(has="tried", sort=("tried",), limit=limit)
        found = await self._listed(asked, at_least, time.monotonic() + wait)
        return [row.service_id for row in found.rows if isinstance(row, FailedRow)]

    async def parked(
        self, portfolio_id: str, limit: int, after: int = 0, at_least: int = 0, wait: float = 2.0
    ) -> Mapping[int, int]:
        """Return ``executionServiceId`` of executions that the portfolio does not take, by execution id, in its order.

        There are up to ``limit`` of them, with ids above ``after``.
        """
        asked = Search(
            equals={"parked_of": portfolio_id},
            between={"execution_id": (after + 1, None)},
            sort="execution_id",
            limit=limit,
        )
        found, _ = await self._search(asked, at_least, time.monotonic() + wait)
        return {row.execution_id: row.service_id for row in found if isinstance(row, ExecutionRow)}

    async def sending_of(self, execution_id: int, at_least: int = 0, wait: float = 2.0) -> Sending:
        """Return whether accounting has this execution, as ``by_id`` does; of an unknown one nobody has anything."""
        deadline = time.monotonic() + wait
        row = await self._row(execution_id, at_least, deadline)
        if row is None:
            return Sending(SendStatus.PENDING)
        return (await self._sendings([row], at_least, deadline))[execution_id]

    async def _row(self, execution_id: int, at_least: int, deadline: float) -> ExecutionRow | None:
        if not 0 < execution_id <= _LAST:
            return None
        asked = Listed(equals={"execution_id": execution_id}, limit=1)
        rows = (await self._listed(asked, at_least, deadline)).rows
        return rows[0] if rows and isinstance(rows[0], ExecutionRow) else None

    async def _count(self, at_least: int, deadline: float) -> CountRow | None:
        async def ask() -> Rows[ExecutionsRow]:
            return await self._store.get_many(EXECUTIONS, [COUNT_KEY])

        wait = deadline - time.monotonic()
        read = await settled(ask, EXECUTIONS, self._store, self._signals, at_least=at_least, wait=wait)
        row = read.rows.get(COUNT_KEY)
        return row if isinstance(row, CountRow) else None

    async def _search(self, asked: Search, at_least: int, deadline: float) -> tuple[list[ExecutionsRow], str | None]:
        async def ask() -> Found[ExecutionsRow]:
            return await self._store.search(EXECUTIONS, replace(asked, at_least=at_least))

        wait = deadline - time.monotonic()
        found = await settled(ask, EXECUTIONS, self._store, self._signals, at_least=at_least, wait=wait)
        return found.rows, found.next

    async def _listed(self, asked: Listed, at_least: int, deadline: float) -> Counted[ExecutionsRow]:
        async def ask() -> Counted[ExecutionsRow]:
            return await self._store.listed(EXECUTIONS, replace(asked, at_least=at_least))

        wait = deadline - time.monotonic()
        return await settled(ask, EXECUTIONS, self._store, self._signals, at_least=at_least, wait=wait)

    async def _sendings(self, rows: Sequence[ExecutionRow], at_least: int, deadline: float) -> dict[int, Sending]:
        ready = {row.execution_id: row.ready_at for row in rows}
        return await self._batches.sendings(ready, at_least=at_least, wait=deadline - time.monotonic())
