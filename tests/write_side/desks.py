"""A desk that rebalances: runs over an event store, with prices and models as the test says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from domain.base import Event
from domain.errors import FoliologError, StoreUnavailable
from domain.investment_model import InvestmentModel, ModelPosition
from domain.portfolio import Portfolio
from domain.rebalance import RebalanceRecorded
from tests.api.memory_log import MemoryLog
from tests.write_side.closed_form import ClosedForm
from tests.write_side.stores import by
from write_side.event_store import EventStore
from write_side.holdings import StoredHoldings
from write_side.log import Answer, Appended, Context, EventLog, Remember
from write_side.ports import Priced
from write_side.rebalance import Means, Runs

NOW = datetime(2025, 6, 21, 10, 0, tzinfo=UTC)
TECH = "TECH123456789012345678AB"
BOND = "BOND123456789012345678AB"
POSITIONS = (
    ModelPosition(TECH, Decimal(60), Decimal(5), Decimal(5)),
    ModelPosition(BOND, Decimal(30), Decimal(5), Decimal(5)),
)
MODEL_ID = "5f1d7a0c2b9e4f6d8a3c1e07"


@dataclass
class Quoted:
    """``MarketPrices``; ``failures`` are raised by one call each, ``asked`` are the securities of each call."""

    prices: dict[str, Decimal] = field(default_factory=lambda: {TECH: Decimal("150.5"), BOND: Decimal(99)})
    failures: list[FoliologError] = field(default_factory=list)
    asked: list[set[str]] = field(default_factory=list)
    source: str = "test"

    async def of(self, security_ids: Collection[str]) -> Priced:
        self.asked.append(set(security_ids))
        if self.failures:
            raise self.failures.pop(0)
        return Priced({name: price for name, price in self.prices.items() if name in security_ids}, 7)


@dataclass
class Followed:
    """``ModelsOf``: what the view says from a position on, and the positions it was asked for."""

    models: dict[str, list[str]] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)
    known_from: int = 0

    async def of_portfolio(self, portfolio_id: str, at_least: int) -> Sequence[str]:
        self.asked.append(at_least)
        return self.models.get(portfolio_id, []) if at_least >= self.known_from else []


class CutOff(MemoryLog):
    """A log that is lost after ``left`` more appends."""

    left: int | None = None

    async def append(
        self, events: Sequence[Event], context: Context, *, answer: Answer | None = None, version: int = 0
    ) -> Appended:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise StoreUnavailable("cut off")
        return await super().append(events, context, answer=answer, version=version)


class Desk:
    """Runs over a log; one desk is one process."""

    def __init__(self, log: EventLog, *, clock: Callable[[], datetime] = lambda: NOW) -> None:
        self.log = log
        self.store = EventStore(log)
        self.quoted, self.followed, self.optimiser = Quoted(), Followed(), ClosedForm()
        means = Means(holdings=StoredHoldings(self.store), prices=self.quoted, optimiser=self.optimiser, clock=clock)
        self.runs = Runs(store=self.store, means=means, models=self.followed, pauses=(0, 0))

    async def open(self, *portfolios: str, cash: str = "100000") -> None:
        """Open these portfolios, in one append."""
        opened = [Portfolio.open(portfolio_id, portfolio_id, Decimal(cash), NOW) for portfolio_id in portfolios]
        await self.store.record(*opened, context=by())

    async def model(self, *portfolios: str, model_id: str = MODEL_ID, name: str = "Growth") -> str:
        """Make a model of these portfolios; the view knows of it."""
        model = InvestmentModel.create(model_id, name, POSITIONS, portfolios, NOW)
        await self.store.record(model, context=by())
        for portfolio_id in portfolios:
            self.followed.models.setdefault(portfolio_id, []).append(model_id)
        return model_id


def keyed(key: str, request: bytes = b"request") -> Context:
    """A context with an Idempotency-Key; what is stored is how many events the run had triggered at last."""

    async def answer(_: object, events: Sequence[Event]) -> Answer:
        return Answer(200, str(len(events)).encode())

    return by(remember=Remember(caller="tester", key=key, fingerprint=request, answer=answer))


def recorded(log: MemoryLog) -> list[RebalanceRecorded]:
    return [event for event in log.events if isinstance(event, RebalanceRecorded)]
