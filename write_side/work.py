"""Work that follows the log: the ports it needs, and parked work done again because a person asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, cast

import msgspec
import structlog

from domain.base import Aggregate, Event, Recorded
from domain.errors import Broken, FoliologError, NotFound, RuleViolated, StaleVersion
from write_side.event_store import Done, EventStore
from write_side.log import ANY_VERSION, Answer, Appended, Context, KeyTaken
from write_side.policies import Policy, context_of

_LONGEST = 2_000
"""Characters that are kept of an error."""

log = structlog.get_logger(__name__)


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """An event that a policy could not work on: where it stands in the log, how often it was tried, what was wrong."""

    policy: str
    position: int
    stream: str
    topic: str
    attempts: int
    error: str
    parked_at: datetime


class Overtaken(FoliologError):
    """Another process has moved the checkpoint: it leads now."""

    code = "overtaken"


class Pages(Protocol):
    """The log as a follower reads it."""

    async def page(self, after: int, limit: int) -> list[Recorded]:
        """Return up to ``limit`` events above this position, in order.

        Raises ``StoreUnavailable``, and ``Broken`` with its position where the first of them cannot be read.
        """


class Work(Protocol):
    """Where each policy stands, and what it has parked. Everything raises ``StoreUnavailable``."""

    async def checkpoint(self, policy: str) -> int:
        """Return the position up to which every event is done or parked; 0 for a policy that is new."""

    async def save_checkpoint(self, policy: str, expected: int, position: int) -> None:
        """Move the checkpoint from one position to the other; raises ``Overtaken`` where it is not at the first."""

    async def parked(self, policy: str) -> dict[str, list[int]]:
        """Return the positions of what is parked, by stream, in their order."""

    async def one(self, policy: str, position: int) -> Parked | None:
        """Return this parked event."""

    async def park(self, policy: str, position: int, *, attempts: int, error: str) -> Parked:
        """Park this event of the log; one that is parked stays as it is. Raises ``Broken`` where there is none."""

    async def failed_again(self, policy: str, position: int, error: str) -> None:
        """Count one more attempt at what is parked; nothing where it is parked no more."""

    async def clear(self, policy: str, position: int) -> None:
        """Take what has been done out of what is parked."""


class Leadership(Protocol):
    """Lets one process at a time lead a policy."""

    def lead(self, policy: str) -> AbstractAsyncContextManager[Work]:
        """Wait until this process leads; what is given works as long as it does, then raises ``StoreUnavailable``."""


class Log(Pages, Protocol):
    """The log as a retry needs it."""

    async def head(self) -> int:
        """Return the position of the last event."""

    async def append(
        self, events: Sequence[Event], context: Context, *, answer: Answer | None = None, version: int = 0
    ) -> Appended:
        """Store these events, or an answer alone, as ``write_side.log.EventLog`` says."""


def told(error: Exception) -> str:
    """Return an error as it is kept for people: which one, and its message, as far as a database can hold it."""
    text = f"{type(error).__name__}: {error}"[:_LONGEST]
    return text.encode("utf-8", "replace").decode().replace("\0", "?")


async def event_at(pages: Pages, position: int) -> Recorded:
    """Return the event at this position; raises ``Broken`` where it cannot be read or is not there."""
    for recorded in await pages.page(position - 1, 1):
        if recorded.position == position:
            return recorded
    raise Broken(f"there is no event at position {position}", position=position)


@dataclass(frozen=True, kw_only=True)
class Retries:
    """Does parked work again, in this process."""

    policies: Mapping[str, Policy]
    work: Work
    log: Log
    store: EventStore

    async def retry(
        self, policy: str, position: int, context: Context, *, render: Callable[[Parked], Answer]
    ) -> Done[Aggregate]:
        """Work on what is parked once more; done, it is parked no more, else the attempt is counted.

        It is done in the name of who caused the event; ``context`` is of who asks for the retry. Raises ``NotFound``
        where this is not parked, ``RuleViolated`` with the reason when it fails again, ``StaleVersion``, ``KeyReused``,
        ``StoreUnavailable``.
        """
        if replay := await self.store.replay(context):
            return replay
        parked = await self.work.one(policy, position)
        if parked is None:
            raise NotFound(f"nothing of policy {policy[:100]!a} is parked at position {position}")
        if context.expected_version not in (None, ANY_VERSION):
            raise StaleVersion(f"parked work {policy}/{position}, which has no version,", context.expected_version, 0)
        await self._act(parked)
        await self.work.clear(policy, position)
        answer = render(parked)
        if context.remember is None:
            return Done(aggregate=None, version=0, position=await self.log.head(), answer=answer)
        try:
            appended = await self.log.append([], context, answer=answer)
        except KeyTaken:
            return cast("Done[Aggregate]", await self.store.replay(context))
        return Done(aggregate=None, version=0, position=appended.position, answer=answer)

    async def _act(self, parked: Parked) -> None:
        policy = self.policies.get(parked.policy)
        if policy is None:
            raise RuleViolated(f"there is no policy {parked.policy!r} any more: only a program that has it can do this")
        try:
            recorded = await event_at(self.log, parked.position)
            if type(recorded.event) in policy.handles:
                await policy.act(recorded, context_of(recorded))
        except Exception as error:
            log.exception("parked work failed again", policy=policy.name, position=parked.position, error=str(error))
            await self.work.failed_again(policy.name, parked.position, told(error))
            raise RuleViolated(f"{parked.topic} at position {parked.position} failed again: {told(error)}") from error
