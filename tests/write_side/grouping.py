"""A topic and a group in memory, and members as tasks of a test that share what is published of a log in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID
from zlib import crc32

from domain.base import Event, Recorded
from domain.portfolio import CashDeposited
from domain.published import Header, Message, key_of, message_of
from tests.api.memory_log import MemoryLog
from tests.write_side.following import POLICY, Log
from write_side.group import Away, Delivery, Share
from write_side.group_follower import GroupFollower
from write_side.policies import Policy

EPOCH = UUID(int=1)


class MemoryGroup:
    """The port ``Group`` over records in memory, with as many members as join; ``committed`` are its offsets.

    While ``failure`` is set commits raise it; ``commits`` are all that were made. ``changed`` is told whenever
    something was delivered, committed or given out.
    """

    def __init__(self, partitions: int = 3) -> None:
        self.records: list[list[Delivery]] = [[] for _ in range(partitions)]
        self.committed: dict[int, int] = {}
        self.commits: list[dict[int, int]] = []
        self.members: list[MemoryMember] = []
        self.failure: Away | None = None
        self.changed = asyncio.Condition()

    def publish(self, message: Message) -> Delivery:
        """Put the message into the partition of its key."""
        return self.put(crc32(message.key) % len(self.records), message.value, message.headers)

    def put(self, partition: int, value: bytes | None, headers: Sequence[Header]) -> Delivery:
        """Put anything into a partition."""
        records = self.records[partition]
        records.append(Delivery(partition, len(records), value, headers))
        for member in self.members:
            member.came.set()
        return records[-1]

    @asynccontextmanager
    async def join(self, share: Share) -> AsyncIterator[MemoryMember]:
        member = MemoryMember(self, share)
        await self._give_out([*self.members, member])
        try:
            yield member
        finally:
            await self._give_out([each for each in self.members if each is not member])

    async def give_out_again(self) -> None:
        """Take all partitions away and give them out anew, as when a member comes or goes."""
        await self._give_out(self.members)

    async def _give_out(self, members: list[MemoryMember]) -> None:
        for member in self.members:
            await member.lose(set(member.places))
        self.members = members
        for partition in range(len(self.records)) if members else ():
            member = members[partition % len(members)]
            member.places[partition] = self.committed.get(partition, 0)
            member.came.set()
        await self.tell()

    async def tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def until_done(self) -> None:
        """Return once everything that was published is committed."""
        async with self.changed:
            await self.changed.wait_for(lambda: self._ends() == {**dict.fromkeys(self._ends(), 0), **self.committed})

    def _ends(self) -> dict[int, int]:
        return {partition: len(records) for partition, records in enumerate(self.records)}


class MemoryMember:
    """The port ``Member``; ``held`` are the partitions of which nothing is delivered, ``polls`` how often it polled."""

    def __init__(self, group: MemoryGroup, share: Share) -> None:
        self.group = group
        self.share = share
        self.places: dict[int, int] = {}
        self.held: set[int] = set()
        self.came = asyncio.Event()
        self.polls = 0

    async def poll(self, within: float) -> None:
        self.polls += 1
        await self.group.tell()
        try:
            async with asyncio.timeout(within):
                await self.came.wait()
        except TimeoutError:
            return
        self.came.clear()
        for partition, place in self.places.items():
            if partition in self.held:
                continue
            deliveries = self.group.records[partition][place : place + 4]
            if not deliveries:
                continue
            self.places[partition] = place + len(deliveries)
            self.share.deliver(deliveries)
            self.share.passed(partition, self.places[partition])
            self.came.set()
        await self.group.tell()

    def hold(self, partition: int) -> None:
        self.held.add(partition)

    def go_on(self, partition: int) -> None:
        self.held.discard(partition)
        self.came.set()

    def rewind(self, partition: int, offset: int) -> None:
        self.places[partition] = offset
        self.came.set()

    async def commit(self, offsets: Mapping[int, int]) -> None:
        if self.group.failure is not None:
            raise self.group.failure
        if not offsets.keys() <= self.places.keys():
            raise Away(f"partitions {sorted(offsets)} are not of this member any more")
        self._keep(offsets)
        await self.group.tell()

    async def lose(self, partitions: Collection[int]) -> None:
        """Give up these partitions."""
        for partition in partitions:
            self.places.pop(partition, None)
        self.held.difference_update(partitions)
        offsets = await self.share.give_up(partitions)
        if self.group.failure is None:
            self._keep(offsets)

    def _keep(self, offsets: Mapping[int, int]) -> None:
        self.group.commits.append(dict(offsets))
        self.group.committed.update(offsets)


@dataclass
class OfAnEpoch(MemoryLog):
    """A log in memory whose id the test says; it counts how often it is asked for."""

    id: UUID = EPOCH
    asked: int = 0

    async def epoch(self) -> UUID:
        self.asked += 1
        return self.id

    def at_once(self, position: int) -> Recorded:
        """Return the event at this position."""
        return self._recorded()[position - 1]


@dataclass
class SharedLog(Log):
    """A log that is published as it grows, and followed by members of a group; ``epoch`` is its id."""

    group: MemoryGroup = field(default_factory=MemoryGroup)
    log: OfAnEpoch = field(default_factory=OfAnEpoch)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.log.committed.append(self._publish)

    def message(self, position: int) -> Message:
        """Return the event at this position as it is published."""
        return message_of(self.log.at_once(position), self.log.id)

    @asynccontextmanager
    async def shared(self, **options: Any) -> AsyncIterator[GroupFollower]:
        """Take part meanwhile."""
        chosen = {name: options.pop(name) for name in ("at_once", "patient") if name in options}
        follower = GroupFollower(
            policy=Policy(name=POLICY, handles=frozenset({CashDeposited}), act=self._act, **chosen),
            group=options.pop("group", self.group),
            work=self.work,
            history=self.log,
            **{"first_pause": 0.001, "slowest": 0.01, "beat": 0.02, "grace": 30.0} | options,
        )
        follower.start()
        try:
            yield follower
        finally:
            await follower.close(within=0)

    def partition(self, key: str) -> int:
        """Return the partition of this portfolio."""
        return crc32(key_of(f"portfolio/{key}").encode()) % len(self.group.records)

    def _publish(self, base: int, events: Sequence[Event]) -> None:
        for position in range(base + 1, base + len(events) + 1):
            self.group.publish(self.message(position))
