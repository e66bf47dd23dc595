"""Where a policy gets its events from, and what must not make a difference to what it does: a source is one line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from domain.base import Event, Recorded
from domain.errors import Unavailable
from domain.published import message_of
from read_side.signals import Signals
from tests.write_side.grouping import MemoryGroup, OfAnEpoch
from tests.write_side.memory_work import MemoryWork
from tests.write_side.publishing import Topic
from write_side.event_store import EventStore
from write_side.follower import Follower
from write_side.group import Group
from write_side.group_follower import GroupFollower
from write_side.log import Context
from write_side.policies import RELAYED, Policy, policies

NOW = datetime(2025, 6, 21, 10, 0, tzinfo=UTC)
Fixture = Callable[[str], Any]
"""Returns a fixture by its name, made when it is first asked for."""


@dataclass
class Worked:
    """A log, and a policy of the table that works on it; ``acted`` are the positions it was given to act on.

    While ``refused`` is set, acts on users of this name raise ``Unavailable``.
    """

    log: OfAnEpoch = field(default_factory=OfAnEpoch)
    signals: Signals = field(default_factory=Signals)
    acted: list[int] = field(default_factory=list)
    refused: str | None = None
    settled: Callable[[], Awaitable[object]] = field(init=False)
    """Returns once everything in the log is done or parked."""

    def __post_init__(self) -> None:
        self.log.committed.append(lambda base, events: self.signals.hear_head(base + len(events)))
        self.work = MemoryWork(self.log.events, self.signals)
        self.store = EventStore(self.log)
        self.policy = self._chosen()

    def _chosen(self) -> Policy:
        [name] = RELAYED
        table = policies(self.store, clock=lambda: NOW, run=_no_run, bookings=None)
        [policy] = [each for each in table if each.name == name]

        async def act(recorded: Recorded, context: Context) -> None:
            self.acted.append(recorded.position)
            if recorded.stream == f"portfolio/{self.refused}":
                raise Unavailable("not now")
            await policy.act(recorded, context)

        return replace(policy, act=act)

    @asynccontextmanager
    async def followed_by(self, group: Group) -> AsyncIterator[None]:
        """Have a member of this group work meanwhile."""
        follower = GroupFollower(
            policy=self.policy, group=group, work=self.work, history=self.log, first_pause=0.001, beat=0.05
        )
        follower.start()
        try:
            yield
        finally:
            await follower.close()


async def _no_run(run_id: str, context: Context) -> None:
    raise NotImplementedError


@asynccontextmanager
async def log_follower(_: Fixture) -> AsyncIterator[Worked]:
    worked = Worked()
    follower = Follower(
        policy=worked.policy,
        pages=worked.log,
        leadership=worked.work,
        wait=worked.signals.wait_for_head,
        first_pause=0.001,
        rest=0.0,
    )

    async def settled() -> None:
        await worked.signals.wait_for(f"work/{worked.policy.name}", await worked.log.head(), 60)

    worked.settled = settled
    follower.start()
    try:
        yield worked
    finally:
        await follower.close()


@asynccontextmanager
async def group_in_memory(_: Fixture) -> AsyncIterator[Worked]:
    worked, group = Worked(), MemoryGroup()

    def publish(base: int, events: Sequence[Event]) -> None:
        for position in range(base + 1, base + len(events) + 1):
            group.publish(message_of(worked.log.at_once(position), worked.log.id))

    worked.log.committed.append(publish)
    worked.settled = group.until_done
    async with worked.followed_by(group):
        yield worked


@asynccontextmanager
async def kafka_group(fixture: Fixture) -> AsyncIterator[Worked]:
    worked, topic = Worked(), Topic(fixture("kafka").bootstrap_servers, fixture("topic"))
    await topic.make()

    async def settled() -> None:
        await topic.publish(worked.log)
        await topic.until_done()

    worked.settled = settled
    async with worked.followed_by(topic.members()):
        yield worked


SOURCES: list[Callable[[Fixture], AbstractAsyncContextManager[Worked]]] = [log_follower, group_in_memory, kafka_group]
