"""What a run of rebalances has brought, and how its parts are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import NAMESPACE_URL, uuid5

from domain.errors import FoliologError, KeyReused
from domain.rebalance import Failure, Rebalance, RebalanceRun
from write_side.event_store import Done
from write_side.log import Context
from write_side.rebalance.inputs import failure

Result: TypeAlias = Rebalance | Failure
"""What a portfolio of a run has come to."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command on rebalances has brought.

    ``results`` has one for each portfolio of the run, in its order. It is None where the run is done later
    (``asynchronous``), and where the command had happened before (``done.replayed``): the log has them then.
    """

    done: Done[RebalanceRun]
    results: Sequence[Result] | None = None


def run_id_of(context: Context) -> str:
    """Return the id of the run that this command begins: with an Idempotency-Key the same at every attempt."""
    remember = context.remember
    if remember is None:
        return context.command_id.hex
    return uuid5(NAMESPACE_URL, f"rebalance-run/{len(remember.caller)}/{remember.caller}/{remember.key}").hex


def request_of(context: Context) -> str:
    """Return the digest of a request with an Idempotency-Key, which its run keeps; empty without one."""
    return context.remember.fingerprint.hex() if context.remember is not None else ""


def must_be_of(run: RebalanceRun, context: Context) -> None:
    """Raise ``KeyReused`` where the stored run of this key was another request."""
    if context.remember is not None and run.request != request_of(context):
        raise KeyReused(
            f"Idempotency-Key {context.remember.key!r} was used before with another method, path or body: it has begun "
            f"run {run.run_id}"
        )


def finish(run: RebalanceRun, found: Mapping[str, Rebalance | FoliologError], at: datetime) -> None:
    """End the run with the errors among what was found, in the run's order."""
    errors = ((portfolio_id, found.get(portfolio_id)) for portfolio_id in run.portfolios)
    run.finish([failure(each, error) for each, error in errors if isinstance(error, FoliologError)], at)


def results_of(run: RebalanceRun, found: Mapping[str, Rebalance | FoliologError]) -> list[Result]:
    """Return what each portfolio has come to, in the run's order.

    A failure is told as the run keeps it, so that its first answer says what every later one says.
    """
    failed = {each.portfolio_id: each for each in run.failures or ()}
    results = (
        result if isinstance(result := found.get(portfolio_id), Rebalance) else failed.get(portfolio_id)
        for portfolio_id in run.portfolios
    )
    return [result for result in results if result is not None]
