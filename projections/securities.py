"""The projector of the view of securities."""

from __future__ import annotations

from typing import cast

from domain.base import Recorded
from domain.errors import Broken
from domain.securities import Security, SecurityNamed, SecurityRenamed
from projections.projector import Projector, by_key
from read_side.securities import SECURITIES, SecurityRow


def security_id(recorded: Recorded) -> str:
    """Return the id of the security whose stream the event is in."""
    return recorded.stream[len(Security.TOPIC) + 1 :]


def keys(recorded: Recorded) -> tuple[str]:
    """Return the key of the row that the event changes."""
    return (security_id(recorded),)


def evolve(row: SecurityRow | None, recorded: Recorded) -> SecurityRow:
    """Return the security's row after this event."""
    event = cast(SecurityNamed | SecurityRenamed, recorded.event)
    if isinstance(event, SecurityNamed):
        named = recorded.position
    elif row is None:
        raise Broken(f"{recorded.stream} has another name before its first one")
    else:
        named = row.named
    return SecurityRow(
        security_id=security_id(recorded),
        ticker=event.ticker,
        name=event.name,
        version=recorded.version,
        named=named,
        position=recorded.position,
    )


SECURITY_PROJECTOR = Projector(
    view=SECURITIES,
    handles=frozenset({SecurityNamed, SecurityRenamed}),
    keys=keys,
    apply=by_key(keys, evolve),
)
