"""What happens to rebalances: a run with its inputs and prices, and the result for each of its portfolios.

Together they hold everything that a result was made from, so that it can be checked from the log alone.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from domain.base import Created, Event
from domain.investment_model import ModelPosition
from domain.rebalance.options import Options
from domain.rebalance.outcome import Certificate, Explanation, Infeasible, MissingPrice, ShortHolding

_EXPLAINED = frozenset({Infeasible.code, MissingPrice.code, ShortHolding.code})
"""Codes of what is always about securities."""


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a portfolio of a run has no result: the code of the problem, and what it is about.

    A run of very many failures keeps the sentence of each and not what explains it (``keeping.py``).
    """

    portfolio_id: str
    code: str
    detail: str
    securities: tuple[str, ...] = ()
    explanation: Explanation | None = None

    @property
    def left_out(self) -> bool:
        """Whether its securities and their repairs were not kept; a rebalance of this portfolio alone tells them."""
        return self.code in _EXPLAINED and not self.securities and self.explanation is None


class RebalanceRunRequested(Created):
    """A rebalance of these portfolios was asked for, by the model as it was then.

    ``asynchronous``: it is done after the request was answered, by whoever follows the log. ``request`` is the digest
    of a request with an Idempotency-Key, from which the id of the run follows; else it is empty.
    """

    TOPIC = "rebalance-run.requested.v1"
    model_id: str
    model_name: str
    model_version: int
    positions: tuple[ModelPosition, ...]
    portfolios: tuple[str, ...]
    options: Options
    asynchronous: bool
    request: str = ""


class RebalanceRunPriced(Event):
    """The prices that count for the whole run: of every security held or modelled that has one.

    ``price_position`` is the log position whose prices they include, 0 where they come from another service.
    ``trade_date`` is the day in New York on which the trades are meant, ``YYYY-MM-DD``.
    """

    TOPIC = "rebalance-run.priced.v1"
    prices: dict[str, Decimal]
    source: str
    price_position: int
    trade_date: str


class RebalanceRunFinished(Event):
    """Every portfolio of the run has its result or is among the failures, of which ``kept`` says how much is told."""

    TOPIC = "rebalance-run.finished.v1"
    failures: tuple[Failure, ...]


class RebalanceRecorded(Created):
    """A portfolio was rebalanced: what it had, and the quantity of every security held or modelled that it is to have.

    Trades and drifts follow from these and from the prices and targets of the run.
    """

    TOPIC = "rebalance.recorded.v1"
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


class RebalanceDeleted(Event):
    """The rebalance is not wanted any more."""

    TOPIC = "rebalance.deleted.v1"
