"""The projectors of the views of allocations and of rebalance transactions."""

from __future__ import annotations

from typing import cast, get_args

from msgspec.structs import replace

from domain.base import Recorded
from domain.errors import Broken
from domain.portfolio import AllocationEvent, AllocationSet, RebalanceBooked, RebalanceRequested
from projections.portfolio import keys, portfolio_id
from projections.projector import Projector, Rows, by_key
from read_side.asset_allocation import (
    ALLOCATIONS,
    REBALANCE_TRANSACTIONS,
    AllocationRow,
    Pending,
    RebalanceTransactionRow,
)


def evolve(row: AllocationRow | None, recorded: Recorded) -> AllocationRow:
    """Return the user's row after this event."""
    event, here = cast(AllocationEvent, recorded.event), recorded.position
    if isinstance(event, AllocationSet):
        pending = () if row is None else row.pending
        return AllocationRow(
            user_id=portfolio_id(recorded), allocation=event.allocation, pending=pending, position=here
        )
    if row is None:
        raise Broken(f"{recorded.stream} has a rebalance before it has an allocation")
    if isinstance(event, RebalanceRequested):
        return replace(row, pending=(*row.pending, Pending(recorded.version, here)), position=here)
    left = tuple(request for request in row.pending if request.version != event.request_version)
    return replace(row, allocation=event.allocation, pending=left, position=here)


def add_transactions(rows: Rows[RebalanceTransactionRow], recorded: Recorded) -> None:
    """Add the transactions of a rebalance that is booked; rows are never read nor changed again."""
    event = cast(RebalanceBooked, recorded.event)
    for number, transaction in enumerate(event.transactions):
        row = RebalanceTransactionRow(
            user_id=portfolio_id(recorded),
            action=transaction.action,
            asset=transaction.asset,
            rebalance_percent=transaction.percent,
            number=number,
            position=recorded.position,
        )
        rows[row.key] = row


ALLOCATION_PROJECTOR = Projector(
    view=ALLOCATIONS,
    handles=frozenset(get_args(AllocationEvent)),
    keys=keys,
    apply=by_key(keys, evolve),
)
REBALANCE_TRANSACTION_PROJECTOR = Projector(
    view=REBALANCE_TRANSACTIONS,
    handles=frozenset({RebalanceBooked}),
    apply=add_transactions,
    kept=0,
)
