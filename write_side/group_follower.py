"""Works for a policy as a member of a group: takes the events of its partitions, commits what is done or parked."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from domain.errors import Broken, Unavailable
from domain.published import Origin, origin_of, recorded_of
from write_side.acting import Acting
from write_side.group import Away, Delivery, Group, History, Member
from write_side.portion import Portion
from write_side.standing import Standing, first
from write_side.work import Overtaken, Work, told

_LAST = 2**63 - 1
"""No position is above it."""

log = structlog.get_logger(__name__)


@dataclass(kw_only=True)
class GroupFollower(Standing):
    """Has every event that the policy handles worked on by one of the members, once in effect.

    ``window`` is how many events of a partition may be under work at most, ``beat`` after how many idle seconds it
    looks around, ``grace`` how many seconds what runs has to end when its partition is taken away.
    """

    group: Group
    work: Work
    history: History
    window: int = 200
    attempts: int = 5
    first_pause: float = 0.5
    beat: float = 1.0
    grace: float = 10.0

    async def _stand(self) -> None:
        shared = _Shared(follower=self, epoch=await self.history.epoch(), stopping=self._stopping)
        async with self.group.join(shared) as member:
            self.leading = True
            log.info("policy is worked for as a member of a group", policy=self.policy.name)
            await shared.follow(member)

    def pause(self, failures: int) -> float:
        """Return how many seconds a partition rests after so many failures in a row."""
        return self._pause(failures)


@dataclass(kw_only=True)
class _Shared:
    """The partitions that this process has, while it is the same member: the port ``Share``."""

    follower: GroupFollower
    epoch: UUID
    stopping: asyncio.Event
    _portions: dict[int, Portion] = field(default_factory=dict, init=False)
    _moved: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _commit_at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._turns = asyncio.Semaphore(self.follower.policy.at_once)

    def deliver(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            portion = self._portions.setdefault(delivery.partition, Portion(partition=delivery.partition))
            portion.inbox.append(delivery)

    def passed(self, partition: int, offset: int) -> None:
        if (portion := self._portions.get(partition)) is not None:
            portion.passed(offset)

    async def give_up(self, partitions: Collection[int]) -> Mapping[int, int]:
        portions = [self._portions.pop(partition) for partition in partitions if partition in self._portions]
        for portion in portions:
            portion.leave()
        grace = self.follower.grace
        await asyncio.gather(*(portion.acting.finish(grace) for portion in portions if portion.acting is not None))
        return _to_commit(portions)

    async def follow(self, member: Member) -> None:
        """Work until this is to end; raises what the member raises, and ``Overtaken`` when the log is another one."""
        polling: asyncio.Task[None] | None = None
        try:
            while not self.stopping.is_set():
                self._moved.clear()
                for portion in list(self._portions.values()):
                    await self._advance(portion, member)
                await self._commit(member, _to_commit(self._portions.values()))
                if polling is None or polling.done():
                    if polling is not None:
                        polling.result()
                    polling = asyncio.create_task(member.poll(self.follower.beat), name="poll")
                await first(self._moved.wait(), self.stopping.wait(), asyncio.wait([polling]))
        except asyncio.CancelledError:
            await asyncio.gather(*(each.acting.cancel() for each in self._portions.values() if each.acting is not None))
            raise
        finally:
            if polling is not None:
                polling.cancel()
                await asyncio.gather(polling, return_exceptions=True)
            self._commit_at = 0.0
            await self._commit(member, await self.give_up(list(self._portions)))

    async def _advance(self, portion: Portion, member: Member) -> None:
        """Take what has come of this partition; whatever fails, what is not done of it comes again after a pause."""
        name = self.follower.policy.name
        try:
            if portion.acting is not None:
                portion.acting.check()
            await self._take(portion)
        except Overtaken:
            raise
        except Unavailable as error:
            log.warning("partition interrupted", policy=name, partition=portion.partition, error=str(error))
            await self._rest(portion, member)
        except Exception as error:  # a defect of ours: told, and what is not done of the partition is begun again
            log.exception("partition failed", policy=name, partition=portion.partition, error=str(error))
            await self._rest(portion, member)
        self._throttle(portion, member)

    async def _take(self, portion: Portion) -> None:
        """Begin to work on what waits of this partition."""
        looked = False
        while portion.inbox:
            delivery = portion.inbox[0]
            if portion.went_back(delivery):
                log.warning("topic goes back: what is not done is begun again", partition=portion.partition)
                await portion.again(delivery.offset)
            elif portion.acting is None:
                parked = await self.follower.work.parked(self.follower.policy.name)
                if not portion.gone:
                    portion.acting = self._acting(parked)
            else:
                origin = _origin(delivery)
                if origin is not None and origin.epoch != self.epoch and not looked:
                    await self._look()
                    looked = True
                elif origin is not None and origin.epoch == self.epoch and origin.position > portion.highest:
                    await self._begin(portion, portion.acting, delivery, origin.position)
                if portion.inbox and portion.inbox[0] is delivery:
                    portion.done_with(delivery)

    async def _look(self) -> None:
        """Make sure that the log is the one it was, now that records of another one come."""
        epoch = await self.follower.history.epoch()
        if epoch != self.epoch:
            raise Overtaken(f"the event log is another one: its id is {epoch}, it was {self.epoch}")

    async def _begin(self, portion: Portion, acting: Acting, delivery: Delivery, position: int) -> None:
        """Have the event worked on, if the policy handles it; one that cannot be read is parked, as in the log."""
        try:
            recorded = recorded_of(delivery.value or b"", delivery.headers)
        except Broken as error:
            await self._park(portion, acting, delivery, error, position)
            return
        if type(recorded.event) in self.follower.policy.handles:
            portion.begin(acting, recorded, delivery.offset)
        portion.highest = position

    async def _park(
        self, portion: Portion, acting: Acting, delivery: Delivery, unreadable: Broken, position: int
    ) -> None:
        """Park what cannot be read: whether the policy handles it, only a corrected program can tell."""
        with suppress(Broken):
            await acting.park(position, attempts=1, error=told(unreadable))
            portion.highest = position
            return
        log.error("a record cannot be read, and the log has no such event", **_place(delivery), error=told(unreadable))

    async def _rest(self, portion: Portion, member: Member) -> None:
        """Give up what is not done of the partition, and have it delivered again after a pause."""
        portion.failures += 1
        portion.rests_until = asyncio.get_running_loop().time() + self.follower.pause(portion.failures)
        offset = await portion.again()
        if offset is not None and not portion.gone:
            member.rewind(portion.partition, offset)

    def _throttle(self, portion: Portion, member: Member) -> None:
        """Stop the delivery of a partition of which enough is under work, or that rests."""
        resting = asyncio.get_running_loop().time() < portion.rests_until
        hold = resting or len(portion) >= self.follower.window
        if hold is not portion.held and not portion.gone:
            (member.hold if hold else member.go_on)(portion.partition)
            portion.held = hold

    async def _commit(self, member: Member, offsets: Mapping[int, int]) -> None:
        """Commit these offsets; what cannot be committed is found done when it comes again."""
        clock = asyncio.get_running_loop().time
        if not offsets or clock() < self._commit_at:
            return
        try:
            await member.commit(offsets)
        except Away as error:
            self._commit_at = clock() + self.follower.beat
            log.warning("not committed, it may come again", policy=self.follower.policy.name, error=str(error))
            return
        for partition, offset in offsets.items():
            if (portion := self._portions.get(partition)) is not None:
                portion.committed, portion.failures = offset, 0

    def _acting(self, parked: dict[str, list[int]]) -> Acting:
        follower = self.follower
        return Acting(
            policy=follower.policy,
            pages=follower.history,
            work=follower.work,
            parked=parked,
            moved=self._moved,
            stopping=self.stopping,
            attempts=follower.attempts,
            first_pause=follower.first_pause,
            turns=self._turns,
        )


def _to_commit(portions: Iterable[Portion]) -> dict[int, int]:
    done = {portion.partition: portion.done for portion in portions if portion.done != portion.committed}
    return {partition: offset for partition, offset in done.items() if offset is not None}


def _origin(delivery: Delivery) -> Origin | None:
    """Return where the record comes from; None for one that is not of an event log."""
    try:
        origin = origin_of(delivery.headers)
        if not 0 < origin.position <= _LAST:
            raise Broken(f"there is no position {origin.position}")
    except Broken as error:
        log.warning("a record that is not ours is passed over", **_place(delivery), error=str(error))
        return None
    return origin


def _place(delivery: Delivery) -> dict[str, int]:
    return {"partition": delivery.partition, "offset": delivery.offset}
