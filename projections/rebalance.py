"""The projector of the view of rebalances and their runs."""

from __future__ import annotations

from typing import Any, TypeAlias, cast, get_args

from msgspec.structs import replace

from domain.base import Recorded
from domain.errors import Broken
from domain.rebalance import (
    Rebalance,
    RebalanceDeleted,
    RebalanceRecorded,
    RebalanceRun,
    RebalanceRunFinished,
    RebalanceRunPriced,
    RebalanceRunRequested,
)
from projections.projector import Projector, Rows
from read_side.rebalance import REBALANCES, FailuresRow, RebalanceRow, RunRow, failures_key

_Event: TypeAlias = (
    RebalanceRunRequested | RebalanceRunPriced | RebalanceRunFinished | RebalanceRecorded | RebalanceDeleted
)

Kept: TypeAlias = RunRow | RebalanceRow | FailuresRow


def rebalance_id(recorded: Recorded) -> str:
    """Return the id of the rebalance whose stream the event is in."""
    return recorded.stream[len(Rebalance.TOPIC) + 1 :]


def run_id(recorded: Recorded) -> str:
    """Return the id of the run whose stream the event is in."""
    return recorded.stream[len(RebalanceRun.TOPIC) + 1 :]


def keys(recorded: Recorded) -> tuple[str, ...]:
    """Return the key of the row that the event has to find: that of the run."""
    match recorded.event:
        case RebalanceRunRequested() | RebalanceDeleted():
            return ()
        case RebalanceRecorded(run_id=of_run):
            return (of_run,)
        case _:
            return (run_id(recorded),)


def apply(rows: Rows[Kept], recorded: Recorded) -> None:
    """Take the event; raises ``Broken`` where a run has not begun."""
    match cast(_Event, recorded.event):
        case RebalanceRunRequested() as event:
            rows[run_id(recorded)] = _begun(event, recorded)
        case RebalanceRunPriced() as event:
            _change(
                rows,
                run_id(recorded),
                recorded,
                prices=event.prices,
                source=event.source,
                price_position=event.price_position,
                trade_date=event.trade_date,
            )
        case RebalanceRunFinished(failures=failures):
            of_run = run_id(recorded)
            _change(rows, of_run, recorded, failed=len(failures))
            if failures and _run(rows, of_run, recorded).asynchronous:
                rows[failures_key(of_run)] = FailuresRow(run_id=of_run, failures=failures, position=recorded.position)
        case RebalanceRecorded() as event:
            run, made = _run(rows, event.run_id, recorded), rebalance_id(recorded)
            told = (*run.rebalances, made) if run.asynchronous else ()
            _change(rows, event.run_id, recorded, done=run.done + 1, rebalances=told)
            rows[made] = _result(event, recorded)
        case RebalanceDeleted():
            rows[rebalance_id(recorded)] = None


def _run(rows: Rows[Kept], key: str, recorded: Recorded) -> RunRow:
    row = rows[key]
    if not isinstance(row, RunRow):
        raise Broken(f"run {key} of {recorded.stream} has not begun")
    return row


def _change(rows: Rows[Kept], key: str, recorded: Recorded, **members: Any) -> None:
    rows[key] = replace(_run(rows, key, recorded), position=recorded.position, **members)


def _begun(event: RebalanceRunRequested, recorded: Recorded) -> RunRow:
    return RunRow(
        run_id=run_id(recorded),
        model_id=event.model_id,
        model_name=event.model_name,
        model_version=event.model_version,
        positions=event.positions,
        portfolios=event.portfolios,
        options=event.options,
        asynchronous=event.asynchronous,
        requested_at=event.timestamp,
        position=recorded.position,
    )


def _result(event: RebalanceRecorded, recorded: Recorded) -> RebalanceRow:
    return RebalanceRow(
        rebalance_id=rebalance_id(recorded),
        run_id=event.run_id,
        model_id=event.model_id,
        portfolio_id=event.portfolio_id,
        portfolio_name=event.portfolio_name,
        market_value=event.market_value,
        cash_before=event.cash_before,
        cash_after=event.cash_after,
        held=event.held,
        quantities=event.quantities,
        certificate=event.certificate,
        created_at=event.timestamp,
        version=recorded.version,
        recorded=recorded.position,
        position=recorded.position,
    )


REBALANCE_PROJECTOR = Projector(
    view=REBALANCES,
    handles=frozenset(get_args(_Event)),
    keys=keys,
    apply=apply,
    kept=500,
)
