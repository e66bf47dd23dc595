"""Stand-ins for what is behind the HTTP layer: a log in memory under the real event store, and queries that fold it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from api.app import Deps
from api.queries.system import Part, State
from domain.base import Aggregate, Event, fold
from domain.errors import Fault, FoliologError, Invalid, NotFound, NotYet
from domain.portfolio import Portfolio, Status
from domain.valuation import value
from read_side.portfolio import PortfolioRow, Portfolios, Rendered, state_json
from read_side.store import Checkpoint, Found
from write_side.event_store import EventStore
from write_side.log import Answer, Appended, Conflict, Context, KeyTaken, Remembered

NOW = datetime(2025, 6, 21, 10, 0, tzinfo=UTC)


@dataclass
class MemoryLog:
    """An ``EventLog`` in memory; ``failure`` is raised by the next append, ``gate`` holds appends while it is set."""

    events: list[Event] = field(default_factory=list)
    keys: dict[tuple[str, str], Remembered] = field(default_factory=dict)
    contexts: list[Context] = field(default_factory=list)
    failure: BaseException | None = None
    gate: asyncio.Event | None = None
    waiting: asyncio.Event = field(default_factory=asyncio.Event)

    async def append(
        self, events: Sequence[Event], context: Context, *, answer: Answer | None = None, version: int = 0
    ) -> Appended:
        self.waiting.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        taken = {(event.originator_id, event.originator_version) for event in self.events}
        if any((event.originator_id, event.originator_version) in taken for event in events):
            raise Conflict(events[0].originator_id)
        remember = context.remember
        if remember is not None and (remember.caller, remember.key) in self.keys:
            raise KeyTaken(remember.key)
        first = len(self.events) + 1
        self.events.extend(events)
        self.contexts.append(context)
        if remember is not None and answer is not None:
            self.keys[remember.caller, remember.key] = Remembered(
                fingerprint=remember.fingerprint,
                answer=answer,
                version=version,
                position=len(self.events),
                command_id=context.command_id,
            )
        return Appended(position=len(self.events), first=first)

    async def read(self, stream: str, after: int = 0) -> list[Event]:
        return [event for event in self.events if event.originator_id == stream and event.originator_version > after]

    async def version(self, stream: str) -> int:
        return sum(event.originator_id == stream for event in self.events)

    async def head(self) -> int:
        return len(self.events)

    async def remembered(self, caller: str, key: str) -> Remembered | None:
        return self.keys.get((caller, key))

    async def snapshot(self, cls: type[Aggregate], stream: str) -> Aggregate | None:
        return None

    async def save_snapshot(self, aggregate: Aggregate) -> None:
        return None


@dataclass
class FoldingPortfolios:
    """Answers like ``Portfolios`` by folding the log; a position beyond the log is never reached."""

    log: MemoryLog
    asked: list[tuple[int, float]] = field(default_factory=list)
    failure: FoliologError | None = None

    def _arrive(self, at_least: int, wait: float) -> None:
        self.asked.append((at_least, wait))
        if self.failure is not None:
            raise self.failure
        if at_least > len(self.log.events):
            raise NotYet("portfolios", at_least, len(self.log.events))

    async def state(self, portfolio_id: str, *, at_least: int = 0, wait: float = 2.0) -> Rendered:
        self._arrive(at_least, wait)
        portfolio = fold(await self.log.read(Portfolio.stream(portfolio_id)), cast("Portfolio | None", None))
        if portfolio is None:
            raise NotFound(f"portfolio {portfolio_id} does not exist")
        return Rendered(state_json(value(portfolio)), portfolio.version)

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
        self._arrive(at_least, wait)
        if cursor is not None and not cursor.isdecimal():
            raise Invalid(Fault("/cursor", "is not a cursor of this list"))
        rows = [
            row
            for row in reversed(list(self._rows()))
            if (status is None or row.status is status)
            and (text is None or text.lower() in f"{row.portfolio_id}\n{row.portfolio_name}".lower())
        ]
        start = int(cursor or 0)
        more = str(start + limit) if len(rows) > start + limit else None
        return Found(rows[start : start + limit], more, Checkpoint(len(self.log.events), 1))

    def _rows(self) -> Iterable[PortfolioRow]:
        for position, event in enumerate(self.log.events, 1):
            if event.originator_version == 1:
                stream = [each for each in self.log.events if each.originator_id == event.originator_id]
                portfolio = fold(stream, cast("Portfolio | None", None))
                assert portfolio is not None
                yield PortfolioRow(
                    position=position,
                    portfolio_id=portfolio.portfolio_id,
                    portfolio_name=portfolio.portfolio_name,
                    status=portfolio.status,
                    cash=portfolio.cash,
                    last_updated=portfolio.last_updated,
                    version=portfolio.version,
                    opened=position,
                )


@dataclass
class Parts:
    """Health as the test says."""

    told: list[Part] = field(default_factory=lambda: [Part("event log", State.UP, {"head": 0})])

    async def parts(self) -> Sequence[Part]:
        return self.told


@dataclass
class Behind:
    """Everything behind the application under test."""

    log: MemoryLog = field(default_factory=MemoryLog)
    health: Parts = field(default_factory=Parts)
    now: datetime = NOW

    def __post_init__(self) -> None:
        self.portfolios = FoldingPortfolios(self.log)

    def deps(self, **others: Any) -> Deps:
        return Deps(
            clock=lambda: self.now,
            health=self.health,
            store=EventStore(self.log),
            portfolios=cast(Portfolios, self.portfolios),
            **others,
        )
