"""A worker process that stops at a named place until it is killed: `python -m tests.write_side.worker URL PLACE`.

It mirrors portfolios; of the one called BAD it cannot.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import structlog

from domain.base import Recorded
from domain.errors import Overloaded
from tests.projections.logs import process
from tests.write_side.mirroring import mirroring
from tests.write_side.stores import NOW, event_store
from write_side.adapters.postgres_work import PostgresWork, PostgresWorkLeadership
from write_side.follower import Follower
from write_side.log import Context
from write_side.policies import Policy, key_of
from write_side.work import Parked, Work

BAD = "BAD"


@dataclass(frozen=True)
class Places:
    """Where it stops: at the first place of this name that it comes by."""

    chosen: str

    async def at(self, place: str) -> None:
        """Stop here, once that was said, if it is here."""
        if place == self.chosen:
            sys.stdout.write(f"{place}\n")
            sys.stdout.flush()
            await asyncio.Event().wait()


class Stopping(PostgresWork):
    """The work of a leader that stops before and after what it stores."""

    def __init__(self, work: PostgresWork, places: Places) -> None:
        super().__init__(work._connections)
        self._places = places

    async def save_checkpoint(self, policy: str, expected: int, position: int) -> None:
        await self._places.at("before the checkpoint")
        await super().save_checkpoint(policy, expected, position)
        await self._places.at("after the checkpoint")

    async def park(self, policy: str, position: int, *, attempts: int, error: str) -> Parked:
        await self._places.at("before parking")
        parked = await super().park(policy, position, attempts=attempts, error=error)
        await self._places.at("after parking")
        return parked


@dataclass(frozen=True)
class Leading:
    """Leadership over work that stops."""

    leadership: PostgresWorkLeadership
    places: Places

    @asynccontextmanager
    async def lead(self, policy: str) -> AsyncIterator[Work]:
        async with self.leadership.lead(policy) as work:
            yield Stopping(work, self.places)


def stopping(policy: Policy, places: Places) -> Policy:
    """Return the policy with places around what it does, and unable to mirror the bad one."""

    async def act(recorded: Recorded, context: Context) -> None:
        if key_of(recorded) == BAD:
            raise Overloaded("it is always too much")
        await places.at("before the act")
        await policy.act(recorded, context)
        await places.at("after the append")

    return replace(policy, act=act)


async def main(database_url: str, place: str) -> None:
    """Work until killed; what it logs goes beside what it says."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    places = Places(place)
    async with event_store(database_url) as one, process(database_url) as reading:
        follower = Follower(
            policy=stopping(mirroring(one.store, one.log, NOW), places),
            pages=one.log,
            leadership=Leading(PostgresWorkLeadership(database_url), places),
            wait=reading.signals.wait_for_head,
            first_pause=0.001,
        )
        follower.start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
