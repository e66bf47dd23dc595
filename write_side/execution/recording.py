"""Executions into the log: each once, all of a request in one append, with those whose portfolio is not known yet.

A row is validated, skipped while it is open, skipped where it is known, looked up, stored (contract "001"). Where
others have stored of it meanwhile, the log is asked again, the trade service is not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol, TypeAlias, cast

import msgspec

from domain.base import Aggregate
from domain.errors import Overloaded, StaleVersion
from domain.execution import Execution, FailedExecution, FailedExecutionEvent, Report
from write_side.claims import Claims
from write_side.event_store import Done, EventStore
from write_side.execution.looking_up import Found, NotReached, looked_up
from write_side.execution.ports import ExecutionsKnown, LookUpFailed, Owner, Owners
from write_side.execution.results import Outcome, Render, RowResult, RowStatus, none_accepted
from write_side.gate import Gate
from write_side.log import Conflict, Context, EventLog, KeyTaken, Lookups, Place, answering, at_last

EXISTS: Final = "execution already exists"
TWICE: Final = "twice in this request, see the first"
WITHOUT_OWNER: Final = "failed to get portfolio ID: "
_ATTEMPTS: Final = 50
SLICE: Final = 25
"""So many rows are decided on before others get their turn."""


class ExecutionLog(EventLog, Lookups, Protocol):
    """The log as these commands need it."""


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """A closed execution as it is to be stored; ``portfolio_id`` where whoever reports it knows that."""

    service_id: int
    report: Report
    portfolio_id: str | None = None


Row: TypeAlias = Closed | RowResult
"""A row that may be stored, or what it has come to without that."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """Records executions, over what that needs; ``time_limit`` bounds the look-ups of one request, in seconds."""

    store: EventStore
    log: ExecutionLog
    owners: Owners
    known: ExecutionsKnown
    time_limit: float = 30.0
    _claims: Claims = field(default_factory=Claims)
    gate: Gate = field(default_factory=Gate)
    """The turns in which the rows of large requests are worked on."""
    _asking: Gate = field(default_factory=Gate)

    async def record(
        self,
        rows: Callable[[], Awaitable[Sequence[Row]]],
        context: Context,
        render: Render,
        *,
        now: datetime,
        again: bool = False,
    ) -> Outcome:
        """Store of these rows what is new, once for an Idempotency-Key.

        ``again``: they are kept already, so that one that time does not reach stays as it is, and whatever comes of
        them is remembered under the key; otherwise only where something is accepted. Raises what ``rows`` raises,
        ``KeyReused``, ``KeyInFlight``, ``StaleVersion`` under any ``If-Match`` (a request has no version),
        ``Overloaded``, ``StoreUnavailable``, ``OutcomeUnknown``.
        """
        if replay := await self.store.replay(context):
            return Outcome(done=replay)
        with self._claims.of(context.remember):
            if context.expected_version is not None:
                raise StaleVersion("a request on many executions", context.expected_version or None, 0)
            return await self._recorded(await rows(), context, render, now, again)

    async def _recorded(
        self, rows: Sequence[Row], context: Context, render: Render, now: datetime, again: bool
    ) -> Outcome:
        closed = _closed(rows)
        places = await self._places(closed)
        found, asked = await self._owners(closed, places)
        for attempted in range(_ATTEMPTS):
            if asked or attempted:
                places = await self._places(closed)
            try:
                failed = await self._kept([FailedExecution.stream(str(each)) for each in closed], places)
                attempt = _Attempt(places, found, failed, now, again, self.gate)
                await attempt.decide(rows)
                return await self._stored(attempt, at_last(context), render, again)
            except Conflict:
                continue
            except KeyTaken:
                return Outcome(done=cast("Done[Aggregate]", await self.store.replay(context)))
        raise Overloaded(f"others recorded of these executions {_ATTEMPTS} times while they were recorded here")

    async def _places(self, closed: Mapping[int, Closed]) -> dict[str, Place]:
        streams = [cls.stream(str(each)) for each in closed for cls in (Execution, FailedExecution)]
        return await self.log.places(streams) if streams else {}

    async def _owners(self, closed: Mapping[int, Closed], places: Mapping[str, Place]) -> tuple[Found, bool]:
        """Return whose the new ones are, and whether anybody was asked for that, which takes time."""
        new = [row for row in closed.values() if Execution.stream(str(row.service_id)) not in places]
        wanted = [row.service_id for row in new if row.portfolio_id is None]
        found = await looked_up(self.owners, wanted, self.time_limit, self._asking)
        told = {row.service_id: Owner(row.portfolio_id) for row in new if row.portfolio_id is not None}
        return found | told, bool(wanted)

    async def kept(self, service_ids: Sequence[int]) -> list[FailedExecution]:
        """Return those of the executions that wait for a look-up, in this order; raises ``Broken``, ``Unavailable``."""
        streams = [FailedExecution.stream(str(each)) for each in service_ids]
        found = await self._kept(streams, await self.log.places(streams) if streams else {})
        return [found[stream] for stream in streams if stream in found and not found[stream].recorded]

    async def _kept(self, streams: Sequence[str], places: Mapping[str, Place]) -> dict[str, FailedExecution]:
        """Return those that were kept because a look-up failed, recorded ones too, by their streams."""
        before = {stream: places[stream].version - 1 for stream in streams if stream in places}
        last = await self.log.read_many(before) if before else {}
        return {
            stream: FailedExecution.left_by(cast("FailedExecutionEvent", each[-1])) for stream, each in last.items()
        }

    async def _stored(self, attempt: _Attempt, context: Context, render: Render, again: bool) -> Outcome:
        """Store what was decided; raises ``Conflict`` and ``KeyTaken``."""
        results = attempt.results()
        answer = render(results)
        if not again and none_accepted(results):
            context = msgspec.structs.replace(context, remember=None)
        if attempt.changed:
            done = await self.store.record(*attempt.changed, context=answering(context, answer))
            position = done.position
        elif context.remember is not None:
            position = (await self.log.append([], context, answer=answer)).position
        else:
            position = await self.log.head()
        return Outcome(
            done=Done(aggregate=None, version=0, position=position, answer=answer),
            results=[result.at(position) for result in results],
        )


class _Attempt:
    """What is to be stored of some rows as the log stands, and what each of them then has come to."""

    def __init__(
        self,
        places: Mapping[str, Place],
        found: Found,
        failed: Mapping[str, FailedExecution],
        now: datetime,
        again: bool,
        gate: Gate,
    ) -> None:
        self._gate = gate
        self._places, self._found, self._failed = places, found, failed
        self._now, self._again = now, again
        self.changed: list[Aggregate] = []
        self._events = 0
        self._created: dict[int, int] = {}
        self._decided: list[RowResult] = []

    async def decide(self, rows: Sequence[Row]) -> None:
        """Decide on all rows, in their order; raises ``Conflict`` where the log has moved on since it was asked."""
        firsts: dict[int, RowResult] = {}
        for number, row in enumerate(rows, 1):
            if isinstance(row, RowResult):
                self._decided.append(row)
            elif (first := firsts.get(row.service_id)) is not None:
                error = TWICE if first.status is RowStatus.ERROR else EXISTS
                self._decided.append(RowResult(row.service_id, RowStatus.SKIPPED, error, first.execution_id))
            else:
                firsts[row.service_id] = result = self._decide(row)
                self._decided.append(result)
            if number % SLICE == 0:
                await self._gate.turn()

    def results(self) -> list[RowResult]:
        """Return what each row has come to."""
        last = self._events - 1
        return [
            result
            if (at := self._created.get(result.service_id)) is None or result.error not in (None, EXISTS)
            else msgspec.structs.replace(result, back=last - at)
            for result in self._decided
        ]

    def _decide(self, row: Closed) -> RowResult:
        service_id = row.service_id
        failed = self._failed.get(FailedExecution.stream(str(service_id)))
        if (known := self._places.get(Execution.stream(str(service_id)))) is not None:
            self._leave(failed)
            return RowResult(service_id, RowStatus.SKIPPED, EXISTS, known.first)
        report = row.report
        if failed is not None:
            if failed.report is None:
                raise Conflict(failed.id)
            if self._again:  # it may have been reported anew while this look-up was made
                report = failed.report
        owner = self._found[service_id]
        if isinstance(owner, LookUpFailed):
            if not (self._again and isinstance(owner, NotReached)):
                self._keep(service_id, report, str(owner), failed)
            return RowResult(service_id, RowStatus.ERROR, f"{WITHOUT_OWNER}{owner}")
        self._created[service_id] = self._events
        self._change(Execution.record(service_id, report, owner.portfolio_id, self._now, order_id=owner.order_id))
        self._leave(failed)
        return RowResult(service_id, RowStatus.CREATED)

    def _keep(self, service_id: int, report: Report, reason: str, failed: FailedExecution | None) -> None:
        """Keep a row whose portfolio was not found out, and why."""
        if failed is None:
            self._change(FailedExecution.keep(service_id, report, reason, self._now))
            return
        kept = failed.copy()
        kept.fail_again(report, reason, self._now)
        self._change(kept)

    def _leave(self, failed: FailedExecution | None) -> None:
        """End what is kept of a recorded execution.

        A look-up that took long can fail, and its row be kept, after somebody else has recorded the execution: these
        are two streams, and nothing conflicts. So it is ended by whoever comes upon it next.
        """
        if failed is not None and not failed.recorded:
            left = failed.copy()
            left.leave(self._now)
            self._change(left)

    def _change(self, aggregate: Aggregate) -> None:
        self._events += len(aggregate.pending_events)
        self.changed.append(aggregate)


def _closed(rows: Sequence[Row]) -> dict[int, Closed]:
    """Return the closed rows by id: of two with one id the first, with the portfolio of the second if it has none."""
    closed: dict[int, Closed] = {}
    for row in rows:
        if isinstance(row, Closed):
            first = closed.setdefault(row.service_id, row)
            if first.portfolio_id is None and row.portfolio_id is not None:
                closed[row.service_id] = msgspec.structs.replace(first, portfolio_id=row.portfolio_id)
    return closed
