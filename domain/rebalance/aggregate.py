"""A run of rebalances, and one rebalance: streams of their own, written once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Self, assert_never
from uuid import NAMESPACE_URL, uuid5

from domain.base import Aggregate
from domain.errors import NotFound
from domain.investment_model import ModelPosition
from domain.rebalance.events import (
    Failure,
    RebalanceDeleted,
    RebalanceRecorded,
    RebalanceRunFinished,
    RebalanceRunPriced,
    RebalanceRunRequested,
)
from domain.rebalance.keeping import kept
from domain.rebalance.options import Options
from domain.rebalance.outcome import Answer, Certificate
from domain.rebalance.problem import Line, Problem
from domain.values import EXACT, ZERO, summed

_NEVER = datetime.min.replace(tzinfo=UTC)
_NOTHING = ModelPosition(security_id="", target=ZERO, low_drift=ZERO, high_drift=ZERO)


class RebalanceRun(Aggregate):
    """One run over the portfolios of a model, or over one of them; its natural key is the ``run_id``."""

    TOPIC = "rebalance-run"
    CACHED = False

    model_id: str
    model_name: str
    model_version: int
    positions: tuple[ModelPosition, ...]
    portfolios: tuple[str, ...]
    options: Options
    asynchronous: bool
    request: str
    requested_at: datetime = _NEVER
    prices: dict[str, Decimal] | None = None
    source: str = ""
    price_position: int = 0
    trade_date: str = ""
    failures: tuple[Failure, ...] | None = None

    @classmethod
    def requested(
        cls,
        run_id: str,
        *,
        model_id: str,
        model_name: str,
        model_version: int,
        positions: Sequence[ModelPosition],
        portfolios: Sequence[str],
        options: Options,
        asynchronous: bool = False,
        request: str = "",
        at: datetime,
    ) -> Self:
        """Return the run as it begins."""
        return cls._create(
            RebalanceRunRequested,
            id=cls.stream(run_id),
            timestamp=at,
            model_id=model_id,
            model_name=model_name,
            model_version=model_version,
            positions=tuple(positions),
            portfolios=tuple(portfolios),
            options=options,
            asynchronous=asynchronous,
            request=request,
        )

    def price(
        self, prices: dict[str, Decimal], *, source: str, price_position: int, trade_date: str, at: datetime
    ) -> None:
        """Take the prices of the run; those it has already stay."""
        if self.prices is None:
            self.trigger_event(
                RebalanceRunPriced,
                timestamp=at,
                prices=prices,
                source=source,
                price_position=price_position,
                trade_date=trade_date,
            )

    def finish(self, failures: Sequence[Failure], at: datetime) -> None:
        """End the run, once, with the portfolios that have no result, as much of them as is ``kept``."""
        if self.failures is None:
            self.trigger_event(RebalanceRunFinished, timestamp=at, failures=kept(failures))

    @property
    def run_id(self) -> str:
        """The natural key."""
        return self.key

    def evolve(self, event: RebalanceRunRequested | RebalanceRunPriced | RebalanceRunFinished) -> None:
        match event:
            case RebalanceRunRequested():
                self.model_id, self.model_name = event.model_id, event.model_name
                self.model_version, self.positions = event.model_version, event.positions
                self.portfolios, self.options = event.portfolios, event.options
                self.asynchronous, self.request = event.asynchronous, event.request
                self.requested_at = event.timestamp
            case RebalanceRunPriced():
                self.prices, self.source = event.prices, event.source
                self.price_position, self.trade_date = event.price_position, event.trade_date
            case RebalanceRunFinished(failures=failures):
                self.failures = failures
            case _:
                assert_never(event)


class Rebalance(Aggregate):
    """The result for one portfolio of a run; its natural key is the ``rebalance_id``."""

    TOPIC = "rebalance"
    CACHED = False

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
    created_at: datetime = _NEVER
    deleted: bool = False

    @classmethod
    def recorded(
        cls, run: RebalanceRun, portfolio_id: str, portfolio_name: str, problem: Problem, answer: Answer, at: datetime
    ) -> Self:
        """Return the result of a portfolio in a run, under the id that this pair always has."""
        rebalance_id = rebalance_id_of(run.run_id, portfolio_id)
        cost = summed(
            EXACT.multiply(quantity, line.price)
            for line, quantity in zip(problem.lines, answer.quantities, strict=True)
        )
        return cls._create(
            RebalanceRecorded,
            id=cls.stream(rebalance_id),
            timestamp=at,
            run_id=run.run_id,
            model_id=run.model_id,
            portfolio_id=portfolio_id,
            portfolio_name=portfolio_name,
            market_value=problem.market_value,
            cash_before=problem.cash,
            cash_after=EXACT.subtract(problem.market_value, cost),
            held={line.security_id: line.held for line in problem.lines if line.held},
            quantities={
                line.security_id: quantity for line, quantity in zip(problem.lines, answer.quantities, strict=True)
            },
            certificate=answer.certificate,
        )

    @property
    def rebalance_id(self) -> str:
        """The natural key."""
        return self.key

    def delete(self, at: datetime) -> None:
        """Take it from what is shown; raises ``NotFound`` where that has happened before."""
        if self.deleted:
            raise NotFound(f"rebalance {self.rebalance_id} does not exist")
        self.trigger_event(RebalanceDeleted, timestamp=at)

    def evolve(self, event: RebalanceRecorded | RebalanceDeleted) -> None:
        match event:
            case RebalanceRecorded():
                self.run_id, self.model_id = event.run_id, event.model_id
                self.portfolio_id, self.portfolio_name = event.portfolio_id, event.portfolio_name
                self.market_value, self.held, self.quantities = event.market_value, event.held, event.quantities
                self.cash_before, self.cash_after = event.cash_before, event.cash_after
                self.certificate, self.created_at = event.certificate, event.timestamp
            case RebalanceDeleted():
                self.deleted = True
            case _:
                assert_never(event)


def rebalance_id_of(run_id: str, portfolio_id: str) -> str:
    """Return the id of the result of this portfolio in this run: 24 hex digits, the same each time."""
    return uuid5(NAMESPACE_URL, f"rebalance-run/{run_id}/{portfolio_id}").hex[:24]


def problem_of(
    cash: Decimal,
    held: dict[str, Decimal],
    positions: Sequence[ModelPosition],
    prices: dict[str, Decimal],
    options: Options,
) -> Problem:
    """Return the problem of a portfolio under a model: a line for every security held or modelled, by id.

    Raises ``KeyError`` for a security without price.
    """
    modelled = {position.security_id: position for position in positions}
    wanted = sorted(modelled.keys() | {security_id for security_id, quantity in held.items() if quantity})
    lines = []
    for security_id in wanted:
        position = modelled.get(security_id, _NOTHING)
        lines.append(
            Line(
                security_id,
                prices[security_id],
                held.get(security_id, ZERO),
                position.target,
                position.low_drift,
                position.high_drift,
            )
        )
    return Problem(cash, tuple(lines), options)
