"""A desk that reports executions: the commands on them over a log, with a trade service as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from domain.base import Aggregate, Event
from domain.execution import Reported
from projections.batch import BATCH_PROJECTOR
from projections.execution import EXECUTION_PROJECTOR
from read_side.batch import Batches
from read_side.execution import Executions
from tests.api.doubles import AtOnce
from tests.api.folded import FoldedViews
from tests.api.memory_log import MemoryLog
from tests.domain.executions import NOW, reported
from tests.write_side.stores import by
from write_side.event_store import EventStore
from write_side.execution import Outcome, RecordExecutions, Recording, RetryFailedExecutions, RowResult
from write_side.execution.ports import ExecutionsKnown, LookUpFailed, Owner
from write_side.execution.recording import ExecutionLog
from write_side.log import Answer, Context, Place, Remember


@dataclass
class AskedLog(MemoryLog):
    """A log in memory; ``questions`` are the streams of each question where they stand, ``reads`` all that were read.

    ``events_read`` counts the events of these.

    ``hears`` is told of each stream that was read, and of ``places``, before the answer is given.
    """

    questions: list[Sequence[str]] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    events_read: int = 0
    hears: Callable[[str], None] = lambda what: None

    async def places(self, streams: Sequence[str]) -> dict[str, Place]:
        self.questions.append(streams)
        found = await super().places(streams)
        self.hears("places")
        return found

    async def read(self, stream: str, after: int = 0) -> list[Event]:
        self.reads.append(stream)
        found = await super().read(stream, after)
        self.events_read += len(found)
        self.hears(stream)
        return found

    def happened(self, *aggregates: Aggregate) -> None:
        """Let others store this."""
        for aggregate in aggregates:
            events = aggregate.collect_events()
            self.events += events
            self.times += [NOW] * len(events)


def views(log: MemoryLog) -> Executions:
    """Return the queries on executions over views that are always at the head of this log."""
    signals = AtOnce()
    signals.hear_head(len(log.events))
    log.committed.append(signals.heard)
    folded = FoldedViews(log.events, (EXECUTION_PROJECTOR, BATCH_PROJECTOR))
    return Executions(folded, signals, Batches(folded, signals))


@dataclass
class ToldOwners:
    """The port ``Owners``: by id whose an execution is, or why that is not known; everybody else's are of ``ACC-1``.

    Those in ``slow`` are not answered before ``go``; ``asked`` are all questions, ``hears`` is told of each, and
    ``heard`` is set by it.
    """

    known: dict[int, Owner | str] = field(default_factory=dict)
    slow: set[int] = field(default_factory=set)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[int] = field(default_factory=list)
    hears: Callable[[int], None] = lambda service_id: None
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    async def of(self, service_id: int) -> Owner:
        self.asked.append(service_id)
        self.heard.set()
        self.hears(service_id)
        if service_id in self.slow:
            await self.go.wait()
        known = self.known.get(service_id, Owner("ACC-1"))
        if isinstance(known, str):
            raise LookUpFailed(known)
        return known


class Desk:
    """One process that records executions."""

    def __init__(self, log: ExecutionLog, known: ExecutionsKnown, **options: Any) -> None:
        self.log, self.owners = log, ToldOwners()
        self.store = EventStore(log)
        self.recording = Recording(store=self.store, log=log, owners=self.owners, known=known, **options)

    async def report(self, *rows: Reported, context: Context | None = None) -> Outcome:
        return await RecordExecutions(rows=rows).handle(self.recording, context or by(), render, now=NOW)

    async def retry(self, context: Context | None = None) -> Outcome:
        return await RetryFailedExecutions().handle(self.recording, context or by(), render, now=NOW)


def in_memory(log: AskedLog | None = None, **options: Any) -> tuple[Desk, AskedLog]:
    """Return a desk over a log in memory, and that log."""
    log = log if log is not None else AskedLog()
    return Desk(log, views(log), **options), log


def render(results: Sequence[RowResult]) -> Answer:
    return Answer(201, msgspec.json.encode(results))


def keyed(key: str, request: bytes = b"request") -> Context:
    """A context with an Idempotency-Key."""

    async def never(*_: object) -> Answer:
        raise AssertionError("these commands bring their own answer")

    return by(remember=Remember(caller="tester", key=key, fingerprint=request, answer=never))


def told(outcome: Outcome) -> list[tuple[int, str, str | None, int | None]]:
    """Return what each row has come to: whose id, its status, error and id."""
    assert outcome.results is not None
    return [(each.service_id, each.status.value, each.error, each.execution_id) for each in outcome.results]


def several(*service_ids: int, **members: Any) -> list[Reported]:
    return [reported(execution_service_id=service_id, **members) for service_id in service_ids]
