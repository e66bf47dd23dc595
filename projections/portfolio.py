"""The projector of the view of portfolios."""

from __future__ import annotations

from typing import cast

from msgspec.structs import replace

from domain.base import Recorded
from domain.errors import Broken
from domain.portfolio import CashDeposited, CashWithdrawn, Portfolio, PortfolioEvent, PortfolioOpened, Status
from projections.projector import Projector
from read_side.portfolio import PORTFOLIOS, PortfolioRow


def keys(recorded: Recorded) -> tuple[str]:
    """Return the id of the portfolio whose stream the event is in."""
    return (recorded.stream[len(Portfolio.TOPIC) + 1 :],)


def evolve(row: PortfolioRow | None, recorded: Recorded) -> PortfolioRow:
    """Return the portfolio's row after this event."""
    event = cast(PortfolioEvent, recorded.event)
    if isinstance(event, PortfolioOpened):
        return PortfolioRow(
            portfolio_id=keys(recorded)[0],
            portfolio_name=event.portfolio_name,
            status=Status.ACTIVE,
            cash=event.cash,
            last_updated=event.timestamp,
            version=recorded.version,
            opened=recorded.position,
            position=recorded.position,
        )
    if row is None:
        raise Broken(f"{recorded.stream} was never opened")
    match event:
        case CashDeposited(cash=cash) | CashWithdrawn(cash=cash):
            return replace(
                row,
                cash=cash,
                last_updated=event.timestamp,
                version=recorded.version,
                position=recorded.position,
            )


PORTFOLIO_PROJECTOR = Projector(
    view=PORTFOLIOS,
    handles=frozenset({PortfolioOpened, CashDeposited, CashWithdrawn}),
    keys=keys,
    evolve=evolve,
)
