"""The view of accounting batches and of what they rejected, and what can be asked of it (contract "001")."""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Self

import msgspec

from domain.batch import Batch, BatchStatus, Stage, Window
from domain.errors import NotFound
from domain.execution import Sending, SendStatus
from read_side.lookup import settled
from read_side.signals import Signals
from read_side.slices import Slices
from read_side.store import Found, Kind, Row, Rows, Search, SearchableViewStore, View
from read_side.wire import encode, moment

_LISTED_OUTPUT: Final = 500
"""Characters of what the CLI has said that a list shows of each batch."""
_AT_ONCE: Final = 200
"""So many batches are read at once, at most, to find those of a page of executions."""


class BatchRow(Row, frozen=True, kw_only=True, gc=False, tag="batch"):
    """A batch.

    ``from_position`` (not included) and ``to_position`` are its own window of log positions; ``windows`` also has those
    of the cancelled batches in ``returned``, which it took over. ``taken_by`` is the batch that took over this one.
    """

    number: int
    status: BatchStatus
    start_time: datetime
    previous_start_time: datetime
    windows: tuple[Window, ...]
    from_position: int
    to_position: int
    returned: tuple[int, ...]
    file_name: str
    by_cli: bool
    count: int
    version: int
    rejected_count: int = 0
    sha256: str | None = None
    attempts: int = 0
    exit_code: int | None = None
    output: str = ""
    stage: Stage | None = None
    reason: str | None = None
    taken_by: int | None = None

    @property
    def key(self) -> str:
        """Where the row stands."""
        return batch_key(self.number)

    @classmethod
    def of(cls, batch: Batch, position: int = 0) -> Self:
        """Return the row of a batch as a command leaves it, which no other one has taken over yet."""
        own = batch.windows[-1]
        return cls(
            number=batch.batch_id,
            status=batch.status,
            start_time=batch.start_time,
            previous_start_time=batch.previous_start_time,
            windows=batch.windows,
            from_position=own.after,
            to_position=own.up_to,
            returned=batch.returned,
            file_name=batch.file_name,
            by_cli=batch.by_cli,
            count=batch.count,
            version=batch.version,
            rejected_count=len(batch.rejected),
            sha256=batch.sha256,
            attempts=batch.attempts,
            exit_code=batch.exit_code,
            output=batch.output,
            stage=batch.stage,
            reason=batch.reason,
            position=position,
        )


class RejectionRow(Row, frozen=True, kw_only=True, gc=False, tag="rejection"):
    """Why accounting rejected an execution of a batch; nothing changes it any more."""

    batch: int
    execution_id: int
    reason: str

    @property
    def key(self) -> str:
        """Where the row stands."""
        return rejection_key(self.batch, self.execution_id)


BATCHES: View[BatchRow | RejectionRow] = View(
    name="batches",
    row=BatchRow | RejectionRow,
    key="key",
    fields={"number": Kind.POSITION, "to_position": Kind.POSITION},
    rest=0.1,
)


def batch_key(number: int) -> str:
    """Return the key of the row of this batch."""
    return str(number)


def rejection_key(batch: int, execution_id: int) -> str:
    """Return the key of the row of an execution that this batch rejected."""
    return f"rejected/{batch}/{execution_id}"


