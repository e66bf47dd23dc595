"""What a member of a group has of one partition: records that wait, what is worked on, up to where it is done."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from domain.base import Recorded
from write_side.acting import Acting
from write_side.group import Delivery


@dataclass(kw_only=True)
class Portion:
    """One partition, from when it is given to this process until it is taken away.

    Offsets are of the topic, positions of the log. ``gone`` is set when it is taken away, whoever waits for something
    looks at it then. ``held`` is whether its delivery is stopped, ``rests_until`` until when it is because of failures.
    """

    partition: int
    inbox: deque[Delivery] = field(default_factory=deque)
    acting: Acting | None = None
    highest: int = 0
    """Position of the last event that was taken or passed over: one at or below it was published twice."""
    committed: int | None = None
    gone: bool = False
    held: bool = False
    failures: int = 0
    rests_until: float = 0.0
    _read: int | None = field(default=None, init=False)
    _end: int = field(default=0, init=False)
    _taken: deque[tuple[int, int]] = field(default_factory=deque, init=False)
    """Position and offset of what was begun, in order."""

    def __len__(self) -> int:
        return 0 if self.acting is None else len(self.acting)

    def begin(self, acting: Acting, recorded: Recorded, offset: int) -> None:
        """Have this event worked on."""
        self._taken.append((recorded.position, offset))
        acting.take([recorded])

    def done_with(self, delivery: Delivery) -> None:
        """Take out of what waits the first of it, which was begun, parked or passed over."""
        self.inbox.popleft()
        self._read = delivery.offset + 1

    def passed(self, offset: int) -> None:
        """Know that everything before this offset was delivered."""
        self._end = offset

    def leave(self) -> None:
        """Take nothing more: it is taken away, and what waits is for whoever gets it."""
        self.gone = True
        if self.inbox:
            self.inbox.clear()
            self._end = 0

    @property
    def done(self) -> int | None:
        """The offset before which everything is done, parked or passed over; None where nothing was read yet."""
        if self.acting is not None:
            position = self.acting.done_up_to(self.highest)
            while self._taken and self._taken[0][0] <= position:
                self._taken.popleft()
        if self._taken:
            return self._taken[0][1]
        return self._read if self._read is None or self.inbox else max(self._read, self._end)

    def went_back(self, delivery: Delivery) -> bool:
        """Whether this record stands before one that was read: the topic is not what it was."""
        return self._read is not None and delivery.offset < self._read

    async def again(self, offset: int | None = None) -> int | None:
        """Give up what is not done; return from where it has to be delivered again, else None: as it would be anyway.

        With an ``offset`` it is delivered from there already, and what waits is kept.
        """
        if self.acting is not None:
            await self.acting.cancel()
        done = self.done
        if self._taken:
            self.highest = self._taken[0][0] - 1
        self._taken.clear()
        self.acting = None
        if offset is None:
            offset = done if done is not None else self.inbox[0].offset if self.inbox else None
            self.inbox.clear()
        self._read, self._end = offset, 0
        return offset
