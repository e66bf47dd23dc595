"""A policy of the tests' own: whenever cash is paid into a portfolio, its mirror gets the same.

Like a booking it goes by the aggregate: the mirror has as many events as have been mirrored, and an event brings it up
to itself with all that are missing before.
"""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

import msgspec

from domain.base import Recorded
from domain.errors import AlreadyExists, StaleVersion
from domain.portfolio import CashDeposited, Portfolio, PositionUpdate, TransactionType
from write_side.event_store import EventStore
from write_side.log import Context, EventLog
from write_side.policies import Policy, key_of
from write_side.portfolio import OpenPortfolio, UpdatePortfolio

PREFIX = "mirror-of-"


def mirroring(store: EventStore, log: EventLog, now: datetime) -> Policy:
    """Return the policy."""

    async def act(recorded: Recorded, context: Context) -> None:
        if not key_of(recorded).startswith(PREFIX):
            await _bring_up(store, log, key_of(recorded), recorded.version, context, now)

    return Policy(name="mirror", handles=frozenset({CashDeposited}), act=act)


async def _bring_up(
    store: EventStore, log: EventLog, portfolio_id: str, version: int, context: Context, now: datetime
) -> None:
    key = f"{PREFIX}{portfolio_id}"
    events = await log.read(Portfolio.stream(portfolio_id))
    while True:
        mirror = await store.load(Portfolio, key)
        try:
            if mirror is None:
                opening = OpenPortfolio(portfolio_id=key, portfolio_name=key)
                await opening.handle(store, msgspec.structs.replace(context, command_id=uuid4()), now=now)
                continue
            missing = tuple(
                PositionUpdate(transaction_type=TransactionType.DEP, quantity_change=event.amount)
                for event in events[mirror.version : version]
                if isinstance(event, CashDeposited)
            )
            if missing:
                condition = msgspec.structs.replace(context, command_id=uuid4(), expected_version=mirror.version)
                moving = UpdatePortfolio(portfolio_id=key, updates=missing, timestamp=now)
                await moving.handle(store, condition, now=now)
        except (AlreadyExists, StaleVersion):
            continue  # another process was quicker
        return
