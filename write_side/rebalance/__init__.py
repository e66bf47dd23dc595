"""The commands on rebalances (seed 002): of a portfolio, of a model with all its portfolios, and their deletion."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from domain.errors import Invalid, NotFound, StaleVersion, VersionConflict
from domain.investment_model import InvestmentModel
from domain.rebalance import Options, Rebalance, RebalanceRun, wrong_options
from write_side.event_store import Done, EventStore
from write_side.log import ANY_VERSION, Context
from write_side.rebalance.choosing import ID, AmbiguousModel, NoModel, live_model, model_of
from write_side.rebalance.outcome import Outcome, Result, request_of
from write_side.rebalance.running import Runs
from write_side.rebalance.solving import Means

__all__ = [
    "AmbiguousModel",
    "DeleteRebalance",
    "Means",
    "NoModel",
    "Outcome",
    "RebalanceModel",
    "RebalancePortfolio",
    "Result",
    "Runs",
]


@dataclass(frozen=True, kw_only=True)
class RebalancePortfolio:
    """Rebalance a portfolio by the model it follows, of several by the one named; a preview is not stored.

    ``at_least`` is a log position that the caller knows of: a model that took the portfolio up to then counts.
    """

    portfolio_id: str
    model_id: str | None = None
    options: Options = field(default_factory=Options)
    preview: bool = False
    at_least: int = 0

    async def handle(self, runs: Runs, context: Context) -> Outcome:
        """The one result is a ``Rebalance``.

        Raises ``Invalid``, ``NotFound``, ``NoModel``, ``AmbiguousModel``, ``CannotRebalance`` and what
        ``Runs.carry_out`` raises.
        """

        async def begin(run_id: str) -> RebalanceRun:
            _must_fit(self.options)
            try:
                model = await model_of(runs.store, runs.models, self.portfolio_id, self.model_id, self.at_least)
            except (NoModel, AmbiguousModel):
                if not await runs.means.holdings.of([self.portfolio_id]):
                    raise NotFound(f"portfolio {self.portfolio_id} does not exist") from None
                raise
            return _requested(runs, run_id, model, (self.portfolio_id,), self.options, context)

        return await runs.carry_out(begin, context, alone=True, preview=self.preview)


@dataclass(frozen=True, kw_only=True)
class RebalanceModel:
    """Rebalance every portfolio that follows a model.

    An ``asynchronous`` run is only stored: whoever follows the log does it. A preview is not stored, and never that.
    """

    model_id: str
    options: Options = field(default_factory=Options)
    preview: bool = False
    asynchronous: bool = False

    async def handle(self, runs: Runs, context: Context) -> Outcome:
        """One result for each portfolio in the model's order; none that fails spoils the others.

        Raises ``Invalid``, ``NotFound`` and what ``Runs.carry_out`` raises.
        """

        async def begin(run_id: str) -> RebalanceRun:
            _must_fit(self.options)
            model = await live_model(runs.store, self.model_id)
            later = self.asynchronous and not self.preview
            return _requested(runs, run_id, model, model.portfolios, self.options, context, asynchronous=later)

        return await runs.carry_out(begin, context, preview=self.preview)


@dataclass(frozen=True, kw_only=True)
class DeleteRebalance:
    """Take a rebalance from what is shown; ``version`` is the one the caller has read."""

    rebalance_id: str
    version: int | None = None

    async def handle(self, store: EventStore, context: Context, *, now: datetime) -> Done[Rebalance]:
        """Raises ``NotFound``, ``StaleVersion``, ``VersionConflict`` and what ``EventStore.change`` raises."""
        missing = NotFound(f"rebalance {self.rebalance_id[:100]!a} does not exist")
        if not ID.match(self.rebalance_id):
            raise missing

        def delete(rebalance: Rebalance) -> None:
            if not rebalance.deleted:
                _must_be_at(rebalance, context.expected_version, self.version)
            rebalance.delete(now)

        unconditional = msgspec.structs.replace(context, expected_version=None)
        return await store.change(Rebalance, self.rebalance_id, delete, unconditional, missing=lambda: missing)


def _must_be_at(rebalance: Rebalance, condition: int | None, version: int | None) -> None:
    """Raise where it has another version than the caller has read: ``If-Match`` is looked at first."""
    if condition not in (None, ANY_VERSION, rebalance.version):
        raise StaleVersion(rebalance.id, condition, rebalance.version)
    if version not in (None, rebalance.version):
        raise VersionConflict(rebalance.id, version, rebalance.version)


def _must_fit(options: Options) -> None:
    if faults := wrong_options(options):
        raise Invalid(*faults)


def _requested(
    runs: Runs,
    run_id: str,
    model: InvestmentModel,
    portfolios: tuple[str, ...],
    options: Options,
    context: Context,
    *,
    asynchronous: bool = False,
) -> RebalanceRun:
    """Return the run of a model as it is now."""
    return RebalanceRun.requested(
        run_id,
        model_id=model.model_id,
        model_name=model.name,
        model_version=model.version,
        positions=tuple(model.positions.values()),
        portfolios=portfolios,
        options=options,
        asynchronous=asynchronous,
        request=request_of(context),
        at=runs.means.clock(),
    )
