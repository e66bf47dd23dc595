"""The projector of the view of portfolios."""

from __future__ import annotations

from typing import cast, get_args

from msgspec.structs import replace

from domain.base import Recorded
from domain.errors import Broken
from domain.portfolio import (
    AllocationSet,
    CashDeposited,
    CashWithdrawn,
    DividendReceived,
    FeeCharged,
    Holding,
    Portfolio,
    PortfolioEvent,
    PortfolioOpened,
    RebalanceBooked,
    RebalanceRequested,
    SharesBought,
    SharesCovered,
    SharesMovedIn,
    SharesMovedOut,
    SharesSold,
    SharesSoldShort,
    Status,
    StatusChanged,
)
from domain.values import EXACT
from projections.projector import Projector, by_key
from read_side.portfolio import PORTFOLIOS, PortfolioRow


def portfolio_id(recorded: Recorded) -> str:
    """Return the id of the portfolio whose stream the event is in."""
    return recorded.stream[len(Portfolio.TOPIC) + 1 :]


def keys(recorded: Recorded) -> tuple[str]:
    """Return the key of the row that the event changes."""
    return (portfolio_id(recorded),)


def evolve(row: PortfolioRow | None, recorded: Recorded) -> PortfolioRow:
    """Return the portfolio's row after this event."""
    event = cast(PortfolioEvent, recorded.event)
    if isinstance(event, PortfolioOpened):
        return PortfolioRow(
            portfolio_id=portfolio_id(recorded),
            portfolio_name=event.portfolio_name,
            status=Status.ACTIVE,
            cash=event.cash,
            cash_updated=event.timestamp,
            last_updated=event.timestamp,
            version=recorded.version,
            opened=recorded.position,
            position=recorded.position,
        )
    if row is None:
        raise Broken(f"{recorded.stream} was never opened")
    here, at = (recorded.version, recorded.position), event.timestamp
    realized, income, fees = row.realized, row.income, row.fees
    match event:
        case SharesBought() | SharesSoldShort():
            pass
        case SharesSold() | SharesCovered():
            realized = EXACT.add(realized, event.realized)
        case CashDeposited() | CashWithdrawn():
            pass
        case FeeCharged():
            fees = EXACT.add(fees, event.amount)
        case DividendReceived():
            income = EXACT.add(income, event.amount)
        case SharesMovedIn() | SharesMovedOut():
            return replace(row, version=here[0], position=here[1], positions=_held(row, event), last_updated=at)
        case StatusChanged():
            return replace(row, version=here[0], position=here[1], status=event.status)
        case AllocationSet() | RebalanceRequested() | RebalanceBooked():
            return replace(row, version=here[0], position=here[1])
    return PortfolioRow(
        portfolio_id=row.portfolio_id,
        portfolio_name=row.portfolio_name,
        status=row.status,
        cash=event.cash,
        cash_updated=at,
        positions=_held(row, event) if isinstance(event, _TRADES) else row.positions,
        last_updated=at,
        realized=realized,
        income=income,
        fees=fees,
        version=here[0],
        opened=row.opened,
        position=here[1],
    )


def _held(
    row: PortfolioRow,
    event: SharesBought | SharesSold | SharesSoldShort | SharesCovered | SharesMovedIn | SharesMovedOut,
) -> dict[str, Holding]:
    """Return the positions with the one that the event has left."""
    positions = dict(row.positions)
    if event.held:
        positions[event.instrument_id] = Holding(event.held, event.cost, event.timestamp)
    else:
        del positions[event.instrument_id]
    return positions


_TRADES = (SharesBought, SharesSold, SharesSoldShort, SharesCovered)
OWN_EVENTS = frozenset(get_args(PortfolioEvent))
"""The events of portfolios."""

PORTFOLIO_PROJECTOR = Projector(view=PORTFOLIOS, handles=OWN_EVENTS, keys=keys, apply=by_key(keys, evolve))
