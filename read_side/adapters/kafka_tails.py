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


async def parts_of(
    options: Mapping[str, Any], topic: str, count: int, epoch: UUID, tails: Sequence[int], patience: float
) -> list[Part]:
    """Return what each partition of the topic holds, as ``read_side.publishing.Publisher.parts`` says.

    Raises ``Unavailable`` where nothing comes for ``patience`` seconds, aiokafka's ``KafkaError``, ``TimeoutError``.
    """
    places = [TopicPartition(topic, number) for number in range(count)]
    async with _reader(options, patience) as consumer:
        async with asyncio.timeout(patience):
            starts, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        had = dict(enumerate(tails))
        searches = {
            place: _Search(starts[place], ends[place], ends[place], had.get(place.partition, 0) > 0) for place in places
        }
        window = _WINDOW
        while sought := {place: search for place, search in searches.items() if not search.ended}:
            await _look_back(consumer, sought, epoch, window, patience)
            window *= _WIDER
    return [Part(search.start, search.end, search.last) for search in searches.values()]


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
            raise Unavailable(f"Kafka has not given the end of {behind[0].topic} for {patience:.0f} s")


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
async def _reader(options: Mapping[str, Any], patience: float) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        **options,
        client_id="foliolog-relay-tails",
        isolation_level="read_committed",
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
