"""The port to where a follower outside the views stands, such as a search copy or the relay; one process leads each."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Stand:
    """The position up to which a follower has taken everything, and of which log; no log before its first.

    ``build`` is the number of the thing it makes: an operator raises it to have that made anew. ``tails`` holds for
    each part of the thing, where it has parts, the last position that went there, 0 for none.
    """

    position: int
    epoch: UUID | None
    build: int = 1
    tails: tuple[int, ...] = ()


class Following(Protocol):
    """What the one leader of a follower may do, while it leads. Everything raises ``StoreUnavailable``."""

    async def stand(self) -> Stand:
        """Return where the follower stands; position 0 for a new one."""

    async def save(self, before: Stand, now: Stand) -> None:
        """Move from one place to the other, also back; raises ``Fenced`` where it does not stand at the first.

        The build is not changed by that: whoever raises it fences who makes an older one.
        """

    async def runs(self) -> None:
        """Say that it runs."""

    async def stopped(self, error: str) -> None:
        """Say that it stands still, and why."""


class Followers(Protocol):
    """What operators do with followers."""

    async def anew(self, name: str) -> int:
        """Have what this follower makes made anew, whoever leads it; return the number of that build.

        Raises ``NotFound`` where no follower of this name was ever led, ``StoreUnavailable``.
        """

    async def led(self, name: str) -> bool:
        """Return whether anybody leads this follower now; raises ``StoreUnavailable``."""


class FollowerLeadership(Protocol):
    """Lets one process at a time lead a follower."""

    def follow(self, name: str) -> AbstractAsyncContextManager[Following]:
        """Wait until this process leads the follower; what is given works as long as it does.

        Raises ``Unavailable``; what is given does too once the leadership is lost.
        """
