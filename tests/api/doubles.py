"""Stand-ins for what is behind the HTTP layer: a log in memory, and over it the real event store, views and queries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from api.app import Commands, Deps, Queries
from api.queries.system import Part, State
from domain.base import A, Aggregate, Event, Recorded
from projections.asset_allocation import ALLOCATION_PROJECTOR, REBALANCE_TRANSACTION_PROJECTOR
from projections.investment_model import INVESTMENT_MODEL_PROJECTOR
from projections.portfolio import PORTFOLIO_PROJECTOR
from projections.prices import PRICE_PROJECTOR
from projections.rebalance import REBALANCE_PROJECTOR
from projections.returns import RETURNS_PROJECTOR
from projections.securities import SECURITY_PROJECTOR
from projections.transactions import TRANSACTION_PROJECTOR
from read_side.analytics import Analytics
from read_side.asset_allocation import Allocations
from read_side.investment_model import InvestmentModels
from read_side.past import PastStates
from read_side.portfolio import PortfolioRow, Portfolios
from read_side.price_table import PriceTable
from read_side.prices import Prices
from read_side.rebalance import Rebalances
from read_side.rebalance_verification import Verification
from read_side.returns import Tracks
from read_side.securities import Securities
from read_side.signals import Signals
from read_side.states import States
from read_side.transactions import Transactions
from read_side.work import ParkedWork
from tests.api.folded import FoldedViews
from tests.write_side.closed_form import ClosedForm
from tests.write_side.memory_work import MemoryWork
from write_side.event_store import EventStore
from write_side.holdings import StoredHoldings
from write_side.log import Answer, Appended, Conflict, Context, KeyTaken, Remembered
from write_side.market_prices import BookPrices
from write_side.policies import Policy
from write_side.ports import ModelsOf
from write_side.rebalance import Means, Runs
from write_side.work import Retries

NOW = datetime(2025, 6, 21, 10, 0, tzinfo=UTC)
_PROJECTORS = (
    PORTFOLIO_PROJECTOR,
    PRICE_PROJECTOR,
    RETURNS_PROJECTOR,
    SECURITY_PROJECTOR,
    TRANSACTION_PROJECTOR,
    ALLOCATION_PROJECTOR,
    REBALANCE_TRANSACTION_PROJECTOR,
    INVESTMENT_MODEL_PROJECTOR,
    REBALANCE_PROJECTOR,
)


@dataclass
class MemoryLog:
    """An ``EventLog``, a ``History`` and an ``Archive`` in memory.

    ``failure`` is raised by the next append, ``gate`` holds appends while it is set; ``committed`` is told the
    position before and the events of each. What is recorded at a time is recorded by ``clock``.
    """

    clock: Callable[[], datetime] = lambda: NOW
    events: list[Event] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)
    keys: dict[tuple[str, str], Remembered] = field(default_factory=dict)
    contexts: list[Context] = field(default_factory=list)
    committed: list[Callable[[int, Sequence[Event]], None]] = field(default_factory=list)
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
        base = len(self.events)
        self.events.extend(events)
        self.times.extend(self.clock() for _ in events)
        self.contexts.append(context)
        for told in self.committed:
            told(base, events)
        if remember is not None and answer is not None:
            self.keys[remember.caller, remember.key] = Remembered(
                fingerprint=remember.fingerprint,
                answer=answer,
                version=version,
                position=len(self.events),
                command_id=context.command_id,
            )
        return Appended(position=len(self.events), first=base + 1)

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

    async def read_many(self, after: Mapping[str, int]) -> dict[str, list[Event]]:
        found = {stream: await self.read(stream, version) for stream, version in after.items()}
        return {stream: events for stream, events in found.items() if events}

    async def snapshots(self, cls: type[A], streams: Sequence[str]) -> dict[str, A]:
        return {}

    async def save_snapshot(self, aggregate: Aggregate) -> None:
        return None

    async def page(self, after: int, limit: int) -> list[Recorded]:
        return self._recorded()[after : after + limit]

    async def epoch(self) -> UUID:
        return UUID(int=0)

    async def stream(self, stream: str, *, version: int | None = None, position: int | None = None) -> list[Recorded]:
        return [
            recorded
            for recorded in self._recorded()
            if recorded.stream == stream
            and (version is None or recorded.version <= version)
            and (position is None or recorded.position <= position)
        ]

    async def position_at(self, moment: datetime) -> int:
        return sum(time <= moment for time in self.times)

    def _recorded(self) -> list[Recorded]:
        return [
            Recorded(
                position=position,
                stream=event.originator_id,
                version=event.originator_version,
                event=event,
                recorded_at=time,
            )
            for position, (event, time) in enumerate(zip(self.events, self.times, strict=True), 1)
        ]


class AtOnce(Signals):
    """Knows of every append at once, so that it waits for nothing: what is not there now will not come."""

    def heard(self, base: int, events: Sequence[Event]) -> None:
        self.hear_head(base + len(events))

    async def wait_for_head(self, position: int, wait: float) -> bool:
        return self.head >= position


class ToldPortfolios(Portfolios):
    """``Portfolios`` that remembers how each one was asked for: ``at_least`` and ``wait``."""

    def __init__(self, views: FoldedViews, signals: Signals) -> None:
        super().__init__(views, signals)
        self.asked: list[tuple[int, float]] = []

    async def by_id(self, portfolio_id: str, *, at_least: int = 0, wait: float = 2.0) -> PortfolioRow:
        self.asked.append((at_least, wait))
        return await super().by_id(portfolio_id, at_least=at_least, wait=wait)


@dataclass
class Parts:
    """Health as the test says."""

    told: list[Part] = field(default_factory=lambda: [Part("event log", State.UP, {"head": 0})])

    async def parts(self) -> Sequence[Part]:
        return self.told


@dataclass
class Behind:
    """Everything behind the application under test; ``now`` is what its clock shows."""

    health: Parts = field(default_factory=Parts)
    now: datetime = NOW

    def __post_init__(self) -> None:
        self.log = MemoryLog(lambda: self.now)
        self.signals = AtOnce()
        self.views = FoldedViews(self.log.events, _PROJECTORS)
        self.portfolios = ToldPortfolios(self.views, self.signals)
        prices = Prices(self.views, self.signals)
        self.book = PriceTable(self.log, prices, self.signals)
        self.log.committed += [self.signals.heard, self.book.heard]
        self.work = MemoryWork(self.log.events)
        self.policies: dict[str, Policy] = {}
        self.optimiser = ClosedForm()

    def queries(self) -> Queries:
        views, signals = self.views, self.signals
        prices = Prices(views, signals)
        states = States(self.portfolios, self.book, signals)
        return Queries(
            portfolios=self.portfolios,
            states=states,
            past=PastStates(self.log, prices, signals),
            analytics=Analytics(Tracks(views, signals), states),
            prices=prices,
            securities=Securities(views, signals),
            transactions=Transactions(views, signals, self.portfolios),
            work=ParkedWork(self.work, signals),
            allocations=Allocations(views, signals, self.portfolios, self.log.head),
            investment_models=InvestmentModels(views, signals),
            rebalances=Rebalances(views, signals),
            verification=Verification(self.log, signals),
        )

    def runs(self, store: EventStore, models: ModelsOf) -> Runs:
        means = Means(
            holdings=StoredHoldings(store),
            prices=BookPrices(self.book),
            optimiser=self.optimiser,
            clock=lambda: self.now,
        )
        return Runs(store=store, means=means, models=models, pauses=())

    def deps(self, **others: Any) -> Deps:
        queries, store = self.queries(), EventStore(self.log)
        return Deps(
            clock=lambda: self.now,
            health=self.health,
            commands=Commands(
                store=store,
                prices=self.book,
                retries=Retries(policies=self.policies, work=self.work, log=self.log, store=store),
                rebalanced=queries.investment_models,
                runs=self.runs(store, queries.investment_models),
            ),
            queries=queries,
            **others,
        )
