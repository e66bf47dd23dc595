"""The port to the topic that the log is published to; of all who have it open, only the last one can publish."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from domain.published import Message, Origin


@dataclass(frozen=True, slots=True)
class Part:
    """A partition of the topic: where what it holds begins and ends, and its last record of our log, None for none."""

    start: int
    end: int
    last: Origin | None


class Publisher(Protocol):
    """The topic, opened to publish. Everything raises ``Unavailable``, and after that nothing more is to be asked."""

    def partition_of(self, key: bytes) -> int:
        """Return the partition of this key, the one that Kafka's own clients choose."""

    async def parts(self, epoch: UUID, tails: Sequence[int]) -> list[Part]:
        """Return what each partition holds, as a reader of what is committed sees it.

        A last record of the log with this ``epoch`` is looked for behind those of other logs only in partitions that
        have had one: those whose position in ``tails`` is above 0; no ``tails``: in none.
        """

    async def publish(self, messages: Sequence[tuple[int, Message]]) -> None:
        """Publish messages, each to its partition and in their order there; all of them or none.

        Returns once they are safe. Where it raises, it may have done either.
        """


class Topic(Protocol):
    """A topic of a broker."""

    @property
    def name(self) -> str:
        """Its name."""

    def opened(self) -> AbstractAsyncContextManager[Publisher]:
        """Open it to publish; whoever had it open before cannot publish from then on.

        Raises ``Unavailable``, also where there is no such topic.
        """
