"""A group that shares the published log among its members: the ports that a policy needs which works so.

The topic has partitions, and the records of a partition have an order. A partition is given to one member at a time,
and taken away whenever another one comes or goes; the next begins at the offset that was committed for it, so what was
not committed comes again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol
from uuid import UUID

from domain.errors import Unavailable
from domain.published import Header
from write_side.work import Pages


class Away(Unavailable):
    """The brokers cannot be reached, or this process is not the member that it was: nothing was committed."""

    code = "group-away"


class Delivery(NamedTuple):
    """A record as it was published, and where it stands; a record that is not of ours may have no value."""

    partition: int
    offset: int
    value: bytes | None
    headers: Sequence[Header]


class Share(Protocol):
    """What a member has of the topic; only ``give_up`` waits for anything."""

    def deliver(self, deliveries: Sequence[Delivery]) -> None:
        """Take the next records of partitions that are given to this member, in the order of each."""

    def passed(self, partition: int, offset: int) -> None:
        """Know that everything before this offset was delivered, or is nothing that is ever delivered."""

    async def give_up(self, partitions: Collection[int]) -> Mapping[int, int]:
        """End the work on these partitions within seconds; return the offsets to be committed for them.

        Nothing more may be delivered of them until they are given to this member again.
        """


class Member(Protocol):
    """One that takes part in a group."""

    async def poll(self, within: float) -> None:
        """Deliver what has come, or wait for it, about so many seconds; whoever does not poll is put out of the group.

        Raises ``Away`` where this member is of no use any more.
        """

    def hold(self, partition: int) -> None:
        """Let no more be delivered of it."""

    def go_on(self, partition: int) -> None:
        """Let it be delivered again."""

    def rewind(self, partition: int, offset: int) -> None:
        """Let it be delivered from this offset on."""

    async def commit(self, offsets: Mapping[int, int]) -> None:
        """Keep for each partition the offset before which everything is done; raises ``Away``."""


class Group(Protocol):
    """Lets processes share the work."""

    def join(self, share: Share) -> AbstractAsyncContextManager[Member]:
        """Take part meanwhile; partitions come and go while the member polls. Raises ``Away``."""


class History(Pages, Protocol):
    """The log that is published."""

    async def epoch(self) -> UUID:
        """Return the id that was made with the log; raises ``StoreUnavailable``."""
