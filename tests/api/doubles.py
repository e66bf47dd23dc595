"""Stand-ins for what is behind the HTTP layer: a log in memory, and over it the real event store, views and queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from api.app import Commands, Deps, Queries
from api.queries.system import Part, State
from domain.base import Event
from projections.asset_allocation import ALLOCATION_PROJECTOR, REBALANCE_TRANSACTION_PROJECTOR
from projections.batch import BATCH_PROJECTOR
from projections.execution import EXECUTION_PROJECTOR
from projections.investment_model import INVESTMENT_MODEL_PROJECTOR
from projections.order import ORDER_PROJECTOR
from projections.portfolio import PORTFOLIO_PROJECTOR
from projections.prices import PRICE_PROJECTOR
from projections.rebalance import REBALANCE_PROJECTOR
from projections.returns import RETURNS_PROJECTOR
from projections.securities import SECURITY_PROJECTOR
from projections.transactions import TRANSACTION_PROJECTOR
from read_side.analytics import Analytics
from read_side.asset_allocation import Allocations
from read_side.batch import Batches
from read_side.execution import Executions
from read_side.investment_model import InvestmentModels
from read_side.order import Orders
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
from tests.api.memory_log import NOW, MemoryLog
from tests.api.outside import KnownOwners, MemoryFolder, ScriptedCli, SoloRun
from tests.write_side.closed_form import ClosedForm
from tests.write_side.memory_work import MemoryWork
from write_side.batch import Batches as BatchCommands
from write_side.batch import Delivery, Sending
from write_side.claims import Claims
from write_side.event_store import EventStore
from write_side.execution import Recording
from write_side.holdings import StoredHoldings
from write_side.market_prices import BookPrices
from write_side.order import OrderDesk
from write_side.policies import Policy
from write_side.ports import ModelsOf
from write_side.rebalance import Means, Runs
from write_side.work import Retries

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
    EXECUTION_PROJECTOR,
    BATCH_PROJECTOR,
    ORDER_PROJECTOR,
)


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
    booked: bool = True
    """Whether executions are said to book themselves; nothing here books them."""

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
        self.owners = KnownOwners()
        self.folder, self.one_run = MemoryFolder(), SoloRun()
        self.cli: ScriptedCli | None = None

    def queries(self) -> Queries:
        views, signals = self.views, self.signals
        prices = Prices(views, signals)
        states = States(self.portfolios, self.book, signals)
        rebalances, batches = Rebalances(views, signals), Batches(views, signals)
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
            rebalances=rebalances,
            verification=Verification(self.log, signals),
            executions=Executions(views, signals, batches),
            batches=batches,
            orders=Orders(views, signals, rebalances),
        )

    def runs(self, store: EventStore, models: ModelsOf) -> Runs:
        means = Means(
            holdings=StoredHoldings(store),
            prices=BookPrices(self.book),
            optimiser=self.optimiser,
            clock=lambda: self.now,
        )
        return Runs(store=store, means=means, models=models, pauses=())

    def batches(self, store: EventStore) -> BatchCommands:
        delivery = Delivery(
            store=store, log=self.log, folder=self.folder, cli=self.cli, clock=lambda: self.now, delay=0
        )
        return BatchCommands(
            sending=Sending(delivery=delivery, one_run=self.one_run), event_log=self.log, claims=Claims()
        )

    def deps(self, **others: Any) -> Deps:
        queries, store = self.queries(), EventStore(self.log)
        runs = self.runs(store, queries.investment_models)
        return Deps(
            clock=lambda: self.now,
            health=self.health,
            commands=Commands(
                store=store,
                prices=self.book,
                retries=Retries(policies=self.policies, work=self.work, log=self.log, store=store),
                rebalanced=queries.investment_models,
                runs=runs,
                recording=Recording(store=store, log=self.log, owners=self.owners, known=queries.executions),
                batches=self.batches(store),
                desk=OrderDesk(
                    store=store,
                    holdings=runs.means.holdings,
                    known=queries.orders,
                    head=self.log.head,
                    clock=lambda: self.now,
                    booked=self.booked,
                ),
            ),
            queries=queries,
            **others,
        )