class Batches:
    """The queries on batches.

    Each takes ``at_least``, the log position the answer must include, and ``wait``, how many seconds to wait for it;
    raises ``NotYet`` when the view is still behind then, and ``StoreUnavailable``.
    """

    def __init__(self, store: SearchableViewStore, signals: Signals) -> None:
        self._store = store
        self._signals = signals

    async def by_id(self, number: int, *, at_least: int = 0, wait: float = 2.0) -> BatchRow:
        """Return the batch with this number; raises ``NotFound``."""
        row = (await self._rows([batch_key(number)], at_least, time.monotonic() + wait)).get(batch_key(number))
        if not isinstance(row, BatchRow):
            raise NotFound("batch not found")
        return row

    async def newest(
        self, *, limit: int = 50, cursor: str | None = None, at_least: int = 0, wait: float = 2.0
    ) -> tuple[list[BatchRow], str | None]:
        """Return a page of the batches, the last started first, and the cursor of the next page or None.

        Raises ``Invalid`` for a cursor that no such page gave.
        """
        asked = Search(sort="-number", limit=limit, cursor=cursor)
        return await self._search(asked, at_least, time.monotonic() + wait)

    async def holding(self, positions: Collection[int], *, at_least: int = 0, wait: float = 2.0) -> dict[int, BatchRow]:
        """Return the batch, none of them cancelled, that has what became ready to be sent at each of these positions.

        A position is without one while no batch has it: none has reached it, or the one that had it was cancelled and
        its executions wait for the next.
        """
        deadline = time.monotonic() + wait
        found = await self._reaching(sorted(set(positions)), at_least, deadline)
        known = {row.number: row for row in found.values()}
        while taken := {row.taken_by: row.position for row in found.values() if row.taken_by is not None}:
            if unknown := taken.keys() - known.keys():
                least = max(taken[number] for number in unknown)
                rows = await self._rows(map(batch_key, unknown), max(at_least, least), deadline)
                known |= {row.number: row for row in rows.values() if isinstance(row, BatchRow)}
            found = {at: row if row.taken_by is None else known[row.taken_by] for at, row in found.items()}
        return {at: row for at, row in found.items() if row.status is not BatchStatus.CANCELLED}

    async def sendings(self, ready: Mapping[int, int], *, at_least: int = 0, wait: float = 2.0) -> dict[int, Sending]:
        """Return whether accounting has these executions, all of them; by id, as the positions in ``ready`` are.

        These positions are those at which they became ready to be sent the last time.
        """
        deadline = time.monotonic() + wait
        batches = await self.holding(ready.values(), at_least=at_least, wait=wait)
        partial = {
            rejection_key(batch.number, execution_id): batch.position
            for execution_id, at in ready.items()
            if (batch := batches.get(at)) is not None and batch.status is BatchStatus.PARTIAL
        }
        rows = await self._rows(partial, max(at_least, *partial.values()), deadline) if partial else {}
        return {execution_id: _sending(execution_id, batches.get(at), rows) for execution_id, at in ready.items()}

    async def _reaching(self, positions: list[int], at_least: int, deadline: float) -> dict[int, BatchRow]:
        """Return the first batch whose own window ends at each of these positions, which rise, or after it."""
        found: dict[int, BatchRow] = {}
        while positions:
            limit = min(len(positions), _AT_ONCE)
            asked = Search(between={"to_position": (positions[0], None)}, sort="to_position", limit=limit)
            batches, more = await self._search(asked, at_least, deadline)
            ends = [row.to_position for row in batches]
            within = positions[: bisect_right(positions, ends[-1])] if ends else []
            found |= {at: batches[bisect_left(ends, at)] for at in within}
            positions = positions[len(within) :] if more else []
        return found

    async def _search(self, asked: Search, at_least: int, deadline: float) -> tuple[list[BatchRow], str | None]:
        async def ask() -> Found[BatchRow | RejectionRow]:
            return await self._store.search(BATCHES, asked)

        wait = deadline - time.monotonic()
        found = await settled(ask, BATCHES, self._store, self._signals, at_least=at_least, wait=wait)
        return [row for row in found.rows if isinstance(row, BatchRow)], found.next

    async def _rows(self, keys: Iterable[str], at_least: int, deadline: float) -> Mapping[str, BatchRow | RejectionRow]:
        wanted = list(keys)

        async def ask() -> Rows[BatchRow | RejectionRow]:
            return await self._store.get_many(BATCHES, wanted)

        wait = deadline - time.monotonic()
        return (await settled(ask, BATCHES, self._store, self._signals, at_least=at_least, wait=wait)).rows


def _sending(execution_id: int, batch: BatchRow | None, rejections: Mapping[str, BatchRow | RejectionRow]) -> Sending:
    if batch is None:
        return Sending(SendStatus.PENDING)
    if batch.status is BatchStatus.RUNNING:
        return Sending(SendStatus.PENDING, batch.number)
    if batch.status is BatchStatus.FAILED:
        return Sending(SendStatus.FAILED, batch.number)
    rejection = rejections.get(rejection_key(batch.number, execution_id))
    if isinstance(rejection, RejectionRow):
        return Sending(SendStatus.REJECTED, batch.number, rejection.reason)
    return Sending(SendStatus.SENT, batch.number)


def shown(row: BatchRow) -> dict[str, Any]:
    """Return the batch as it is answered: the members of the contract, then ours."""
    return {
        "id": row.number,
        "status": row.status,
        "startTime": moment(row.start_time),
        "previousStartTime": moment(row.previous_start_time),
        "fromPosition": row.from_position,
        "toPosition": row.to_position,
        "count": row.count,
        "rejectedCount": row.rejected_count,
        "fileName": row.file_name,
        "sha256": row.sha256,
        "attempts": row.attempts,
        "cliExitCode": row.exit_code,
        "cliOutput": row.output,
        "reason": row.reason,
        "deliveredBy": "CLI" if row.by_cli else "FILE",
        "takenBy": row.taken_by,
        "returned": row.returned,
    }


def batch_json(row: BatchRow) -> bytes:
    """Return the batch as it is answered."""
    return encode(shown(row))


async def list_json(rows: Iterable[BatchRow], cursor: str | None) -> bytes:
    """Return a page of batches as a list of ours: ``{"items": [...], "next": cursor or null}``.

    Of ``cliOutput`` each has the last 500 characters. It is made with pauses: there can be a thousand.
    """
    slices, items = Slices(), []
    for row in rows:
        items.append(msgspec.Raw(encode(shown(row) | {"cliOutput": row.output[-_LISTED_OUTPUT:]})))
        await slices.pause()
    return encode({"items": items, "next": cursor})
