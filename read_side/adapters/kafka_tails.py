"""What the partitions of a topic end with: read from the end backwards, as a reader of what is committed sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaConsumer, TopicPartition

from domain.errors import Broken, Unavailable
from domain.published import Origin, origin_of
from read_side.publishing import Part

_WINDOW = 32
"""So many offsets are read back first; ends of transactions and what was given up take offsets too."""
_WIDER = 8
_POLL = 50
"""Milliseconds: a partition that ends without a record wakes nobody."""


@dataclass
class _Search:
    """The search for the last record of our log in one partition: offsets from ``low`` on were looked through."""

    start: int
    end: int
    low: int
    thorough: bool
    last: Origin | None = None
    others: bool = False

    @property
    def ended(self) -> bool:
        return self.last is not None or self.low == self.start or (self.others and not self.thorough)


class Tails:
    """The partitions of a topic, as a reader of what is committed sees them, and one of everything.

    All raise ``Unavailable`` where nothing comes for ``patience`` seconds, aiokafka's ``KafkaError``, ``TimeoutError``.
    """

    def __init__(
        self, committed: AIOKafkaConsumer, everything: AIOKafkaConsumer, topic: str, count: int, patience: float
    ) -> None:
        self._committed = committed
        self._everything = everything
        self._places = [TopicPartition(topic, number) for number in range(count)]
        self._patience = patience

    async def undecided(self) -> list[int]:
        """Return the partitions whose last records are of transactions that nobody has ended."""
        async with asyncio.timeout(self._patience):
            ends = await self._everything.end_offsets(self._places)
            decided = await self._committed.end_offsets(self._places)
        return [place.partition for place in self._places if decided[place] < ends[place]]

    async def parts(self, epoch: UUID, tails: Sequence[int]) -> list[Part]:
        """Return what each partition holds, as ``read_side.publishing.Publisher.parts`` says.

        It waits for the end of transactions that are open: before that a reader of what is committed sees less.
        """
        async with asyncio.timeout(self._patience):
            starts = await self._everything.beginning_offsets(self._places)
            ends = await self._everything.end_offsets(self._places)
        had = dict(enumerate(tails))
        searches = {
            place: _Search(starts[place], ends[place], ends[place], had.get(place.partition, 0) > 0)
            for place in self._places
        }
        window = _WINDOW
        while sought := {place: search for place, search in searches.items() if not search.ended}:
            await _look_back(self._committed, sought, epoch, window, self._patience)
            window *= _WIDER
        return [Part(search.start, search.end, search.last) for search in searches.values()]


@asynccontextmanager
async def tails_of(options: Mapping[str, Any], topic: str, count: int, patience: float) -> AsyncIterator[Tails]:
    """Give the tails of a topic with so many partitions."""
    async with (
        _reader(options, "read_committed", patience) as committed,
        _reader(options, "read_uncommitted", patience) as everything,
    ):
        yield Tails(committed, everything, topic, count, patience)


async def _look_back(
    consumer: AIOKafkaConsumer, sought: dict[TopicPartition, _Search], epoch: UUID, window: int, patience: float
) -> None:
    """Look through so many offsets of each partition, before those that were looked through already."""
    consumer.assign(list(sought))
    until = {}
    for place, search in sought.items():
        until[place], search.low = search.low, max(search.start, search.low - window)
        consumer.seek(place, search.low)
    now = asyncio.get_running_loop().time
    moved, before = now(), -1
    while behind := [place for place, end in until.items() if await consumer.position(place) < end]:
        async with asyncio.timeout(patience):
            for place, records in (await consumer.getmany(*behind, timeout_ms=_POLL)).items():
                for record in records:
                    if record.offset < until[place]:
                        _take(sought[place], record.headers, epoch)
            reached = sum([await consumer.position(place) for place in until])
        if reached != before:
            moved, before = now(), reached
        elif now() - moved > patience:
            place = behind[0]
            raise Unavailable(
                f"Kafka has not given offset {await consumer.position(place)} of partition {place.partition} of "
                f"{place.topic} for {patience:.0f} s: a transaction that begins there may be open, or hang "
                "(kafka-transactions.sh find-hanging)"
            )


def _take(search: _Search, headers: Sequence[tuple[str, bytes]], epoch: UUID) -> None:
    try:
        origin = origin_of(headers)
    except Broken:
        return  # of somebody who writes to the topic beside us
    if origin.epoch == epoch:
        search.last = origin
    else:
        search.others = True


@asynccontextmanager
async def _reader(options: Mapping[str, Any], isolation: str, patience: float) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        **options,
        client_id="foliolog-relay-tails",
        isolation_level=isolation,
        enable_auto_commit=False,
        auto_offset_reset="earliest",  # of a partition that was cut off meanwhile
        request_timeout_ms=int(patience * 1000),
    )
    try:
        async with asyncio.timeout(patience):
            await consumer.start()
        yield consumer
    finally:
        async with asyncio.timeout(patience):
            await consumer.stop()
