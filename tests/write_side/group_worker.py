"""A member of a group that stops at a named place until it is killed: `... URL BROKERS TOPIC PLACE`.

It mirrors portfolios; of the one called BAD it cannot.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from tests.projections.logs import process
from tests.write_side.mirroring import mirroring
from tests.write_side.publishing import Topic
from tests.write_side.stores import NOW, event_store
from tests.write_side.worker import Places, Stopping, stopping
from write_side.adapters.postgres_work import PostgresWork
from write_side.group import Group, Member, Share
from write_side.group_follower import GroupFollower


@dataclass(frozen=True)
class Halting:
    """A group whose members stop before and after what they commit."""

    group: Group
    places: Places

    @asynccontextmanager
    async def join(self, share: Share) -> AsyncIterator[Member]:
        async with self.group.join(share) as member:
            yield Halted(member, self.places)


@dataclass(frozen=True)
class Halted:
    """A member that stops before and after it commits."""

    member: Member
    places: Places

    async def poll(self, within: float) -> None:
        await self.member.poll(within)

    def hold(self, partition: int) -> None:
        self.member.hold(partition)

    def go_on(self, partition: int) -> None:
        self.member.go_on(partition)

    def rewind(self, partition: int, offset: int) -> None:
        self.member.rewind(partition, offset)

    async def commit(self, offsets: Mapping[int, int]) -> None:
        await self.places.at("before the commit")
        await self.member.commit(offsets)
        await self.places.at("after the commit")


async def main(database_url: str, brokers: str, topic: str, place: str) -> None:
    """Work until killed; what it logs goes beside what it says."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    places = Places(place)
    async with event_store(database_url) as one, process(database_url) as reading:
        follower = GroupFollower(
            policy=stopping(mirroring(one.store, one.log, NOW), places),
            group=Halting(Topic(brokers, topic).members(), places),
            work=Stopping(PostgresWork(reading.pool.connection), places),
            history=one.log,
            first_pause=0.001,
            beat=0.1,
        )
        follower.start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
